"""What every option model shares: unknown keys are errors, values never change after loading.

Option models are light: they import pydantic and the schema, never a driver, numpy or OpenCV, so
that `rsu config check` answers at once. Their modules do without `from __future__ import
annotations`: pydantic would compile every annotation from text again, a fifth of that command.
Every field has a title (or a telling name), a unit in its description where it has one, and the
origin of its default.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from rsu.schema.units import NS_PER_S

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
"""Names of sensors, lanes, radios; lower case, since they become file, topic and metric names."""

Latitude = Annotated[float, Field(ge=-90.0, le=90.0)]
Longitude = Annotated[float, Field(ge=-180.0, le=180.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]


UtcTime = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")
]
"""RFC 3339, UTC; text in the file, so that it must be quoted and is shown as it was written."""


def utc_ns(text: str) -> int:
    """Nanoseconds since the epoch of a `UtcTime`; ValueError where it is no date that exists."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * NS_PER_S + int((fraction or "0").ljust(9, "0"))


class Options(BaseModel):
    """Base of every section and driver option model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    MOVED: ClassVar[Mapping[str, str]] = {}
    """Keys that earlier versions had here, and where they are now, as seen from this section."""


MISFIT = "misfit"


def misfit(reason: str, *at: str | int) -> PydanticCustomError:
    """The error a validator raises when fields disagree; `at` leads from the model to the culprit.

    A plain ValueError does too, but is reported at the model as a whole.
    """
    return PydanticCustomError(MISFIT, "{reason}", {"reason": reason, "at": at})
