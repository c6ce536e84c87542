"""Roadside safety messages of T/CSAE 53-2020: tracks in, message values in JSON form out.

Every message holds the unit itself as participant 0 and up to 15 road users (T/CSAE 159-2020 clause
7.2; ParticipantList holds 16), so more road users make more messages. What is not known is left
out or stated as unavailable:

- refPos is the site's surveyed origin, on the road; the unit stands `antenna_height` above it. Road
  users carry no height: it is not measured but assumed (the road plane).
- heading is the direction of motion; unavailable where its 95 % error exceeds a quarter turn.
- motionCfd and posConfidence come from the track's covariance (`units`), never from constants. The
  unit's own posConfidence is unavailable: no survey states its error.
- vehicleClass only where the class is more likely than not.
- transmission, angle, accelSet and the participant's own id are never stated: no sensor sees them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.tracks import Track
from rsu.site.geodesy import compass_degrees
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.numbers import LAST_ID
from rsu.v2x.unit import Unit

ROAD_USERS_MAX = 15
"""Road users per message: 16 participants less the unit itself."""

SELF_ID = 0
"""ptcId of the unit itself (T/CSAE 159-2020 clause 7.2)."""

_CLASS_KNOWN = 0.5
"""Probability above which a class is more likely right than wrong."""

_TYPE = {
    ObjectClass.PEDESTRIAN: "pedestrian",
    ObjectClass.BICYCLE: "non-motor",
    ObjectClass.MOTORCYCLE: "motor",
    ObjectClass.CAR: "motor",
    ObjectClass.VAN: "motor",
    ObjectClass.TRUCK: "motor",
    ObjectClass.BUS: "motor",
}
# The default value of each group (rsu/v2x/asn1/csae53_2020/Vehicle.asn).
_VEHICLE_CLASS = {
    ObjectClass.CAR: 10,
    ObjectClass.VAN: 20,
    ObjectClass.TRUCK: 25,
    ObjectClass.MOTORCYCLE: 40,
    ObjectClass.BUS: 50,
}
_SOURCE = {
    SensorKind.CAMERA: "video",
    SensorKind.RADAR: "microwaveRadar",
    SensorKind.LIDAR: "lidar",
    SensorKind.V2X: "v2x",
}


class RsmWriter:
    """What one unit writes; a `rsu.v2x.writers.TrackWriter`.

    Raises OutOfRangeError for a place or an antenna that the message cannot carry.
    """

    objects_max = ROAD_USERS_MAX
    numbers_max = LAST_ID

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        longitude, latitude, altitude = unit.origin
        self._reference = {
            "lat": units.latitude(latitude),
            "long": units.longitude(longitude),
            "elevation": units.elevation(altitude),
        }
        self._antenna = units.vertical_offset(unit.antenna_height)

    def speaks_of(self, track: Track) -> bool:  # noqa: ARG002  as every writer
        """Everything that moves is a participant."""
        return True

    def content(
        self, count: int, time_ns: int, road_users: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """RoadsideSafetyMessage with the unit itself and at most ROAD_USERS_MAX road users."""
        return {
            "msgCnt": count,
            "id": self._unit.rsu_id,
            "refPos": dict(self._reference),
            "participants": [self._itself(time_ns), *road_users],
        }

    def road_user(
        self, track: Track, number: int, time_ns: int, position: tuple[float, float]
    ) -> dict[str, Any]:
        """ParticipantData of one track whose state is that of `time_ns` (UTC).

        Raises OutOfRangeError where the message cannot carry the track's position, speed or size.
        """
        participant: dict[str, Any] = {
            "ptcType": _TYPE.get(track.object_class, "unknown"),
            "ptcId": number,
            "source": self._source(track.sources),
            "secMark": time.dsecond(time_ns),
            "pos": {"offsetLL": self._offset(*position)},
            "posConfidence": {"pos": units.position_confidence(track.position_cov)},
            "speed": units.speed(abs(track.speed)),
            "heading": _heading(track),
            "motionCfd": {
                "speedCfd": units.speed_confidence(track.speed_std),
                "headingCfd": units.heading_confidence(track.heading_std),
            },
            "size": _size(track),
        }
        vehicle_class = _VEHICLE_CLASS.get(track.object_class)
        if vehicle_class is not None and track.class_probability > _CLASS_KNOWN:
            participant["vehicleClass"] = {"classification": vehicle_class}
        return participant

    def _itself(self, time_ns: int) -> dict[str, Any]:
        return {
            "ptcType": "rsu",
            "ptcId": SELF_ID,
            "source": "selfinfo",
            "secMark": time.dsecond(time_ns),
            "pos": {
                "offsetLL": {"position-LL1": {"lon": 0, "lat": 0}},
                "offsetV": self._antenna,
            },
            "posConfidence": {"pos": "unavailable"},
            "speed": 0,
            "heading": units.HEADING_UNAVAILABLE,
            "size": {"width": units.SIZE_UNAVAILABLE, "length": units.SIZE_UNAVAILABLE},
        }

    def _offset(self, longitude: float, latitude: float) -> dict[str, object]:
        return units.position_offset(
            units.longitude(longitude),
            units.latitude(latitude),
            self._reference["long"],
            self._reference["lat"],
        )

    def _source(self, sensors: Iterable[str]) -> str:
        known = self._unit.sensors
        kinds = {known[sensor] for sensor in sensors if sensor in known}
        if len(kinds) > 1:
            return "integrated"
        return _SOURCE.get(kinds.pop(), "unknown") if kinds else "unknown"


def _heading(track: Track) -> int:
    if not units.heading_known(track.heading_std):
        return units.HEADING_UNAVAILABLE
    # A negative speed is motion against the heading, and the message means the motion.
    turned = math.pi if track.speed < 0 else 0.0
    return units.heading(compass_degrees(track.heading + turned))


def _size(track: Track) -> dict[str, int]:
    size = {"width": units.width(track.size.width), "length": units.length(track.size.length)}
    # Height is optional, so beyond 6.35 m it is left out instead of withholding the road user.
    with contextlib.suppress(units.OutOfRangeError):
        size["height"] = units.height(track.size.height)
    return size
