"""ParticipantData of T/CSAE 53-2020: one track in, one road user in JSON form out.

RSM and SSM state road users in the same words. What is not known is left out or unavailable:

- Road users carry no height: it is not measured but assumed (the road plane).
- heading is the direction of motion; unavailable where its 95 % error exceeds a quarter turn.
- motionCfd and posConfidence come from the track's covariance (`units`), never from constants.
- vehicleClass only where the class is more likely than not.
- transmission, angle, accelSet and the participant's own id are never stated: no sensor sees them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.tracks import Track
from rsu.site.geodesy import compass_degrees
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.place import Place

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


def participant(
    track: Track,
    number: int,
    time_ns: int,
    position: tuple[float, float],
    place: Place,
    sensors: Mapping[str, SensorKind],
) -> dict[str, Any]:
    """ParticipantData of a track whose state is that of `time_ns` (UTC).

    `position` is (longitude, latitude) in degrees, `sensors` the kind of each sensor id. Raises
    OutOfRangeError where the message cannot carry the track's position, speed or size.
    """
    stated: dict[str, Any] = {
        "ptcType": _TYPE.get(track.object_class, "unknown"),
        "ptcId": number,
        "source": source(track.sources, sensors),
        "secMark": time.dsecond(time_ns),
        "pos": {"offsetLL": place.offset(*position)},
        "posConfidence": {"pos": units.position_confidence(track.position_cov)},
        "speed": units.speed(abs(track.speed)),
        "heading": heading(track),
        "motionCfd": {
            "speedCfd": units.speed_confidence(track.speed_std),
            "headingCfd": units.heading_confidence(track.heading_std),
        },
        "size": _size(track),
    }
    vehicle_class = _VEHICLE_CLASS.get(track.object_class)
    if vehicle_class is not None and track.class_probability > _CLASS_KNOWN:
        stated["vehicleClass"] = {"classification": vehicle_class}
    return stated


def source(sensors: Iterable[str], kinds: Mapping[str, SensorKind]) -> str:
    """SourceType of a statement that rests on these sensors."""
    known = {kinds[sensor] for sensor in sensors if sensor in kinds}
    if len(known) > 1:
        return "integrated"
    return _SOURCE.get(known.pop(), "unknown") if known else "unknown"


def heading(track: Track) -> int:
    """DE_Heading of a track's motion."""
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
