"""GeoJSON files read with suspicion: every problem is collected and names its feature.

`features` opens a file and yields a reader for each feature whose outer form is right; the reader
checks properties against a table and coordinates against the site's origin. What the properties
mean is `rsu.site.features`' business. Plain Python: checking a site file loads no numpy.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rsu.site.geodesy import WGS84_A, WGS84_F

MAX_BYTES = 20_000_000
"""Largest map file, bytes: a city junction has well under 1 MB, a whole district about 5 MB."""
MAX_FEATURES = 5_000
MAX_POSITIONS = 2_000
"""Vertices of one feature. 2 km at one vertex a metre."""
MAX_DISTANCE = 20_000.0
"""m from the origin; beyond it the tangent plane is 30 m off the ground and the map a mistake."""

LonLat = tuple[float, float]
Check = Callable[[Any], Any]
"""Takes a JSON value, gives the checked value or raises ValueError (or `UnknownValueError`)."""


@dataclass(frozen=True, slots=True)
class MapProblem:
    """One thing wrong with a map file.

    `feature` is the index in the file's `features`, None where the file as a whole is meant;
    `line` and `column` (from 1) are known for JSON syntax errors only. Warnings do not stop a
    load.
    """

    file: Path
    message: str
    feature: int | None = None
    name: str = ""
    key: str = ""
    suggestion: str | None = None
    line: int | None = None
    column: int | None = None
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}"
        if self.line is not None:
            place += f":{self.line}:{self.column}"
        return f"{place}: {self.text}"

    @property
    def text(self) -> str:
        """The problem without the file's name."""
        parts = []
        if self.feature is not None:
            parts.append(f"feature {self.feature}" + (f" ({self.name})" if self.name else ""))
        if self.key:
            parts.append(self.key)
        hint = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        return ": ".join([*parts, self.message]) + hint


class SiteMapError(ValueError):
    """The map cannot be used; `problems` says everything that is wrong with it."""

    def __init__(self, problems: Sequence[MapProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownValueError(ValueError):
    """Not one of the known values, but perhaps close to one."""

    def __init__(self, message: str, suggestion: str | None) -> None:
        super().__init__(message)
        self.suggestion = suggestion


# What drawing programs add on their own (simplestyle-spec; QGIS and OGR write fid and name).
_DECORATION = re.compile(r"fid|name|title|description|(stroke|fill|marker)(-[a-z]+)?")


def features(
    path: Path,
    geometry: str,
    table: Mapping[str, Check],
    required: Sequence[str],
    problems: list[MapProblem],
) -> Iterator[FeatureReader]:
    """Readers of all features whose outer form is right; problems of the others are noted."""
    document = _json(path, problems)
    if document is None:
        return
    if document.get("type") != "FeatureCollection" or not isinstance(
        document.get("features"), list
    ):
        problems.append(MapProblem(path, "is not a GeoJSON FeatureCollection (RFC 7946)"))
        return
    if "crs" in document and "CRS84" not in json.dumps(document["crs"]):
        problems.append(
            MapProblem(path, "names another coordinate system; RFC 7946 knows WGS-84 only")
        )
        return
    if len(document["features"]) > MAX_FEATURES:
        problems.append(MapProblem(path, f"has more than {MAX_FEATURES} features"))
        return
    for index, feature in enumerate(document["features"]):
        reader = FeatureReader(path, index, problems)
        if reader.read(feature, geometry, table, required):
            yield reader


def _json(path: Path, problems: list[MapProblem]) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"is larger than {MAX_BYTES // 1_000_000} MB")
        if not path.is_file():
            raise ValueError("is not a file")
        document = json.loads(
            path.read_text("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_unique_keys
        )
    except OSError as error:
        problems.append(MapProblem(path, (error.strerror or str(error)).lower()))
    except UnicodeDecodeError:
        problems.append(MapProblem(path, "is not UTF-8"))
    except json.JSONDecodeError as error:
        problems.append(
            MapProblem(path, f"is not JSON: {error.msg}", line=error.lineno, column=error.colno)
        )
    except RecursionError:
        problems.append(MapProblem(path, "is nested too deeply"))
    except ValueError as error:
        problems.append(MapProblem(path, str(error)))
    else:
        if isinstance(document, dict):
            return document
        problems.append(MapProblem(path, "is not a GeoJSON FeatureCollection (RFC 7946)"))
    return None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return table


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _printable(name: str) -> str:
    """Text from a file, fit to be printed (no control characters, no lone surrogates)."""
    return repr(name)[1:-1][:60]


@dataclass(slots=True)
class FeatureReader:
    """One feature being read: its checked properties and the problems found so far."""

    file: Path
    index: int
    problems: list[MapProblem]
    name: str = ""
    coordinates: Any = None
    values: dict[str, Any] = field(default_factory=dict)
    broken: bool = False

    def problem(
        self, where: str, message: str, suggestion: str | None = None, *, warning: bool = False
    ) -> None:
        self.broken = self.broken or not warning
        self.problems.append(
            MapProblem(
                self.file, message, self.index, self.name, where, suggestion, warning=warning
            )
        )

    def read(
        self, feature: Any, geometry: str, table: Mapping[str, Check], required: Sequence[str]
    ) -> bool:
        """Check type, properties and geometry kind; False: nothing more can be said."""
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            self.problem("type", 'expected an object with "type": "Feature"')
            return False
        properties = feature.get("properties")
        if not isinstance(properties, dict):
            self.problem("properties", "expected an object")
            return False
        if isinstance(properties.get("id"), str):
            self.name = _printable(properties["id"])
        self._read_properties(properties, table, required)
        for name in required:
            if name not in properties:
                self.problem(name, "is missing")
        shape = feature.get("geometry")
        if not isinstance(shape, dict) or shape.get("type") != geometry:
            kind = shape.get("type") if isinstance(shape, dict) else shape
            self.problem("geometry", f"expected a {geometry}, not {short(kind)}")
            return False
        self.coordinates = shape.get("coordinates")
        return True

    def _read_properties(
        self, properties: dict[str, Any], table: Mapping[str, Check], required: Sequence[str]
    ) -> None:
        for name, value in properties.items():
            check = table.get(name)
            if check is None:
                if not _DECORATION.fullmatch(name):
                    close = get_close_matches(name, table, 1)
                    self.problem(_printable(name), "unknown property", close[0] if close else None)
            elif value is not None:  # editors write null for an attribute that is not set
                try:
                    self.values[name] = check(value)
                except UnknownValueError as unlike:
                    self.problem(name, str(unlike), unlike.suggestion)
                except ValueError as error:
                    self.problem(name, str(error))
            elif name in required:
                self.problem(name, "is null")

    def rings(self, origin: tuple[float, float]) -> tuple[tuple[LonLat, ...], ...] | None:
        """Checked open rings (last ≠ first), the outer one first."""
        value = self.coordinates
        if not isinstance(value, list) or not 1 <= len(value) <= 64:
            self.problem("geometry", "expected a list of rings")
            return None
        rings = []
        for ring in value:
            line = self._positions(ring, origin, at_least=4)
            if line is None:
                return None
            if line[0] != line[-1]:
                self.problem("geometry", "a ring must end where it starts")
                return None
            points = [metres(pair, origin) for pair in line[:-1]]
            if _crosses_itself(points):
                self.problem("geometry", "the ring crosses itself")
                return None
            rings.append(line[:-1])
        return tuple(rings)

    def line(self, origin: tuple[float, float]) -> tuple[LonLat, ...] | None:
        """Checked (longitude, latitude) pairs of a LineString."""
        return self._positions(self.coordinates, origin, at_least=2)

    def _positions(
        self, value: Any, origin: tuple[float, float], *, at_least: int
    ) -> tuple[LonLat, ...] | None:
        """Checked (longitude, latitude) pairs near the origin, without repeated vertices."""
        if not isinstance(value, list) or not at_least <= len(value) <= MAX_POSITIONS:
            self.problem("geometry", f"expected a list of {at_least}..{MAX_POSITIONS} positions")
            return None
        line: list[LonLat] = []
        for number, position in enumerate(value):
            pair = _lon_lat(position)
            if pair is None:
                self.problem(
                    "geometry",
                    f"position {number}: expected [longitude, latitude], not {short(position)}",
                )
                return None
            distance = math.hypot(*metres(pair, origin))
            if distance > MAX_DISTANCE:
                swapped = math.hypot(*metres((pair[1], pair[0]), origin)) <= MAX_DISTANCE
                self.problem(
                    "geometry",
                    f"position {number}: [{pair[0]:g}, {pair[1]:g}] is {distance / 1000:.0f} km "
                    "from the origin",
                    f"[{pair[1]:g}, {pair[0]:g}], longitude first" if swapped else None,
                )
                return None
            if not line or line[-1] != pair:
                line.append(pair)
        if len(line) < at_least:
            self.problem("geometry", f"fewer than {at_least} different positions")
            return None
        return tuple(line)


def _lon_lat(position: Any) -> LonLat | None:
    if not isinstance(position, list) or not 2 <= len(position) <= 4:
        return None
    for value in position:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e6:
            return None
    return float(position[0]), float(position[1])


def _crosses_itself(ring: Sequence[tuple[float, float]]) -> bool:
    """Whether two edges that are not neighbours cross properly (quadratic; rings are short)."""
    edges = list(zip(ring, [*ring[1:], ring[0]], strict=True))
    for i, (a, b) in enumerate(edges):
        for c, d in edges[i + 2 : len(edges) - (i == 0)]:
            if _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0:
                return True
    return False


def _side(a: tuple[float, float], b: tuple[float, float], p: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def metres(pair: LonLat, origin: tuple[float, float]) -> tuple[float, float]:
    """East and north of the origin, m; good to 0.2 % within 20 km (for checks, not for placing)."""
    phi = math.radians(origin[0])
    e2 = WGS84_F * (2.0 - WGS84_F)
    w2 = 1.0 - e2 * math.sin(phi) ** 2
    north = math.radians(pair[1] - origin[0]) * WGS84_A * (1.0 - e2) / w2**1.5
    turn = math.remainder(pair[0] - origin[1], 360.0)
    return math.radians(turn) * WGS84_A * math.cos(phi) / math.sqrt(w2), north
