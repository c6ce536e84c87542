"""Section `environment`: how weather and road sensors are reached and what they measure where.

`mqtt` reads any JSON by a mapping: each entry of `quantities` names one field, its kind and unit.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import NonNegative, Options, Positive, misfit
from rsu.config.devices import DeviceOptions, MqttOptions
from rsu.config.radar_mapping import DeviceMatch, Length, Path, Quantity, Share, TimeOptions
from rsu.schema.devices import RoadSurface

RAINS = {"mm/h": 1.0, "mm/min": 60.0, "in/h": 25.4}
"""Unit → factor to mm/h."""
TEMPERATURES = {"degC": (1.0, 0.0), "K": (1.0, -273.15), "degF": (5 / 9, -160 / 9)}
"""Unit → factor and offset to °C."""


class EnvironmentBase(DeviceOptions):
    """What every weather or road sensor shares."""

    late_s: Positive = Field(
        180.0, description="Nothing usable for this long, s: the sensor is `late` (stations "
        "report every minute)."
    )  # fmt: skip


class PlaceOf(Options):
    """Where a quantity is measured."""

    x: float | None = Field(None, description="East of the origin, m.")
    y: float | None = Field(None, description="North of the origin, m.")
    lane: str | None = Field(None, min_length=1, description="Lane of the site map.")
    std: Positive | None = Field(None, description="1 σ in the unit of the kind (data sheet).")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.x is None) != (self.y is None):
            raise misfit("x and y belong together", "x" if self.x is None else "y")
        return self


class LengthReading(PlaceOf):
    """Visibility, depth of water or ice."""

    kind: Literal["visibility", "water-depth", "ice-depth"]
    value: Length


class RainRate(Quantity):
    unit: Literal["mm/h", "mm/min", "in/h"] = "mm/h"


class RainReading(PlaceOf):
    """Rain intensity."""

    kind: Literal["rain"]
    value: RainRate


class Temperature(Quantity):
    unit: Literal["degC", "degF", "K"] = "degC"


class TemperatureReading(PlaceOf):
    """Temperature of the air (2 m) or of the road's surface."""

    kind: Literal["air-temperature", "road-temperature"]
    value: Temperature


class FrictionReading(PlaceOf):
    """Coefficient of friction as optical road sensors estimate it."""

    kind: Literal["friction"]
    value: Share


class SurfaceTable(Options):
    """What the vendor's codes or words mean."""

    path: Path = Field(min_length=1)
    table: dict[str | int, RoadSurface] = Field(min_length=1, max_length=64)
    otherwise: RoadSurface = RoadSurface.UNKNOWN


class SurfaceReading(PlaceOf):
    """State of the surface."""

    kind: Literal["road-surface"]
    value: SurfaceTable


AnyReading = Annotated[
    LengthReading | RainReading | TemperatureReading | FrictionReading | SurfaceReading,
    Field(discriminator="kind"),
]


class EnvironmentMapping(Options):
    """One vendor's document."""

    quantities: tuple[AnyReading, ...] = Field(min_length=1, max_length=32)
    time: TimeOptions
    device: DeviceMatch | None = None

    @model_validator(mode="after")
    def _each_said_once(self) -> Self:
        seen: set[tuple[str, object]] = set()
        for index, one in enumerate(self.quantities):
            place = (one.x, one.y, one.lane)
            if (one.kind, place) in seen:
                raise misfit(f"a second {one.kind} at the same place", "quantities", index)
            seen.add((one.kind, place))
        return self


class MqttEnvironmentOptions(EnvironmentBase, MqttOptions):
    """A station that publishes JSON to a broker."""

    driver: Literal["mqtt"]
    mapping: EnvironmentMapping
    latency_s: NonNegative = Field(
        1.0, le=300.0, description="From measuring to arrival, s, where no time is stated."
    )
    max_age_s: Positive = Field(
        900.0, description="Older readings, s, are dropped: weather of a quarter of an hour ago."
    )
    max_ahead_s: NonNegative = Field(
        2.0, description="Readings from later than this are dropped, s."
    )

    @model_validator(mode="after")
    def _time_has_one_origin(self) -> Self:
        if self.mapping.time.format != "arrival" and "latency_s" in self.model_fields_set:
            raise misfit("is for sensors without a time of their own, mapping.time reads one",
                         "latency_s")  # fmt: skip
        return self


Environment = Annotated[MqttEnvironmentOptions, Field()]
"""A union by `driver` as soon as there is a second driver of ours."""
