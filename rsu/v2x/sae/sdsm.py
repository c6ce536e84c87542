"""Sensor data sharing message (SAE J3224): tracks in, message values in JSON form out.

- The origin of all offsets is the site's surveyed origin; nobody states its error, so refPosXYConf
  is unavailable. offsetX is north and offsetY is east: J3224's frame is north-east-down (facts:
  sae.md 2; the public sender of carma-streets turns its east-north-up detections into it, the
  receiver of carma-platform turns them back). offsetZ would be down and is left out: height is not
  measured but assumed (the road plane).
- All states are those of sDSMTimeStamp, so measurementTime is 0. That also keeps clear of its
  sign, on which the public sender (time stamp less object) and receiver (time stamp plus offset)
  disagree. timeConfidence is unavailable: nobody states the error of the clock.
- Confidences are 95 % bounds from the track's covariance (`rsu.v2x.steps`), never constants.
- heading is the direction of motion; unavailable where its 95 % error exceeds a quarter turn.
- What is known of the class only where it is more likely right than wrong. A size that the message
  cannot carry is left out, it withholds nobody. No filter states a size's error, so its confidence
  is left out, or unavailable where the message wants one.
- accel4way is left out: of its four values at most one is estimated, and the yaw rate has neither a
  value for unavailable nor a sign that a public source states.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track
from rsu.site.geodesy import compass_degrees
from rsu.v2x import steps
from rsu.v2x.sae import units
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

OBJECTS_MAX = 256
"""DetectedObjectList, SIZE (1..256)."""
NUMBERS_MAX = 65_535
"""ObjectID."""
CLASS_KNOWN = 0.5
"""Probability above which a class is more likely right than wrong."""

VRU_TYPES = {
    ObjectClass.PEDESTRIAN: "aPEDESTRIAN",
    ObjectClass.BICYCLE: "aPEDALCYCLIST",
}
"""PersonalDeviceUserType, as in PSM."""

# BasicVehicleClass, the value of each group that says no more than the group.
_VEHICLE_CLASS = {
    ObjectClass.CAR: 10,
    ObjectClass.VAN: 20,
    ObjectClass.TRUCK: 25,
    ObjectClass.MOTORCYCLE: 40,
    ObjectClass.BUS: 50,
}


class SdsmWriter:
    """What one unit writes; a `rsu.v2x.writers.TrackWriter`.

    Raises OutOfRangeError for a unit whose origin the message cannot carry.
    """

    objects_max = OBJECTS_MAX
    numbers_max = NUMBERS_MAX
    alone = False

    def __init__(self, unit: Unit) -> None:
        longitude, latitude, altitude = unit.origin
        self._source = unit.rsu_id[-8:]
        self._reference = units.position((longitude, latitude), altitude)

    def speaks_of(self, track: Track) -> bool:  # noqa: ARG002  as every writer
        """Everything that is detected is an object."""
        return True

    def content(self, count: int, time_ns: int, road_users: Sequence[Content]) -> Content:
        """SensorDataSharingMessage with 1..256 objects; sourceID is the end of the unit's id.

        Raises OutOfRangeError for none or more.
        """
        if not road_users:
            raise steps.OutOfRangeError("no object, at least 1 is needed")
        units.at_most("objects", road_users, OBJECTS_MAX)
        return {
            "msgCnt": count,
            "sourceID": self._source,
            "equipmentType": "rsu",
            "sDSMTimeStamp": units.date_time(time_ns),
            "refPos": dict(self._reference),
            "refPosXYConf": dict(units.UNKNOWN_ACCURACY),
            "objects": list(road_users),
        }

    def road_user(
        self,
        track: Track,
        number: int,
        time_ns: int,  # noqa: ARG002  the message states it once for all
        position: tuple[float, float],  # noqa: ARG002  offsets are in metres
    ) -> Content:
        """DetectedObjectData of one track.

        Raises OutOfRangeError where the message cannot carry its position, speed or number.
        """
        found: Content = {"detObjCommon": _common(track, number)}
        optional = _optional(track)
        if optional is not None:
            found["detObjOptData"] = optional
        return found


def _common(track: Track, number: int) -> Content:
    return {
        "objType": _object_type(track.object_class),
        "objTypeCfd": _class_confidence(track),
        "objectID": units.number("object", number, 0, NUMBERS_MAX),
        "measurementTime": 0,
        "timeConfidence": "unavailable",
        "pos": {
            "offsetX": units.object_distance(track.position.y),
            "offsetY": units.object_distance(track.position.x),
        },
        "posConfidence": {
            "pos": steps.position_confidence(track.position_cov),
            "elevation": "unavailable",
        },
        "speed": units.speed(abs(track.speed)),
        "speedConfidence": steps.speed_confidence(track.speed_std),
        "heading": heading(track),
        "headingConf": steps.heading_confidence(track.heading_std),
    }


def heading(track: Track) -> int:
    """Heading of the motion, which is against the track's heading where its speed is negative."""
    if not steps.heading_known(track.heading_std):
        return units.HEADING_UNAVAILABLE
    turned = math.pi if track.speed < 0 else 0.0
    return units.heading(compass_degrees(track.heading + turned))


def _object_type(kind: ObjectClass) -> str:
    if kind in _VEHICLE_CLASS:
        return "vehicle"
    if kind in VRU_TYPES:
        return "vru"
    return "animal" if kind is ObjectClass.ANIMAL else "unknown"


def _class_confidence(track: Track) -> int:
    # The probability of an unknown class, or of a kind without a name here, says nothing.
    if _object_type(track.object_class) == "unknown":
        return units.PERCENT_UNAVAILABLE
    return units.percent(track.class_probability)


def _optional(track: Track) -> Content | None:
    kind = track.object_class
    known = track.class_probability > CLASS_KNOWN
    if kind in _VEHICLE_CLASS:
        return {"detVeh": _vehicle(track, known=known)}
    if kind in VRU_TYPES and known:
        return {"detVRU": {"basicType": VRU_TYPES[kind]}}
    if kind is ObjectClass.OBSTACLE and known:
        return _obstacle(track)
    return None


def _vehicle(track: Track, *, known: bool) -> Content:
    vehicle: Content = {}
    with contextlib.suppress(steps.OutOfRangeError):
        vehicle["size"] = {
            "width": units.vehicle_width(track.size.width),
            "length": units.vehicle_length(track.size.length),
        }
    with contextlib.suppress(steps.OutOfRangeError):
        vehicle["height"] = units.vehicle_height(track.size.height)
    if known:
        vehicle["vehicleClass"] = _VEHICLE_CLASS[track.object_class]
        vehicle["classConf"] = units.percent(track.class_probability)
    return vehicle


def _obstacle(track: Track) -> Content | None:
    try:
        size = {
            "width": units.size_value(track.size.width),
            "length": units.size_value(track.size.length),
        }
    except steps.OutOfRangeError:
        return None
    unsure = {"widthConfidence": "unavailable", "lengthConfidence": "unavailable"}
    with contextlib.suppress(steps.OutOfRangeError):
        size["height"] = units.size_value(track.size.height)
        unsure["heightConfidence"] = "unavailable"
    return {"detObst": {"obstSize": size, "obstSizeConfidence": unsure}}
