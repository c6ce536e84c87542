"""SDSM of SAE J3224: what a neighbour sees → road users.

Offsets are of a north-east-down frame (facts: sae.md 2): offsetX metres north, offsetY metres east
of refPos, laid into the tangent plane there (a height of refPos moves points by less than 1 cm per
km and 50 m, and is left out). The accuracy of refPos, where stated, adds to that of every object.
An SDSM does not say what its objects rest on: something the neighbour has only heard cannot be told
from what it sees.

The sign of measurementTime is in dispute: a public sender writes time stamp less object, a public
receiver adds it to the time stamp. An object is taken for one at the time stamp, and what it moves
in the stated time is one standard deviation more of its position; without a speed it has no time.
"""

from __future__ import annotations

from collections import Counter

from rsu.schema.sensing import ObjectClass, V2xObject
from rsu.schema.units import Cov2, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.v2x.receive import quantities as q
from rsu.v2x.receive.moments import of_dsecond
from rsu.v2x.time import NS_PER_MINUTE

_OFFSET_STEP = 0.1
"""m"""
_MINUTE_UNAVAILABLE = 60
_HOUR_MINUTES = 60


def read(content: q.Content, receiver: q.Receiver) -> q.RoadUsers:
    """SensorDataSharingMessage in JSON form → what the sender sees, and refusals by reason."""
    sender, objects = content["sourceID"], content["objects"]
    reference = content["refPos"]
    stamp, known = _stamp(content["sDSMTimeStamp"], receiver.heard_ns)
    if q.place(reference["long"], reference["lat"], receiver.frame) is None:
        return q.RoadUsers(sender, (), {"position_unstated": len(objects)})
    if stamp is None:
        return q.RoadUsers(sender, (), {"time_unstated" if known else "too_old": len(objects)})
    there = LocalFrame(reference["lat"] / 1e7, reference["long"] / 1e7, receiver.frame.altitude)
    reference_cov = q.ellipse(content["refPosXYConf"])
    found: list[V2xObject] = []
    refused: Counter[str] = Counter()
    for one in objects:
        common = one["detObjCommon"]
        cov = q.position_class(common["posConfidence"]["pos"]) or receiver.unstated
        if cov is None:
            refused["accuracy_unstated"] += 1
            continue
        # Rounding to 0.1 m is an even error: a twelfth of the step squared.
        cov = q.total(cov, q.circle(_OFFSET_STEP / 12**0.5))
        aside_s, speed = abs(common["measurementTime"]) / 1000, q.speed(common["speed"])
        if aside_s > 0:
            if speed is None:
                refused["time_unstated"] += 1
                continue
            cov = q.total(cov, q.circle(aside_s * speed))
        if reference_cov is not None:
            cov = q.total(cov, reference_cov)
        found.append(_object(one, stamp, cov, there, receiver))
    return q.RoadUsers(sender, tuple(found), dict(refused))


def _object(
    one: q.Content, stamp: int, cov: Cov2, there: LocalFrame, receiver: q.Receiver
) -> V2xObject:
    common = one["detObjCommon"]
    offset = common["pos"]
    north, east = offset["offsetX"] * _OFFSET_STEP, offset["offsetY"] * _OFFSET_STEP
    latitude, longitude, _ = there.to_geodetic(east, north)
    x, y, _ = receiver.frame.to_enu(latitude, longitude)
    kind, size = _kind(one)
    return V2xObject(
        object_id=str(common["objectID"]),
        measured_ns=stamp,
        position=Vec2(x, y),
        position_cov=cov,
        object_class=kind,
        self_reported=False,
        heading=q.heading(common["heading"]),
        heading_std=q.heading_class(common["headingConf"]),
        speed=q.speed(common["speed"]),
        speed_std=q.speed_class(common["speedConfidence"]),
        size=size,
    )


def _kind(one: q.Content) -> tuple[ObjectClass, Size | None]:
    more = one.get("detObjOptData", {})
    kind = one["detObjCommon"]["objType"]
    size: Size | None = None
    if "detObst" in more:
        stated = more["detObst"]["obstSize"]
        if stated["width"] and stated["length"]:
            height = (stated.get("height") or 5) / 10
            size = Size(stated["length"] / 10, stated["width"] / 10, height)
        return (ObjectClass.ANIMAL if kind == "animal" else ObjectClass.OBSTACLE), size
    if kind == "vehicle":
        vehicle = more.get("detVeh", {})
        if "size" in vehicle:
            size = q.vehicle_size(vehicle["size"], vehicle.get("height"))
        return q.vehicle_class(vehicle.get("vehicleClass", 0), size), size
    if kind == "vru":
        person = more.get("detVRU", {})
        return q.person_class(person.get("basicType"), person.get("propulsion")), None
    return (ObjectClass.ANIMAL if kind == "animal" else ObjectClass.UNKNOWN), None


def _stamp(stated: q.Content, heard_ns: int) -> tuple[int | None, bool]:
    """(moment, True), (None, True) where no ms are stated, (None, False) where it is of another
    minute than the one nearest to hearing."""
    moment = of_dsecond(stated.get("second", 65_535), heard_ns)
    if moment is None:
        return None, True
    minute = stated.get("minute", _MINUTE_UNAVAILABLE)
    # Offsets from UTC of half hours exist; only whole hours leave the minute as it is.
    whole_hours = stated.get("offset", 0) % _HOUR_MINUTES == 0
    heard_minute = moment // NS_PER_MINUTE % _HOUR_MINUTES
    if minute < _MINUTE_UNAVAILABLE and whole_hours and minute != heard_minute:
        return None, False
    return moment, True
