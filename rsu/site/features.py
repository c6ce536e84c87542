"""Map files → checked lane and zone records, still in WGS-84.

This is the light half of reading a map: plain Python, so that `rsu config check` can look at every
feature without loading numpy. `read_map` reports all problems of both files at once; the property
tables below are documented in docs/site-map.md. `rsu.site.lanes` turns the records into arrays in
the site frame.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from rsu.site.geojson import (
    Check,
    FeatureReader,
    LonLat,
    MapProblem,
    UnknownValueError,
    features,
    metres,
    short,
)

GAP = 2.0
"""m between the end of a lane and its successor's start above which the map looks torn: half a
lane width, and more than drawing by hand on an aerial image leaves open."""


class LaneKind(StrEnum):
    """Who uses a lane (the lane types of DE_LaneTypeAttributes that carry road users)."""

    VEHICLE = "vehicle"
    BIKE = "bike"
    CROSSWALK = "crosswalk"
    SIDEWALK = "sidewalk"
    PARKING_AISLE = "parking-aisle"
    TRACKED = "tracked"

    @property
    def on_foot(self) -> bool:
        """Made for walkers."""
        return self in (LaneKind.CROSSWALK, LaneKind.SIDEWALK)


class LaneRole(StrEnum):
    """Where a lane lies as seen from its intersection."""

    ENTRY = "entry"
    EXIT = "exit"
    CONNECTION = "connection"


class Maneuver(StrEnum):
    STRAIGHT = "straight"
    LEFT = "left"
    RIGHT = "right"
    U_TURN = "u-turn"


class Direction(StrEnum):
    """Which way traffic runs with respect to the drawn line."""

    FORWARD = "forward"
    BOTH = "both"


class ZoneKind(StrEnum):
    BAY = "bay"
    JUNCTION = "junction"
    NO_STOPPING = "no-stopping"
    FIRE_LANE = "fire-lane"
    WAITING = "waiting"
    WORK = "work"
    WATCH = "watch"


class _Parks(StrEnum):
    """Classes of vehicles that bays are made for (names of `rsu.schema.sensing.ObjectClass`)."""

    BICYCLE = "bicycle"
    MOTORCYCLE = "motorcycle"
    CAR = "car"
    VAN = "van"
    TRUCK = "truck"
    BUS = "bus"


@dataclass(frozen=True, slots=True)
class LaneFeature:
    """One lane as drawn: `line` is (longitude, latitude) in driving direction."""

    index: int
    line: tuple[LonLat, ...]
    id: str
    kind: LaneKind
    width: float
    role: LaneRole | None = None
    maneuver: Maneuver | None = None
    direction: Direction = Direction.FORWARD
    speed_limit: float | None = None
    upstream_node: int | None = None
    downstream_node: int | None = None
    lane_id: int | None = None
    successors: tuple[str, ...] = ()
    signal_group: int | None = None
    stop_line: float | None = None
    yields_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneFeature:
    """One area as drawn: `rings` are open (last ≠ first), the outer one first, then holes."""

    index: int
    rings: tuple[tuple[LonLat, ...], ...]
    id: str
    kind: ZoneKind
    title: str = ""
    lot: str | None = None
    lane: str | None = None
    permitted: tuple[str, ...] = ()
    max_stay_s: float | None = None


@dataclass(slots=True)
class MapFeatures:
    """Everything in both files that could be read, and what is wrong with the rest."""

    lanes: list[LaneFeature] = field(default_factory=list)
    zones: list[ZoneFeature] = field(default_factory=list)
    problems: list[MapProblem] = field(default_factory=list)

    @property
    def errors(self) -> list[MapProblem]:
        return [problem for problem in self.problems if not problem.warning]


def read_map(
    lanes_path: Path | None, zones_path: Path | None, origin: tuple[float, float]
) -> MapFeatures:
    """Read and check both files of a site; `origin` is (latitude, longitude) in degrees.

    Never raises for what the files hold: look at `problems`.
    """
    found = MapFeatures()
    if lanes_path is not None:
        for reader in features(
            lanes_path, "LineString", _LANE, ("id", "kind", "width"), found.problems
        ):
            line = reader.line(origin)
            if line is None or reader.broken:
                continue
            lane = LaneFeature(index=reader.index, line=line, **_with_defaults(reader.values))
            found.lanes.append(lane)
            _check_lane(lane, reader, origin)
    if zones_path is not None:
        for reader in features(zones_path, "Polygon", _ZONE, ("id", "kind"), found.problems):
            rings = reader.rings(origin)
            if rings is None or reader.broken:
                continue
            zone = ZoneFeature(index=reader.index, rings=rings, **reader.values)
            found.zones.append(zone)
            if zone.kind is ZoneKind.BAY and zone.lot is None:
                reader.problem("lot", "a bay needs the lot it is reported in")
            for name in ("permitted", "max_stay_s"):
                if zone.kind is not ZoneKind.BAY and name in reader.values:
                    reader.problem(name, "only a bay has it")
    _check_references(found, lanes_path, zones_path, origin)
    return found


# --- properties -----------------------------------------------------------------------------------

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def _identifier(value: Any) -> str:
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ValueError(
            f"{short(value)} is not a name: lower-case letters, digits, - and _, letter first, "
            "at most 32"
        )
    return value


def _identifiers(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list of names, not {short(value)}")
    names = tuple(_identifier(item) for item in value)
    if len(set(names)) != len(names):
        raise ValueError("names a lane twice")
    return names


def _number(low: float, high: float, unit: str) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"expected a number of {unit}, not {short(value)}")
        if not low <= value <= high:
            raise ValueError(f"{short(value)} is outside {low:g}..{high:g} {unit}")
        return float(value)

    return check


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"expected a whole number, not {short(value)}")
        if not low <= value <= high:
            raise ValueError(f"{short(value)} is outside {low}..{high}")
        return value

    return check


def _one_of(kind: type[StrEnum]) -> Check:
    names = [member.value for member in kind]

    def check(value: Any) -> StrEnum:
        if value not in names:
            close = get_close_matches(value, names, 1) if isinstance(value, str) else []
            raise UnknownValueError(
                f"{short(value)} is not one of {', '.join(names)}", close[0] if close else None
            )
        return kind(value)

    return check


def _vehicles(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list of vehicle classes, not {short(value)}")
    return tuple(_one_of(_Parks)(item).value for item in value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 80:
        raise ValueError(f"expected text of at most 80 characters, not {short(value)}")
    return value


_LANE: Mapping[str, Check] = {
    "id": _identifier,
    "kind": _one_of(LaneKind),
    "width": _number(0.3, 30.0, "m"),
    "role": _one_of(LaneRole),
    "maneuver": _one_of(Maneuver),
    "direction": _one_of(Direction),
    "speed_limit": _number(0.0, 100.0, "m/s"),
    "upstream_node": _integer(0, 65535),  # NodeID
    "downstream_node": _integer(0, 65535),
    "lane_id": _integer(1, 254),  # LaneID: 0 is invalid, 255 reserved
    "successors": _identifiers,
    "signal_group": _integer(1, 255),  # PhaseID: 0 is invalid
    "stop_line": _number(0.0, 100_000.0, "m"),
    "yields_to": _identifiers,
}
_ZONE: Mapping[str, Check] = {
    "id": _identifier,
    "kind": _one_of(ZoneKind),
    "title": _text,
    "lot": _identifier,
    "lane": _identifier,
    "permitted": _vehicles,
    "max_stay_s": _number(1.0, 31_536_000.0, "s"),  # up to a year
}


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    if "direction" not in values and values["kind"].on_foot:
        return {**values, "direction": Direction.BOTH}
    return values


# --- checks across properties and features --------------------------------------------------------


def _check_lane(lane: LaneFeature, reader: FeatureReader, origin: tuple[float, float]) -> None:
    if (lane.upstream_node is None) != (lane.downstream_node is None):
        missing = "upstream_node" if lane.upstream_node is None else "downstream_node"
        reader.problem(missing, "a link has both an upstream and a downstream node")
    if lane.role is LaneRole.CONNECTION and lane.maneuver is None:
        reader.problem("maneuver", "a connection says which way it turns")
    if lane.stop_line is not None:
        points = [metres(pair, origin) for pair in lane.line]
        length = sum(math.dist(a, b) for a, b in pairwise(points))
        if lane.stop_line > 1.005 * length + 0.5:
            reader.problem(
                "stop_line", f"{lane.stop_line:g} m lies beyond the lane's {length:.1f} m"
            )


def _check_references(
    found: MapFeatures,
    lanes_path: Path | None,
    zones_path: Path | None,
    origin: tuple[float, float],
) -> None:
    problems = found.problems
    seen: dict[str, str] = {}
    files = [(lanes_path, lane) for lane in found.lanes] + [
        (zones_path, zone) for zone in found.zones
    ]
    for path, feature in files:
        assert path is not None
        if feature.id in seen:
            problems.append(
                MapProblem(path, f"already used by {seen[feature.id]}", feature.index, feature.id,
                           "id")
            )  # fmt: skip
        else:
            seen[feature.id] = f"feature {feature.index} of {path.name}"
    lanes = {lane.id: lane for lane in found.lanes}
    if lanes_path is not None:
        problems.extend(_lane_references(found.lanes, lanes, lanes_path, origin))
        problems.extend(_lane_numbers(found.lanes, lanes_path))
    for zone in found.zones:
        if zone.lane is not None and zone.lane not in lanes:
            assert zones_path is not None
            problems.append(_unknown_lane(zones_path, zone, "lane", zone.lane, lanes))


def _lane_references(
    features: Iterable[LaneFeature],
    lanes: Mapping[str, LaneFeature],
    path: Path,
    origin: tuple[float, float],
) -> Iterator[MapProblem]:
    for lane in features:
        for where, names in (("successors", lane.successors), ("yields_to", lane.yields_to)):
            for name in names:
                if name not in lanes:
                    yield _unknown_lane(path, lane, where, name, lanes)
                elif name == lane.id:
                    yield MapProblem(path, "names the lane itself", lane.index, lane.id, where)
        for name in lane.successors:
            gap = _gap(lane, lanes[name], origin) if name in lanes else 0.0
            if gap > GAP:
                yield MapProblem(
                    path, f"{name} starts {gap:.1f} m from this lane's end", lane.index, lane.id,
                    "successors", warning=True,
                )  # fmt: skip


def _gap(lane: LaneFeature, successor: LaneFeature, origin: tuple[float, float]) -> float:
    both = Direction.BOTH
    ends = lane.line[-1:] if lane.direction is not both else (lane.line[0], lane.line[-1])
    starts = successor.line[:1]
    if successor.direction is both:
        starts = (successor.line[0], successor.line[-1])
    return min(
        math.dist(metres(end, origin), metres(start, origin)) for end in ends for start in starts
    )


def _lane_numbers(features: Iterable[LaneFeature], path: Path) -> Iterator[MapProblem]:
    taken: dict[tuple[int | None, int | None, int], str] = {}
    for lane in features:
        if lane.lane_id is None:
            continue
        key = (lane.upstream_node, lane.downstream_node, lane.lane_id)
        if key in taken:
            yield MapProblem(
                path, f"{lane.lane_id} is already lane {taken[key]} of the same link", lane.index,
                lane.id, "lane_id",
            )  # fmt: skip
        taken.setdefault(key, lane.id)


def _unknown_lane(
    path: Path,
    feature: LaneFeature | ZoneFeature,
    where: str,
    name: str,
    lanes: Mapping[str, LaneFeature],
) -> MapProblem:
    close = get_close_matches(name, lanes, 1)
    return MapProblem(
        path, f"there is no lane {name!r}", feature.index, feature.id, where,
        close[0] if close else None,
    )  # fmt: skip
