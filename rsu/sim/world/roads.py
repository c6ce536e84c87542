"""The site map as drivers need it: routes through the junction, what crosses them, how fast.

A `SiteMap` goes in. Out comes `Roads`: every way from an entry lane to an exit as one `Route` with
its stop line, its speed envelope and the crosswalks on it, and the table of where two connections
get in each other's way. All of it is worked out once, so that a step of the world only looks up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import shapely

from rsu.sim.errors import SimulationError
from rsu.sim.world.paths import Floats, Path, joined
from rsu.sim.world.road_users import BRAKING, WIDEST
from rsu.site.lanes import Lane, LaneKind, LaneRole, Maneuver, SiteMap

DEFAULT_LIMIT = 13.889
"""m/s where a lane states none: 50 km/h, usual in towns."""
LATERAL_ACCELERATION = 2.5
"""m/s², what drivers accept in a turn (2 to 3 in urban curves, Treiber & Kesting 2013, ch. 12)."""
CLEARANCE = WIDEST + 0.4
"""m between centrelines below which two of the widest vehicles would touch, with 0.2 m each."""
KERB = 0.3
"""m kept free between a vehicle's side and a walker."""
SAMPLE = 0.25
"""m between the points at which lines are compared; far below every margin above."""
ENVELOPE_STEP = 1.0
MANEUVER_WEIGHT = {Maneuver.STRAIGHT: 3.0, Maneuver.U_TURN: 0.2}
"""Share of a way in the demand, others 1: most traffic goes straight on (assumed 3 : 1 : 1)."""


DRIVABLE = frozenset({LaneKind.VEHICLE, LaneKind.BIKE, LaneKind.PARKING_AISLE})


@dataclass(frozen=True, slots=True)
class Crossing:
    """A crosswalk on a route: occupied for fronts in [enter, leave + vehicle length].

    `band` is the part of the crosswalk, m from its drawn start, that the widest vehicle sweeps.
    """

    crosswalk: str
    enter: float
    leave: float
    band: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two connections that get in each other's way: the stretch of each, m from its start.

    `diverging` connections leave the same lane: there one follows the other instead of waiting.
    """

    mine: tuple[float, float]
    other: tuple[float, float]
    diverging: bool


@dataclass(frozen=True, eq=False)
class Route:
    """One way through: `starts` holds where each of `lanes` begins along `path`, m.

    `connection` is the lane inside the junction (None: the way crosses no junction), `stop` the
    arc length of its stop line, `envelope` the highest speed every `ENVELOPE_STEP` m.
    """

    index: int
    lanes: tuple[str, ...]
    starts: tuple[float, ...]
    path: Path
    entry: str
    connection: str | None
    connection_start: float
    connection_end: float
    stop: float
    group: int | None
    weight: float
    envelope: tuple[float, ...]
    crossings: tuple[Crossing, ...]
    bicycle: bool

    def allowed(self, s: float) -> float:
        """Highest speed at arc length `s`, m/s."""
        index = min(max(int(s / ENVELOPE_STEP), 0), len(self.envelope) - 1)
        return self.envelope[index]


@dataclass(frozen=True, eq=False)
class Roads:
    """All routes and the conflicts between connections, keyed (mine, other)."""

    lanes: Mapping[str, Lane]
    routes: tuple[Route, ...]
    conflicts: Mapping[tuple[str, str], Conflict]
    crosswalks: Mapping[str, Lane]

    @property
    def connections(self) -> dict[str, Lane]:
        """Connections that some route uses, in the map's order."""
        used = {route.connection for route in self.routes}
        return {name: lane for name, lane in self.lanes.items() if name in used}


def build_roads(site_map: SiteMap) -> Roads:
    """Raises SimulationError, naming the lane, for a map in which nobody can drive."""
    lanes = {lane.id: lane for lane in site_map.lanes}
    drivable = {name: lane for name, lane in lanes.items() if lane.kind in DRIVABLE}
    if not drivable:
        raise SimulationError("the map has no lane of kind vehicle or bike to drive on")
    crosswalks = {name: lane for name, lane in lanes.items() if lane.kind is LaneKind.CROSSWALK}
    routes = tuple(
        _route(index, way, crosswalks)
        for index, way in enumerate(way for entry in _entries(drivable)
                                    for way in _ways((entry,), drivable))
    )  # fmt: skip
    return Roads(lanes, routes, _conflicts(routes, drivable), crosswalks)


def _entries(drivable: Mapping[str, Lane]) -> list[Lane]:
    followed = {name for lane in drivable.values() for name in lane.successors}
    entries = [lane for name, lane in drivable.items() if name not in followed]
    if not entries:
        raise SimulationError("every lane follows another: no lane on which traffic could enter")
    for lane in entries:
        if lane.role in (LaneRole.CONNECTION, LaneRole.EXIT):
            raise SimulationError(
                f"no lane leads to the {lane.role.value} {lane.id!r}: "
                "name it in the successors of an entry lane"
            )
    return entries


def _ways(way: tuple[Lane, ...], drivable: Mapping[str, Lane]) -> Iterator[tuple[Lane, ...]]:
    last = way[-1]
    onward = [drivable[name] for name in last.successors if name in drivable]
    if not onward:
        if last.role in (LaneRole.ENTRY, LaneRole.CONNECTION):
            raise SimulationError(f"the {last.role.value} {last.id!r} leads nowhere: no successors")
        yield way
    for lane in onward:
        if lane in way:
            raise SimulationError(f"lane {lane.id!r} leads back to itself: traffic never leaves")
        yield from _ways((*way, lane), drivable)


def _route(index: int, way: tuple[Lane, ...], crosswalks: Mapping[str, Lane]) -> Route:
    try:
        path = joined([lane.centreline for lane in way])
    except ValueError as error:
        raise SimulationError(f"lane {way[0].id!r}: {error}") from error
    starts, end = [], 0.0
    for lane in way:
        # Where lines are drawn with a small gap or overlap, the joined path decides.
        starts.append(end)
        end += Path(lane.centreline).length
    scale = path.length / end
    starts = [start * scale for start in starts]
    inside = [i for i, lane in enumerate(way) if lane.role is LaneRole.CONNECTION]
    if len(inside) > 1:
        raise SimulationError(
            f"the way from {way[0].id!r} crosses two junctions "
            f"({', '.join(way[i].id for i in inside)}): this world has one"
        )
    if inside == [0]:
        raise SimulationError(f"connection {way[0].id!r} has no lane before it")
    connection, first, last, stop = None, math.inf, math.inf, math.inf
    weight = 1.0
    if inside:
        connection = way[inside[0]]
        first = starts[inside[0]]
        last = starts[inside[0] + 1] if inside[0] + 1 < len(way) else path.length
        before = way[inside[0] - 1]
        line = before.stop_line if before.stop_line is not None else math.inf
        stop = min(starts[inside[0] - 1] + line, first)
        if connection.maneuver is not None:
            weight = MANEUVER_WEIGHT.get(connection.maneuver, 1.0)
    return Route(
        index=index,
        lanes=tuple(lane.id for lane in way),
        starts=tuple(starts),
        path=path,
        entry=way[0].id,
        connection=connection.id if connection else None,
        connection_start=first,
        connection_end=last,
        stop=stop,
        group=connection.signal_group if connection else None,
        weight=weight,
        envelope=_envelope(path, way, starts),
        crossings=tuple(sorted(_crossings(path, crosswalks), key=lambda crossing: crossing.enter)),
        bicycle=way[0].kind is LaneKind.BIKE,
    )


def _envelope(path: Path, way: tuple[Lane, ...], starts: list[float]) -> tuple[float, ...]:
    """Speed limits and curves, with the braking before them already in."""
    s = np.arange(0.0, path.length + ENVELOPE_STEP, ENVELOPE_STEP)
    limits = np.array([lane.speed_limit or DEFAULT_LIMIT for lane in way])
    speed = limits[np.clip(np.searchsorted(starts, s, side="right") - 1, 0, None)]
    # The radius from three points 6 m apart: about a car's length, so that kinks of a drawn
    # polyline count as the smooth curve they stand for.
    reach = 3.0
    x0, x1, x2 = (
        np.array([path.at(float(v) + d) for v in s]) for d in (-reach, 0.0, reach)
    )  # fmt: skip
    turn = np.abs(
        np.cross(np.c_[x1 - x0, np.zeros(len(s))], np.c_[x2 - x1, np.zeros(len(s))])[:, 2]
    ) / (reach * reach)
    curvature = np.maximum(turn / reach, 1e-6)
    speed = np.minimum(speed, np.sqrt(LATERAL_ACCELERATION / curvature))
    for i in range(len(speed) - 2, -1, -1):
        speed[i] = min(speed[i], math.sqrt(speed[i + 1] ** 2 + 2.0 * BRAKING * ENVELOPE_STEP))
    return tuple(speed.tolist())


def _crossings(path: Path, crosswalks: Mapping[str, Lane]) -> Iterator[Crossing]:
    s, points = path.sampled(SAMPLE)
    # At an angle a corner reaches farther than half the width: the full half width in both
    # directions is on the safe side.
    reach = WIDEST / 2 + KERB
    swept = shapely.LineString(path.points).buffer(reach, cap_style="flat")
    for name, lane in crosswalks.items():
        line = shapely.LineString(lane.centreline)
        area = line.buffer(lane.width / 2, cap_style="flat")
        if not swept.intersects(line):
            continue
        near = shapely.contains_xy(area.buffer(reach), points[:, 0], points[:, 1])
        shared = shapely.get_coordinates(shapely.intersection(swept, area))
        along = [line.project(shapely.Point(point)) for point in shared]
        yield Crossing(
            crosswalk=name,
            enter=float(s[near][0]),
            leave=float(s[near][-1]),
            band=(min(along), max(along)),
        )


def _conflicts(
    routes: tuple[Route, ...], drivable: Mapping[str, Lane]
) -> dict[tuple[str, str], Conflict]:
    before: dict[str, str] = {}
    for route in routes:
        if route.connection is not None:
            before.setdefault(
                route.connection, route.lanes[route.lanes.index(route.connection) - 1]
            )
    lines: dict[str, tuple[Floats, Floats]] = {
        name: Path(drivable[name].centreline).sampled(SAMPLE) for name in before
    }
    found: dict[tuple[str, str], Conflict] = {}
    for mine, (s, points) in lines.items():
        for other, (t, others) in lines.items():
            if mine == other:
                continue
            close = (
                np.hypot(*(points[:, None, :] - others[None, :, :]).transpose(2, 0, 1)) < CLEARANCE
            )
            diverging = before[mine] == before[other]
            if diverging:
                # Only the fork itself: the same two ways could meet again farther on.
                apart = np.flatnonzero(~close.any(axis=1))
                if len(apart):
                    close[apart[0] :] = False
            if close.any():
                a, b = s[close.any(axis=1)], t[close.any(axis=0)]
                found[mine, other] = Conflict(
                    (float(a[0]), float(a[-1])), (float(b[0]), float(b[-1])), diverging
                )
    return found
