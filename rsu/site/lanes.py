"""The site map in the site frame: lanes, zones, and the questions that are asked of them.

`load_site_map` reads the two GeoJSON files of a site (docs/site-map.md) and gives a `SiteMap`:
immutable lanes and zones with numpy geometry (metres, east/north), the graph between lanes, and
vectorised queries — which lane is a point on and how far along, which zones is it in. Read by
fusion, situation, V2X and the simulator. numpy is needed here; shapely only once zones are asked
about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rsu.site.features import (
    Direction,
    LaneFeature,
    LaneKind,
    LaneRole,
    Maneuver,
    ZoneFeature,
    ZoneKind,
    read_map,
)
from rsu.site.geodesy import LocalFrame
from rsu.site.geojson import LonLat, MapProblem, SiteMapError
from rsu.site.segments import Segments

__all__ = [
    "Direction",
    "Lane",
    "LaneKind",
    "LaneMatch",
    "LaneRole",
    "Maneuver",
    "MapProblem",
    "SiteMap",
    "SiteMapError",
    "Zone",
    "ZoneKind",
    "load_site_map",
]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

HEADING_COST = 2.0
"""m per rad: what a heading that disagrees with a lane costs against the distance to another one.
Where lanes cross or fork inside a junction the distances alone say nothing: at 2 m/rad a lane in
the right direction wins over a nearer crossing one (π/2 · 2 ≈ 3 m, about a lane width)."""


@dataclass(frozen=True, eq=False)
class Lane:
    """One lane. `centreline` is N × 2 (m, site frame), drawn in the direction of travel.

    `stop_line` is a distance along the centreline, m; `successors` and `yields_to` are lane ids;
    `upstream_node`/`downstream_node` name the link and `lane_id` (1..254) the lane within it.
    `signal_group` governs *entering* this lane.
    """

    id: str
    kind: LaneKind
    centreline: Floats
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

    @cached_property
    def stations(self) -> Floats:
        """Distance along the lane at every vertex, m, shape (N,)."""
        steps = np.hypot(*np.diff(self.centreline, axis=0).T)
        return np.concatenate(([0.0], np.cumsum(steps)))

    @property
    def length(self) -> float:
        """m along the centreline."""
        return float(self.stations[-1])

    def at(self, station: float) -> tuple[float, float, float]:
        """Position (m) and heading (rad, from east) at a distance along; beyond the ends: straight
        on."""
        stations = self.stations
        index = int(np.searchsorted(stations, station, side="right")) - 1
        index = min(max(index, 0), len(stations) - 2)
        (x0, y0), (x1, y1) = self.centreline[index : index + 2].tolist()
        share = (station - stations[index]) / (stations[index + 1] - stations[index])
        heading = float(np.arctan2(y1 - y0, x1 - x0))
        return float(x0 + share * (x1 - x0)), float(y0 + share * (y1 - y0)), heading


@dataclass(frozen=True, eq=False)
class Zone:
    """An area: `ring` is its outline (N × 2, m, open), `holes` what is cut out of it.

    A zone of kind `bay` is one parking bay of `lot`, reached from the aisle `lane`, for vehicles
    of the classes `permitted` (none: of all) and for at most `max_stay_s` (None: for ever).
    """

    id: str
    kind: ZoneKind
    ring: Floats
    holes: tuple[Floats, ...] = ()
    title: str = ""
    lot: str | None = None
    lane: str | None = None
    permitted: tuple[str, ...] = ()
    max_stay_s: float | None = None

    @cached_property
    def polygon(self) -> Any:
        """The area as a prepared `shapely.Polygon`."""
        import shapely

        polygon = shapely.Polygon(self.ring, self.holes)
        shapely.prepare(polygon)
        return polygon

    @property
    def area(self) -> float:
        """m²."""
        return float(self.polygon.area)

    @property
    def centre(self) -> tuple[float, float]:
        """Centroid, m."""
        point = self.polygon.centroid
        return float(point.x), float(point.y)

    def contains(self, points: npt.ArrayLike) -> Flags:
        """Which of N × 2 points lie inside (the outline itself does not), shape (N,)."""
        import shapely

        xy = _points(points)
        return np.asarray(shapely.contains_xy(self.polygon, xy[:, 0], xy[:, 1]), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class LaneMatch:
    """Where N points lie on the lanes; all arrays have shape (N,).

    `lane` indexes `SiteMap.lanes`, -1 where nothing was near. `station` is the distance along the
    lane, `lateral` the signed offset (m, positive to the left of the drawn direction), `distance`
    to the centreline (m), `heading` the direction of travel there (rad; turned round on two-way
    lanes where the given heading runs against the line), `inside` whether the point lies between
    the lane's edges. Values where `lane` is -1 are NaN or False.
    """

    lane: Indices
    station: Floats
    lateral: Floats
    distance: Floats
    heading: Floats
    inside: Flags


@dataclass(frozen=True, eq=False)
class SiteMap:
    """Everything that is known about the roads of one site, in its frame."""

    frame: LocalFrame
    lanes: tuple[Lane, ...] = ()
    zones: tuple[Zone, ...] = ()
    warnings: tuple[MapProblem, ...] = field(default=(), repr=False)

    @cached_property
    def lane_index(self) -> Mapping[str, int]:
        """Lane id → index into `lanes`."""
        return {lane.id: index for index, lane in enumerate(self.lanes)}

    def lane(self, name: str) -> Lane:
        """The lane of that id; KeyError where there is none."""
        return self.lanes[self.lane_index[name]]

    def zone(self, name: str) -> Zone:
        """The zone of that id; KeyError where there is none."""
        return self._zone_table[name]

    @cached_property
    def _zone_table(self) -> Mapping[str, Zone]:
        return {zone.id: zone for zone in self.zones}

    @cached_property
    def bays(self) -> tuple[Zone, ...]:
        """The parking bays, in file order."""
        return tuple(zone for zone in self.zones if zone.kind is ZoneKind.BAY)

    def lanes_of(self, *, kind: LaneKind | None = None, role: LaneRole | None = None) -> list[Lane]:
        """Lanes of a kind and a role, in file order."""
        return [
            lane
            for lane in self.lanes
            if (kind is None or lane.kind is kind) and (role is None or lane.role is role)
        ]

    @cached_property
    def predecessors(self) -> Mapping[str, tuple[str, ...]]:
        """Lane id → ids of the lanes that lead into it."""
        table: dict[str, list[str]] = {lane.id: [] for lane in self.lanes}
        for lane in self.lanes:
            for successor in lane.successors:
                table[successor].append(lane.id)
        return {name: tuple(leading) for name, leading in table.items()}

    def match(
        self,
        points: npt.ArrayLike,
        *,
        headings: npt.ArrayLike | None = None,
        kinds: Collection[LaneKind] | None = None,
        max_distance: float = 10.0,
        heading_cost: float = HEADING_COST,
    ) -> LaneMatch:
        """The nearest lane of each of N × 2 points (m, site frame).

        With `headings` (N, rad from east; NaN where unknown) a disagreeing direction costs
        `heading_cost` m per rad, so that crossing and opposite lanes lose. Only lanes of `kinds`
        (default: all) within `max_distance` m of their centreline count; of equals the first in
        the file wins.
        """
        xy = _points(points)
        chosen = self._chosen(None if kinds is None else frozenset(kinds))
        if not len(xy) or not len(chosen.lane):
            return _no_match(len(xy))
        row, near = chosen.near(xy, max_distance)
        # Column by column, which numpy does several times as fast as x[row, 0].
        from_x = xy[:, 0][row] - chosen.start[:, 0][near]
        from_y = xy[:, 1][row] - chosen.start[:, 1][near]
        way_x, way_y = chosen.along[:, 0][near], chosen.along[:, 1][near]
        along = np.minimum(np.maximum(from_x * way_x + from_y * way_y, 0.0), chosen.length[near])
        distance = np.hypot(from_x - along * way_x, from_y - along * way_y)
        against = np.zeros(len(row), dtype=np.bool_)
        price = distance
        if headings is not None:
            turn = _turn(np.asarray(headings, np.float64), row, chosen.heading[near])
            against = chosen.both[near] & (turn > np.pi / 2)
            turn = np.where(against, np.pi - turn, turn)
            price = distance + heading_cost * np.where(np.isnan(turn), 0.0, turn)
        cost = np.where(distance <= max_distance, price, np.inf)
        found, best = _cheapest(row, cost, len(xy))
        return self._pick(chosen, near, found, best, (from_x, from_y), along, distance, against)

    def _chosen(self, kinds: frozenset[LaneKind] | None) -> Segments:
        """The segments of lanes of these kinds."""
        found = self._by_kinds.get(kinds)
        if found is None:
            every = self._segments
            wanted = np.array(
                [kinds is None or lane.kind in kinds for lane in self.lanes], dtype=np.bool_
            )
            found = self._by_kinds[kinds] = every.some(np.flatnonzero(wanted[every.lane]))
        return found

    @cached_property
    def _by_kinds(self) -> dict[frozenset[LaneKind] | None, Segments]:
        return {}

    def _pick(
        self,
        segments: Segments,
        near: Indices,
        found: Flags,
        best: Indices,
        offset: tuple[Floats, Floats],
        along: Floats,
        distance: Floats,
        against: Flags,
    ) -> LaneMatch:
        """The pairs `best`, one for each point that `found` one."""
        match = _no_match(len(found))
        segment = near[best]
        lane, heading = segments.lane[segment], segments.heading[segment]
        way_x, way_y = segments.along[:, 0][segment], segments.along[:, 1][segment]
        left = way_x * offset[1][best] - way_y * offset[0][best]
        turned = np.remainder(heading, 2 * np.pi) - np.pi
        away = distance[best]
        match.lane[found] = lane
        match.station[found] = segments.station[segment] + along[best]
        match.lateral[found] = np.copysign(away, left)
        match.distance[found] = away
        match.heading[found] = np.where(against[best], turned, heading)
        match.inside[found] = away <= self._widths[lane] / 2
        return match

    @cached_property
    def _widths(self) -> Floats:
        return np.array([one.width for one in self.lanes])

    @cached_property
    def _segments(self) -> Segments:
        lane, start, vector, station, both = [], [], [], [], []
        for index, one in enumerate(self.lanes):
            count = len(one.centreline) - 1
            lane.append(np.full(count, index, dtype=np.intp))
            start.append(one.centreline[:-1])
            vector.append(np.diff(one.centreline, axis=0))
            station.append(one.stations[:-1])
            both.append(np.full(count, one.direction is Direction.BOTH))
        if not lane:
            none = np.empty(0)
            flat = np.empty((0, 2))
            return Segments(none.astype(np.intp), flat, flat, none, none, none, none.astype(bool))
        vectors = np.concatenate(vector)
        length = np.hypot(vectors[:, 0], vectors[:, 1])
        return Segments(
            lane=np.concatenate(lane),
            start=np.concatenate(start),
            along=vectors / length[:, None],
            length=length,
            station=np.concatenate(station),
            heading=np.arctan2(vectors[:, 1], vectors[:, 0]),
            both=np.concatenate(both),
        )

    def zones_at(self, points: npt.ArrayLike, zones: Iterable[Zone] | None = None) -> Flags:
        """Which of N × 2 points lie in which zone, shape (N, Z); `zones` defaults to all."""
        chosen = self.zones if zones is None else tuple(zones)
        xy = _points(points)
        if not chosen:
            return np.zeros((len(xy), 0), dtype=np.bool_)
        return np.stack([zone.contains(xy) for zone in chosen], axis=1)


def load_site_map(frame: LocalFrame, lanes_path: Path | None, zones_path: Path | None) -> SiteMap:
    """Read the map files of a site into its frame; either may be None.

    Raises SiteMapError with every problem of both files; warnings end up in `SiteMap.warnings`.
    """
    found = read_map(lanes_path, zones_path, (frame.latitude, frame.longitude))
    if found.errors:
        raise SiteMapError(found.errors)
    return SiteMap(
        frame,
        tuple(_lane(frame, feature) for feature in found.lanes),
        tuple(_zone(frame, feature) for feature in found.zones),
        tuple(found.problems),
    )


def _lane(frame: LocalFrame, drawn: LaneFeature) -> Lane:
    centreline = _place(frame, drawn.line)
    length = float(np.hypot(*np.diff(centreline, axis=0).T).sum())
    # Coordinates are rounded in the file, so a stop line at the very end may lie a little past it.
    stop_line = None if drawn.stop_line is None else min(drawn.stop_line, length)
    return Lane(
        id=drawn.id,
        kind=drawn.kind,
        centreline=centreline,
        width=drawn.width,
        role=drawn.role,
        maneuver=drawn.maneuver,
        direction=drawn.direction,
        speed_limit=drawn.speed_limit,
        upstream_node=drawn.upstream_node,
        downstream_node=drawn.downstream_node,
        lane_id=drawn.lane_id,
        successors=drawn.successors,
        signal_group=drawn.signal_group,
        stop_line=stop_line,
        yields_to=drawn.yields_to,
    )


def _zone(frame: LocalFrame, drawn: ZoneFeature) -> Zone:
    outline, *holes = (_place(frame, ring) for ring in drawn.rings)
    return Zone(
        drawn.id, drawn.kind, outline, tuple(holes), drawn.title, drawn.lot, drawn.lane,
        drawn.permitted, drawn.max_stay_s,
    )  # fmt: skip


def _place(frame: LocalFrame, line: tuple[LonLat, ...]) -> Floats:
    lonlat = np.array(line, dtype=np.float64)
    x, y, _ = frame.to_enu(lonlat[:, 1], lonlat[:, 0])
    placed = np.stack((x, y), axis=1)
    placed.setflags(write=False)
    return placed


def _points(points: npt.ArrayLike) -> Floats:
    xy = np.asarray(points, dtype=np.float64)
    if xy.size == 0:
        return np.empty((0, 2))
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"expected points of shape (N, 2), not {xy.shape}")
    return xy


def _cheapest(row: Indices, cost: Floats, count: int) -> tuple[Flags, Indices]:
    """Which of `count` rows have a pair of finite cost, and the cheapest pair of each of those.

    Pairs are in order of `row`; of equals the first wins.
    """
    least = np.full(count, np.inf)
    first_of_row = _begins(row).nonzero()[0]
    if len(row):
        least[row[first_of_row]] = np.minimum.reduceat(cost, first_of_row)
    cheapest = ((cost == least[row]) & np.isfinite(cost)).nonzero()[0]
    return np.isfinite(least), cheapest[_begins(row[cheapest])]


def _begins(row: Indices) -> Flags:
    """Where another row begins."""
    begins = np.ones(len(row), dtype=np.bool_)
    begins[1:] = row[1:] != row[:-1]
    return begins


def _turn(headings: Floats, row: Indices, lane: Floats) -> Floats:
    """Absolute angles in [0, π] rad between `headings[row]` and directions of lanes in [−π, π]."""
    apart = np.abs(np.remainder(headings, 2 * np.pi)[row] - lane)  # up to 3 π
    return np.asarray(np.minimum(apart, np.abs(2 * np.pi - apart)))


def _no_match(count: int) -> LaneMatch:
    station, lateral, distance, heading = np.full((4, count), np.nan)
    return LaneMatch(
        np.full(count, -1, dtype=np.intp), station, lateral, distance, heading,
        np.zeros(count, dtype=np.bool_),
    )  # fmt: skip
