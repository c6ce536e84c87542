"""Site file → `SiteConfig`, or every reason why not.

`load_site` is what the daemon calls; `examine` is the same without raising, for `rsu config`, which
also wants what can be said about a file that is only partly right. Paths stay as written; they are
relative to the site file's folder. Validation is strict, as JSON is: `"5"` is no number.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rsu.config import messages
from rsu.config.document import Document, read_document
from rsu.config.model import SiteConfig
from rsu.config.problems import ConfigError, Location, Problem

__all__ = ["ConfigError", "Examined", "Problem", "examine", "load_site"]

M = TypeVar("M", bound=BaseModel)

# Which driver kinds stand where; None stands for any list index.
_DRIVERS: tuple[tuple[tuple[str | None, ...], str], ...] = (
    (("cameras", None, "source"), "camera"),
    (("radios", None), "radio"),
    (("radars", None), "radar"),
    (("signals", None), "signal"),
    (("bay_sensors", None), "parking"),
    (("gnss", None), "gnss"),
    (("environment", None), "environment"),
)
_ROUNDS = 8
"""Unknown keys are put right and validation repeated at most this often; one round a level of
nesting is enough, and the models are 7 deep."""


@dataclass(slots=True)
class Examined:
    """What could be made of a file. `config` is None unless, spelling of keys apart, it is valid.

    `document` is None where not even YAML could be read.
    """

    file: Path
    document: Document | None
    config: SiteConfig | None
    problems: list[Problem]


def load_site(path: Path) -> SiteConfig:
    """The validated site file; ConfigError with all problems otherwise.

    Cross-checks (files exist, calibration fits) are `rsu.config.check`'s.
    """
    examined = examine(path)
    errors = [problem for problem in examined.problems if not problem.warning]
    if errors or examined.config is None:
        raise ConfigError(errors)
    return examined.config


def examine(path: Path) -> Examined:
    """Read and validate without raising."""
    try:
        document = read_document(path)
    except ConfigError as error:
        return Examined(path, None, None, error.problems)
    problems = list(document.problems)
    config = validate(document, _model(document, problems), problems)
    problems.sort(key=lambda p: (p.line, p.column, p.path, p.message))
    return Examined(path, document, config, problems)


CREDENTIALS = "$CREDENTIALS_DIRECTORY/"
"""Start of a file reference to a secret that systemd hands over (LoadCredential=)."""


def in_credentials(value: Any) -> Any:
    """`value` with the service's folder of secrets in such references. Outside of the service,
    which alone knows the folder, they stay as written."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return value
    if isinstance(value, dict):
        return {key: in_credentials(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [in_credentials(inner) for inner in value]
    if isinstance(value, str) and value.startswith(CREDENTIALS):
        return f"{folder}/{value.removeprefix(CREDENTIALS)}"
    return value


def validate(document: Document, model: type[M], problems: list[Problem]) -> M | None:
    """The document as a `model`, if it is valid but for unknown keys; adds what is wrong to
    `problems`. For site files, and for other files that are written in the same way."""
    # Where the document already complains (NaN, say), the model need not complain again.
    settled = {(problem.line, problem.column) for problem in problems}
    for _ in range(_ROUNDS):
        try:
            plain = in_credentials(document.root.plain())
            return model.model_validate_json(json.dumps(plain), strict=True)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
        unknown = [error for error in errors if error["type"] == "extra_forbidden"]
        # While keys are misspelt, other complaints may only follow from that: they wait.
        for error in unknown or _own_faults(errors):
            found = messages.problem(error, document, model)
            if (found.line, found.column) not in settled:
                problems.append(found)
        if not unknown:
            return None
        _mend(document, model, unknown)
    return None


def _own_faults(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are too short only because their entries are wrong."""
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(
            len(other["loc"]) > len(error["loc"])
            and other["loc"][: len(error["loc"])] == error["loc"]
            for other in errors
        )
    ]


def _mend(document: Document, model: type[BaseModel], unknown: list[ErrorDetails]) -> None:
    """Give unknown keys the name they were probably meant to have, or drop them.

    The file stays refused; this only lets the rest of it be looked at.
    """
    locations: list[Location] = [
        messages.true_location(error["loc"], document, model) for error in unknown
    ]
    for location in locations:
        parent, key = document.find(location[:-1]), location[-1]
        if parent is None or key not in parent.value:
            continue  # its section has already been renamed
        meant = None
        if messages.moved_to(model, location, document) is None:
            known = list(messages.known_keys(model, location[:-1], document))
            meant = messages.nearest(str(key), known)
        entry = parent.value.pop(key)
        if meant is not None:
            parent.value.setdefault(meant, entry)


def _model(document: Document, problems: list[Problem]) -> type[SiteConfig]:
    """The site model, with the option models of other packages where the file needs them."""
    wanted = {kind for kind, _, _ in _foreign_drivers(document)}
    if not wanted:
        return SiteConfig
    from rsu.config.plugins import PluginError, installed, site_model

    foreign = {}
    for kind in sorted(wanted):
        try:
            foreign[kind] = tuple(installed(kind).values())
        except PluginError as error:
            places = [place for found, place, _ in _foreign_drivers(document) if found == kind]
            problems.append(document.problem(places[0], str(error)))
    return site_model(foreign)


def _foreign_drivers(document: Document) -> list[tuple[str, Location, str]]:
    """(kind, location, name) of every driver in the file that is not ours."""
    from rsu.config.plugins import own_drivers

    found = []
    for pattern, kind in _DRIVERS:
        places: list[Location] = [()]
        for step in pattern:
            places = [
                (*place, key)
                for place in places
                for key in ([step] if step is not None else range(_length(document, place)))
            ]
        for place in places:
            node = document.find((*place, "driver"))
            name = node.value if node is not None else None
            if isinstance(name, str) and name not in own_drivers(kind):
                found.append((kind, (*place, "driver"), name))
    return found


def _length(document: Document, place: Location) -> int:
    node = document.find(place)
    return len(node.value) if node is not None and isinstance(node.value, list) else 0
