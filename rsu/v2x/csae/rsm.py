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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rsu.config.place import OriginOptions
from rsu.config.v2x import V2xOptions
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.tracks import Track
from rsu.site.geodesy import LocalFrame, compass_degrees
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.participants import SELF_ID

ROAD_USERS_MAX = 15
"""Road users per message: 16 participants less the unit itself."""

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
    """What one unit at one place writes. `sensors` says what kind each sensor id is."""

    def __init__(
        self, options: V2xOptions, origin: OriginOptions, sensors: Mapping[str, SensorKind]
    ) -> None:
        self._rsu_id = options.rsu_id.lower()
        self._antenna_height = options.antenna_height
        self._sensors = dict(sensors)
        self._frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
        self._frame.to_geodetic(0.0, 0.0)  # loads the geodesy now, not with the first road user
        self._reference = {
            "lat": units.latitude(origin.latitude),
            "long": units.longitude(origin.longitude),
            "elevation": units.elevation(origin.altitude),
        }

    def message(
        self, count: int, time_ns: int, road_users: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """One frame with the unit itself and at most ROAD_USERS_MAX road users."""
        return {
            "rsmFrame": {
                "msgCnt": count,
                "id": self._rsu_id,
                "refPos": dict(self._reference),
                "participants": [self._itself(time_ns), *road_users],
            }
        }

    def positions(self, tracks: Sequence[Track]) -> list[tuple[float, float]]:
        """(longitude, latitude) in degrees of each track."""
        if not tracks:
            return []
        x = np.array([track.position.x for track in tracks], dtype=np.float64)
        y = np.array([track.position.y for track in tracks], dtype=np.float64)
        latitude, longitude, _ = self._frame.to_geodetic(x, y)
        return list(zip(longitude.tolist(), latitude.tolist(), strict=True))

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
                "offsetV": units.vertical_offset(self._antenna_height),
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
        kinds = {self._sensors[sensor] for sensor in sensors if sensor in self._sensors}
        if len(kinds) > 1:
            return "integrated"
        return _SOURCE.get(kinds.pop(), "unknown") if kinds else "unknown"


def in_order(tracks: Iterable[Track]) -> list[Track]:
    """Vulnerable road users first, then the nearest to the unit; ties by id."""
    return sorted(
        tracks,
        key=lambda track: (
            not track.object_class.is_vru,
            math.hypot(track.position.x, track.position.y),
            track.id,
        ),
    )


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
