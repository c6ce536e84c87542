"""Parking area maps of T/CSAE 157-2020: the bays of one lot in, message values in JSON form out.

The map half is made once (`rsu.v2x.csae.lot`); each message adds the status of every bay and the
way of those who are guided. A bay that nothing was heard of is unknown. A closed bay is stated as
reserved, the only word that keeps others out of an empty one. Type and lock of a bay are unknown:
the site map does not say them. Floors, heights, payment and the lot's class are left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rsu.schema.parking import BayStatus, ParkingGuidance, ParkingState
from rsu.schema.units import Vec2
from rsu.site.features import Direction
from rsu.site.lanes import Lane
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.lot import Drive, Slot, lot_of
from rsu.v2x.csae.place import CHORD_ERRORS
from rsu.v2x.map.links import Rounded
from rsu.v2x.map.thinning import TooManyPointsError, thin
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

GUIDED_MAX = 16
"""parkingAreaGuidance, SIZE (1..16)."""
PATH_NODES = 32
"""drivePath, SIZE (1..32)."""
POINTS = 31
"""PointList, SIZE (2..31)."""
NAME_LETTERS = 63
"""DescriptiveName, IA5String (SIZE (1..63))."""

_STATUS = {
    BayStatus.UNKNOWN: "unknown",
    BayStatus.FREE: "available",
    BayStatus.OCCUPIED: "occupied",
    BayStatus.CLOSED: "reserved",
}
_ENTRANCE, _EXIT = 0, 1
"""Bits of PAMNodeAttributes."""
_TYPE_UNKNOWN = 0
"""Bit of ParkingType."""


class PamWriter:
    """What one unit writes of one lot; a `rsu.v2x.writers.ParkingWriter`.

    `fits` says whether a content can be encoded and framed: a message that is too large with the
    corners of the bays is stated without them. Raises MapExportError with what the site map must
    say of the lot before it can be stated.
    """

    def __init__(
        self, unit: Unit, lot: str, fits: Callable[[Content], bool] = lambda _: True
    ) -> None:
        self._fits = fits
        self._unit = unit
        self._name = lot
        self._lot = lot_of(unit.site, lot)
        self._slots = self._lot.slots
        # What does not change from message to message.
        self._node_values = {number: self._node(number) for number in self._lot.positions}
        self._drive_values = {drive: self._drive(drive) for drive in self._lot.drives}
        self._slot_values = {
            slot.bay.id: self._slot(slot, self._lot.positions[drive.downstream])
            for drive in self._lot.drives
            for slot in drive.slots
        }

    def content(self, count: int, state: ParkingState) -> Content:
        """PAMData as of `state.time_ns`.

        Raises OutOfRangeError for the state of another lot, a bay that is not on the map, and a
        guidance that the message cannot carry.
        """
        if state.lot != self._name:
            raise units.OutOfRangeError(f"lot {state.lot}, this writer states {self._name}")
        status = {bay.bay: _STATUS[bay.status] for bay in state.bays}
        if strange := sorted(status.keys() - self._slots.keys()):
            raise units.OutOfRangeError(f"bays that lot {self._name} does not have: {strange}")
        units.at_most("guided vehicles", state.guidance, GUIDED_MAX)
        out: Content = {
            "msgCnt": count,
            "timeStamp": time.minute_of_year(state.time_ns),
            "parkingLotInfo": {"name": self._name[:NAME_LETTERS]},
            "pamNodes": [self._stated(number, status) for number in sorted(self._node_values)],
        }
        if state.guidance:
            out["parkingAreaGuidance"] = [self._guide(guidance) for guidance in state.guidance]
        return out if self._fits(out) else _without_corners(out)

    def _stated(self, number: int, status: Mapping[str, str]) -> Content:
        """PAMNode with the status of the bays at its drives."""
        drives = []
        for drive in self._lot.drives:
            if drive.downstream != number:
                continue
            values = dict(self._drive_values[drive])
            if drive.slots:
                values["parkingSlots"] = [
                    {**self._slot_values[bay], "status": status.get(bay, "unknown")}
                    for bay in (slot.bay.id for slot in drive.slots)
                ]
            drives.append(values)
        node = self._node_values[number]
        return {**node, "inDrives": drives} if drives else node

    def _node(self, number: int) -> Content:
        longitude, latitude = self._lot.positions[number]
        node: Content = {
            "id": units.number("node", number, 0, 65_535),
            "refPos": {"lat": latitude, "long": longitude},
        }
        gates = [
            bit
            for bit, nodes in ((_ENTRANCE, self._lot.entrances), (_EXIT, self._lot.exits))
            if number in nodes
        ]
        if gates:
            node["attributes"] = units.bits(8, gates)
        return node

    def _drive(self, drive: Drive) -> Content:
        lane = drive.lane
        out: Content = {"upstreamPAMNodeId": drive.upstream}
        if lane.lane_id is not None:
            out["driveID"] = lane.lane_id
        if lane.direction is Direction.BOTH:
            out["twowaySepration"] = False
        if lane.speed_limit is not None:
            out["speedLimit"] = units.speed(lane.speed_limit)
        out["driveWidth"] = units.lane_width(lane.width)
        if (line := _thinned(lane)) is not None:
            offsets = self._offsets(
                line[::-1] if drive.back else line, self._lot.positions[drive.downstream]
            )
            out["points"] = [{"posOffset": offset} for offset in offsets]
        if reachable := self._lot.reachable(drive):
            out["movements"] = reachable
        return out

    def _slot(self, slot: Slot, reference: Rounded) -> Content:
        out: Content = {"slotID": slot.number}
        if slot.corners is not None:
            corners = (slot.corners.top_left, slot.corners.top_right, slot.corners.bottom_left)
            names = ("topLeft", "topRight", "bottomLeft")
            points = self._offsets([corner.tolist() for corner in corners], reference)
            out["position"] = dict(zip(names, points, strict=True))
        title = slot.bay.title
        if title.isascii() and 1 <= len(title) <= NAME_LETTERS:
            out["sign"] = title
        return {
            **out,
            "parkingType": units.bits(10, [_TYPE_UNKNOWN]),
            "parkingSpaceTheta": slot.theta,
            "parkingLock": "unknown",
        }

    def _offsets(self, points: Sequence[Sequence[float]], reference: Rounded) -> list[Content]:
        degrees = self._unit.degrees([Vec2(x, y) for x, y in points])
        return [
            {
                "offsetLL": units.position_offset(
                    units.longitude(longitude), units.latitude(latitude), *reference
                )
            }
            for longitude, latitude in degrees
        ]

    def _guide(self, guidance: ParkingGuidance) -> Content:
        out: Content = {
            "vehId": units.vehicle_id(guidance.vehicle),
            "drivePath": self._path(guidance),
        }
        if guidance.bay is not None:
            if guidance.bay not in self._slots:
                raise units.OutOfRangeError(f"guidance to {guidance.bay}, which is no bay here")
            out["targetParkingSlot"] = self._slots[guidance.bay].number
        return out

    def _path(self, guidance: ParkingGuidance) -> list[int]:
        """Nodes that the vehicle passes: those before each aisle on the way in, for the last aisle
        is left at the bay; those after each aisle on the way out, for the first begins at one."""
        chains: list[list[Drive]] = [[]]
        for name in guidance.lanes:
            # An aisle for both directions may be taken in either; its neighbours decide which.
            ways = [drive for drive in self._lot.drives if drive.lane.id == name]
            followed: dict[Drive, list[Drive]] = {}
            for chain in chains:
                for drive in ways:
                    if not chain or chain[-1].downstream == drive.upstream:
                        followed.setdefault(drive, [*chain, drive])
            chains = list(followed.values())
        if not chains or not chains[0]:
            raise units.OutOfRangeError(f"aisles that do not follow each other: {guidance.lanes}")
        out = guidance.bay is None
        passed = [drive.downstream if out else drive.upstream for drive in chains[0]]
        units.at_most("nodes of a guidance", passed, PATH_NODES)
        return passed


def _without_corners(content: Content) -> Content:
    for node in content["pamNodes"]:
        for drive in node.get("inDrives", ()):
            for slot in drive.get("parkingSlots", ()):
                slot.pop("position", None)
    return content


def _thinned(lane: Lane) -> list[list[float]] | None:
    """The centreline in at most 31 points, m; None where these are not enough even to 1 m."""
    for error in CHORD_ERRORS:
        with contextlib.suppress(TooManyPointsError):
            kept = thin(lane.centreline, error, POINTS)
            line: list[list[float]] = lane.centreline[np.array(kept)].tolist()
            return line
    return None
