"""RSM of T/CSAE 53 and SSM of T/CSAE 157: what a neighbour sees → road users.

Left out: the sender itself (ptcId 0, type rsu, source selfinfo of a unit), and `hearsay`: what the
neighbour has only heard (source v2x), which we hear ourselves or have said ourselves. A source of
`integrated` may hold something heard too; nothing in the message tells. Obstacles of an SSM are
read as obstacles.
"""

from __future__ import annotations

from collections import Counter

from rsu.schema.sensing import ObjectClass, V2xObject
from rsu.schema.units import Size, Vec2
from rsu.v2x.receive import quantities as q
from rsu.v2x.receive.moments import of_dsecond

_TYPE = {
    "non-motor": ObjectClass.BICYCLE,
    "pedestrian": ObjectClass.PEDESTRIAN,
}
_DETECTED = {
    "car": ObjectClass.CAR,
    "van": ObjectClass.VAN,
    "truck": ObjectClass.TRUCK,
    "bus": ObjectClass.BUS,
    "cyclist": ObjectClass.BICYCLE,
    "motorcyclist": ObjectClass.MOTORCYCLE,
    "tricyclist": ObjectClass.MOTORCYCLE,
    "pedestrian": ObjectClass.PEDESTRIAN,
}
_OBSTACLE_PREFIX = "obstacle-"
"""Obstacles have numbers of their own."""


def read_rsm(content: q.Content, receiver: q.Receiver) -> q.RoadUsers:
    """RoadsideSafetyMessage in JSON form → what the unit sees."""
    return _Reader(content["id"], content["refPos"], receiver).read(content["participants"])


def read_ssm(content: q.Content, receiver: q.Receiver) -> q.RoadUsers:
    """SensorSharingMsg in JSON form → what the unit or vehicle sees."""
    reader = _Reader(content["id"], content["sensorPos"], receiver)
    for detected in content.get("participants", ()):
        reader.participant(detected["ptc"], _DETECTED.get(detected.get("detectedPTCType", "")))
    for obstacle in content.get("obstacles", ()):
        reader.obstacle(obstacle)
    return reader.found()


class _Reader:
    def __init__(self, sender: str, reference: q.Content, receiver: q.Receiver) -> None:
        self.sender, self.reference, self.receiver = sender, reference, receiver
        self.objects: list[V2xObject] = []
        self.refused: Counter[str] = Counter()

    def read(self, participants: list[q.Content]) -> q.RoadUsers:
        for participant in participants:
            self.participant(participant, None)
        return self.found()

    def found(self) -> q.RoadUsers:
        return q.RoadUsers(self.sender, tuple(self.objects), dict(self.refused))

    def participant(self, said: q.Content, detected: ObjectClass | None) -> None:
        if said["ptcType"] == "rsu" or said["ptcId"] == 0:
            return
        if said["source"] == "v2x":
            self.refused["hearsay"] += 1
            return
        motion = said.get("motionCfd", {})
        size = q.vehicle_size(said["size"], said["size"].get("height"))
        if detected is not None:
            kind = detected
        elif said["ptcType"] == "motor":
            number = said.get("vehicleClass", {}).get("classification", 0)
            kind = q.vehicle_class(number, size)
        else:
            kind = _TYPE.get(said["ptcType"], ObjectClass.UNKNOWN)
        reverse = said.get("transmission") == "reverseGears"
        self._add(
            said, str(said["ptcId"]), kind, size, motion.get("speedCfd"),
            motion.get("headingCfd"), reverse=reverse,
        )  # fmt: skip

    def obstacle(self, said: q.Content) -> None:
        if said["source"] == "v2x":
            self.refused["hearsay"] += 1
            return
        animal = said["obsType"] == "animal-intrusion"
        stated = said["size"]
        size = None
        if stated["width"] and stated["length"]:
            size = Size(
                stated["length"] / 10, stated["width"] / 10, (stated.get("height") or 5) / 10
            )
        self._add(
            said, f"{_OBSTACLE_PREFIX}{said['obsId']}",
            ObjectClass.ANIMAL if animal else ObjectClass.OBSTACLE, size,
            said.get("speedCfd"), said.get("headingCfd"),
        )  # fmt: skip

    def _add(
        self, said: q.Content, name: str, kind: ObjectClass, size: Size | None,
        speed_class: str | None, heading_class: str | None, *, reverse: bool = False,
    ) -> None:  # fmt: skip
        position = self._position(said["pos"])
        moment = of_dsecond(said["secMark"], self.receiver.heard_ns)
        cov = q.position_class(said["posConfidence"]["pos"]) or self.receiver.unstated
        if position is None or moment is None or cov is None:
            self.refused[q.missing(position, moment, cov)] += 1
            return
        self.objects.append(
            V2xObject(
                object_id=name,
                measured_ns=moment,
                position=position,
                position_cov=cov,
                object_class=kind,
                self_reported=False,
                heading=None if reverse else q.heading(said["heading"]),
                heading_std=q.heading_class(heading_class),
                speed=q.speed(said["speed"]),
                speed_std=q.speed_class(speed_class),
                size=size,
            )
        )

    def _position(self, stated: q.Content) -> Vec2 | None:
        ((alternative, offset),) = stated["offsetLL"].items()
        longitude, latitude = offset["lon"], offset["lat"]
        if alternative != "position-LatLon":
            if q.place(self.reference["long"], self.reference["lat"], self.receiver.frame) is None:
                return None
            longitude += self.reference["long"]
            latitude += self.reference["lat"]
            if abs(longitude) > q.LONGITUDE_MAX:  # across the 180th meridian
                longitude -= 2 * q.LONGITUDE_MAX if longitude > 0 else -2 * q.LONGITUDE_MAX
        return q.place(longitude, latitude, self.receiver.frame)
