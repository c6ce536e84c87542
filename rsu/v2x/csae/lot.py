"""A parking lot as PAM of T/CSAE 157-2020 sees it: nodes, the drives between them, slots at drives.

Made once from the site map: the bays of the lot, their access aisles, and the parking aisles that
hang together with these by their nodes. An aisle for both directions is two drives; its bays are
slots of the one in the drawn direction, so that none is counted twice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rsu.site.features import Direction, LaneKind
from rsu.site.lanes import Floats, Lane, SiteMap, Zone
from rsu.v2x.map.findings import Finding, MapExportError
from rsu.v2x.map.links import Link, LinkLane, Rounded, node_positions

NODES = 63
"""PAMNodeList, SIZE (1..63)."""
DRIVES = 63
"""PAMDriveList, SIZE (1..63)."""
SLOTS = 256
"""ParkingSlots, SIZE (1..256)."""
MOVEMENTS = 32
"""PAMMovementList, SIZE (1..32)."""

PARALLELOGRAM_ERROR = 0.3
"""m: how far the fourth corner may lie from where three corners put it, about the width of two
painted lines; a bay of another shape is stated without its corners."""
ALONG, ACROSS = math.radians(15), math.radians(75)
"""A bay whose long side is nearer than this to the drive's direction lies along it, farther off
across it; what is painted in between is 30°, 45° or 60°."""
SQUARE = 1.2
"""Sides closer than this to one another do not tell which is the long one (a car is 2.5 to 1)."""


@dataclass(frozen=True, eq=False)
class Corners:
    """A bay seen from its drive: `bottom` is the side one drives in over; m, site frame, (2,)."""

    top_left: Floats
    top_right: Floats
    bottom_left: Floats


@dataclass(frozen=True, eq=False)
class Slot:
    """A bay; `corners` None where it is no parallelogram, `theta` as ParkingSpaceTheta says it."""

    number: int
    bay: Zone
    corners: Corners | None
    theta: str


@dataclass(frozen=True, eq=False)
class Drive:
    """An aisle in one direction; `back` against the one it is drawn in."""

    lane: Lane
    upstream: int
    downstream: int
    back: bool
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, eq=False)
class Lot:
    """One lot. `entrances` and `exits` are nodes where other roads lead in and out."""

    drives: tuple[Drive, ...]
    positions: dict[int, Rounded]
    entrances: frozenset[int]
    exits: frozenset[int]

    @property
    def slots(self) -> dict[str, Slot]:
        """Bay id → slot."""
        return {slot.bay.id: slot for drive in self.drives for slot in drive.slots}

    def reachable(self, drive: Drive) -> list[int]:
        """Nodes one drive further, in order."""
        return sorted(
            {
                other.downstream
                for other in self.drives
                if other.upstream == drive.downstream and other.lane.id in drive.lane.successors
            }
        )


def lot_of(site: SiteMap, name: str) -> Lot:
    """The lot of that name. Raises MapExportError with everything that the map lacks for it."""
    bays = [bay for bay in site.bays if bay.lot == name]
    found = list(_missing(site, name, bays))
    if found:
        raise MapExportError(found)
    aisles = _aisles(site, bays)
    slots = _slots(site, bays)
    drives: list[Drive] = []
    for lane in aisles:
        up, down = _nodes(lane)
        own = tuple(slot for slot in slots if slot.bay.lane == lane.id)
        drives.append(Drive(lane, up, down, False, own))
        if lane.direction is Direction.BOTH:
            drives.append(Drive(lane, down, up, True))
    links = [Link(*_nodes(lane), (LinkLane(lane, 0),)) for lane in aisles]
    entrances, exits = _gates(site, aisles)
    lot = Lot(tuple(drives), node_positions(site, links), entrances, exits)
    if too_many := list(_too_many(lot)):
        raise MapExportError(too_many)
    return lot


def _missing(site: SiteMap, name: str, bays: Sequence[Zone]) -> Iterable[Finding]:
    if not bays:
        yield Finding("", "lot", f"no zone of kind bay belongs to lot {name}")
    for bay in bays:
        if bay.lane is None:
            yield Finding("", "lane", f"zone {bay.id}: missing: the aisle it is reached from")
    for access in dict.fromkeys(bay.lane for bay in bays if bay.lane is not None):
        yield from _without_nodes(site.lane(access))
    for lane in site.lanes_of(kind=LaneKind.PARKING_AISLE):
        # Half a link says nothing of where it hangs together with the lot.
        if (lane.upstream_node is None) != (lane.downstream_node is None):
            yield from _without_nodes(lane)


def _without_nodes(lane: Lane) -> Iterable[Finding]:
    for key in ("upstream_node", "downstream_node"):
        if getattr(lane, key) is None:
            yield Finding(lane.id, key, "missing: an aisle leads from node to node of its lot")


def _nodes(lane: Lane) -> tuple[int, int]:
    assert lane.upstream_node is not None
    assert lane.downstream_node is not None
    return lane.upstream_node, lane.downstream_node


def _aisles(site: SiteMap, bays: Sequence[Zone]) -> list[Lane]:
    """Access aisles of the bays and every parking aisle that hangs together with them."""
    access = {bay.lane for bay in bays}
    aisles = [lane for lane in site.lanes if lane.id in access]
    others = [
        lane
        for lane in site.lanes_of(kind=LaneKind.PARKING_AISLE)
        if lane.id not in access and lane.upstream_node is not None
    ]
    nodes = {node for lane in aisles for node in _nodes(lane)}
    while joined := [lane for lane in others if nodes & set(_nodes(lane))]:
        nodes.update(node for lane in joined for node in _nodes(lane))
        others = [lane for lane in others if lane not in joined]
        aisles += joined
    return [lane for lane in site.lanes if lane in aisles]


def _gates(site: SiteMap, aisles: Sequence[Lane]) -> tuple[frozenset[int], frozenset[int]]:
    names = {lane.id for lane in aisles}
    roads = [lane for lane in site.lanes if lane.id not in names and not lane.kind.on_foot]
    entrances = {
        _node_at(site.lane(name), road.centreline[-1])
        for road in roads
        for name in road.successors
        if name in names
    }
    by_name = {road.id: road for road in roads}
    exits = {
        _node_at(aisle, by_name[name].centreline[0])
        for aisle in aisles
        for name in aisle.successors
        if name in by_name
    }
    return frozenset(entrances), frozenset(exits)


def _node_at(aisle: Lane, point: Floats) -> int:
    """The node at the end of an aisle that is nearer to a point."""
    start, end = (float(np.hypot(*(aisle.centreline[index] - point))) for index in (0, -1))
    return _nodes(aisle)[0 if start <= end else 1]


# --- slots ----------------------------------------------------------------------------------------


def _slots(site: SiteMap, bays: Sequence[Zone]) -> list[Slot]:
    """Slots numbered from 1 in the order of the file."""
    slots = []
    for number, bay in enumerate(bays, start=1):
        assert bay.lane is not None
        corners, theta = _shape(bay.ring, SiteMap(site.frame, (site.lane(bay.lane),)))
        slots.append(Slot(number, bay, corners, theta))
    return slots


def _shape(ring: Floats, aisle: SiteMap) -> tuple[Corners | None, str]:
    """Corners of a bay and how it lies to its drive; (None, unknown) if it is no parallelogram.

    One looks in from the drive, so the bottom is the side whose middle is nearest to it. The inside
    of a counter-clockwise ring is to the left of each side, so the first corner of the bottom is on
    the left of one who looks in.
    """
    if len(ring) != 4:
        return None, "unknown"
    x, y = ring[:, 0], ring[:, 1]
    if float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) < 0:
        ring = ring[::-1]
    middles = (ring + np.roll(ring, -1, axis=0)) / 2
    place = aisle.match(middles, max_distance=math.inf)
    bottom = int(np.argmin(place.distance))
    left, right, top_right, top_left = np.roll(ring, -bottom, axis=0)
    if float(np.hypot(*(left + top_right - right - top_left))) > PARALLELOGRAM_ERROR:
        return None, "unknown"
    corners = Corners(top_left, top_right, left)
    return corners, _theta(right - left, top_left - left, float(place.heading[bottom]))


def _theta(width: Floats, depth: Floats, heading: float) -> str:
    short, long = sorted((width, depth), key=lambda side: float(np.hypot(*side)))
    if float(np.hypot(*long)) < SQUARE * float(np.hypot(*short)):
        return "unknown"
    turn = abs(math.atan2(long[1], long[0]) - heading) % math.pi
    turn = min(turn, math.pi - turn)
    return "side" if turn <= ALONG else "vertical" if turn >= ACROSS else "oblique"


def _too_many(lot: Lot) -> Iterable[Finding]:
    if len(lot.positions) > NODES:
        yield Finding("", "nodes", f"{len(lot.positions)}, at most {NODES} are allowed")
    for node, count in Counter(drive.downstream for drive in lot.drives).items():
        if count > DRIVES:
            yield Finding("", f"drives into node {node}", f"{count}, at most {DRIVES} are allowed")
    for drive in lot.drives:
        for what, count, most in (
            ("bays", len(drive.slots), SLOTS),
            ("successors", len(lot.reachable(drive)), MOVEMENTS),
        ):
            if count > most:
                yield Finding(drive.lane.id, what, f"{count}, at most {most} are allowed")
