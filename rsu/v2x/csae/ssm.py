"""Sensor sharing messages of T/CSAE 157-2020: tracks in, message values in JSON form out.

Road users are stated in the very words of an RSM (`rsu.v2x.csae.participant`), with the finer class
that this message has, how sure it is, and how long the track has been followed. Animals and things
on the road are obstacles here. The unit itself is not stated: nothing asks for it.

detectedRegion says that nothing else was there, so only areas that the operator vouches for are
stated. Left out because nobody measures them: errors of size and acceleration, statusDuration,
path history and plans, outlines, attitude.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.site.lanes import Zone
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.participant import heading, participant, source
from rsu.v2x.csae.place import Place
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

PARTICIPANTS_MAX = 512
"""DetectedPTCList, SIZE (1..512)."""
OBSTACLES_MAX = 64
"""DetectedObstacleList, SIZE (1..64)."""
NUMBERS_MAX = 65_535
"""ptcId and obsId are 0..65535, 0 being the unit itself. The bound of 255 (T/CSAE 159-2020 clause
7.2) is one of RSM; it would not number the 512 participants that this message holds."""
REGIONS_MAX = 8
"""DetectedRegion, SIZE (1..8)."""
CORNERS = (4, 32)
"""Polygon, SIZE (4..32)."""
FOLLOWED_MAX = 65_535
"""tracking, s."""

_TYPE = {
    ObjectClass.CAR: "car",
    ObjectClass.VAN: "van",
    ObjectClass.TRUCK: "truck",
    ObjectClass.BUS: "bus",
    ObjectClass.BICYCLE: "cyclist",
    ObjectClass.MOTORCYCLE: "motorcyclist",
    ObjectClass.PEDESTRIAN: "pedestrian",
}
_OBSTACLE_TYPE = {ObjectClass.ANIMAL: "animal-intrusion", ObjectClass.OBSTACLE: "unknown"}


class SsmWriter:
    """What one unit writes; a `rsu.v2x.writers.TrackWriter`.

    `regions` are areas into which the sensors see everywhere, as the operator vouches. Raises
    OutOfRangeError for more than 8, and for an area with holes or not 4..32 corners.
    """

    objects_max = OBSTACLES_MAX
    """What fits whatever the mixture: any of them may be an obstacle. The longest packet (2302
    octets) holds some 90 participants, the usual one (1400) 55."""
    numbers_max = NUMBERS_MAX

    def __init__(self, unit: Unit, regions: Sequence[Zone] = ()) -> None:
        self._unit = unit
        self._place = Place(unit)
        units.at_most("detected regions", regions, REGIONS_MAX)
        self._regions = [self._region(zone) for zone in regions]
        # Only of a region can be said that nobody is there.
        self.alone = bool(regions)

    def speaks_of(self, track: Track) -> bool:  # noqa: ARG002  as every writer
        """Everything is a participant or an obstacle."""
        return True

    def content(self, count: int, time_ns: int, road_users: Sequence[Content]) -> Content:
        """SensorSharingMsg of what `road_user` gave, participants and obstacles in one list.

        Raises OutOfRangeError for more than 512 participants or 64 obstacles.
        """
        participants = [one for one in road_users if "ptc" in one]
        obstacles = [one for one in road_users if "ptc" not in one]
        units.at_most("participants", participants, PARTICIPANTS_MAX)
        units.at_most("obstacles", obstacles, OBSTACLES_MAX)
        out: Content = {
            "msgCnt": count,
            "id": self._unit.rsu_id,
            "equipmentType": "rsu",
            "secMark": time.dsecond(time_ns),
            "sensorPos": dict(self._place.reference),
        }
        if self._regions:
            out["detectedRegion"] = self._regions
        if participants:
            out["participants"] = participants
        if obstacles:
            out["obstacles"] = obstacles
        return out

    def road_user(
        self, track: Track, number: int, time_ns: int, position: tuple[float, float]
    ) -> Content:
        """DetectedPTCData, or DetectedObstacleData, of a track whose state is that of `time_ns`.

        Raises OutOfRangeError where the message cannot carry the track's position, speed or size.
        """
        if track.object_class in _OBSTACLE_TYPE:
            return self._obstacle(track, number, time_ns, position)
        kind = _TYPE.get(track.object_class, "unknown")
        out: Content = {
            "ptc": participant(track, number, time_ns, position, self._place, self._unit.sensors),
            "detectedPTCType": kind,
        }
        if kind != "unknown":
            out["typeConfidence"] = units.confidence(track.class_probability)
        return {**out, **_followed(track, time_ns)}

    def _obstacle(
        self, track: Track, number: int, time_ns: int, position: tuple[float, float]
    ) -> Content:
        kind = _OBSTACLE_TYPE[track.object_class]
        out: Content = {"obsType": kind}
        if kind != "unknown":
            out["objTypeConfidence"] = units.confidence(track.class_probability)
        return {
            **out,
            "obsId": number,
            "source": source(track.sources, self._unit.sensors),
            "secMark": time.dsecond(time_ns),
            "pos": {"offsetLL": self._place.offset(*position)},
            "posConfidence": {"pos": units.position_confidence(track.position_cov)},
            "speed": units.speed(abs(track.speed)),
            "speedCfd": units.speed_confidence(track.speed_std),
            "heading": heading(track),
            "headingCfd": units.heading_confidence(track.heading_std),
            "size": _size(track.size),
            **_followed(track, time_ns),
        }

    def _region(self, zone: Zone) -> list[Content]:
        low, high = CORNERS
        if zone.holes or not low <= len(zone.ring) <= high:
            raise units.OutOfRangeError(
                f"zone {zone.id}: a detected region has {low}..{high} corners and no holes"
            )
        return self._place.points([Vec2(x, y) for x, y in zone.ring.tolist()])


def _followed(track: Track, time_ns: int) -> Content:
    seconds = (time_ns - track.born_ns) // NS_PER_S
    return {"tracking": seconds} if 1 <= seconds <= FOLLOWED_MAX else {}


def _size(size: Size) -> Content:
    stated = {"width": units.size_value(size.width), "length": units.size_value(size.length)}
    # Height is optional: out of range, it is left out instead of withholding the obstacle.
    with contextlib.suppress(units.OutOfRangeError):
        stated["height"] = units.size_value(size.height)
    return stated
