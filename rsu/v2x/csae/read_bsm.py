"""BSM of T/CSAE: what a vehicle says of itself → one road user.

`pos` is taken as the centre of the vehicle, as in SAE J2735. A heading in reverse gear does not say
whether it is that of the body or of the motion, so it is left out.
"""

from __future__ import annotations

from rsu.schema.sensing import V2xObject
from rsu.v2x.receive import quantities as q
from rsu.v2x.receive.moments import of_dsecond


def read(content: q.Content, receiver: q.Receiver) -> q.RoadUsers:
    """BasicSafetyMessage in JSON form → its sender, or the reason why not.

    Reasons: position_unstated, time_unstated, accuracy_unstated.
    """
    sender = content["id"]
    position = q.place(content["pos"]["long"], content["pos"]["lat"], receiver.frame)
    moment = of_dsecond(content["secMark"], receiver.heard_ns)
    cov = q.ellipse(content.get("posAccuracy"))
    if cov is None:
        cov = q.position_class(content.get("posConfidence", {}).get("pos")) or receiver.unstated
    if position is None or moment is None or cov is None:
        return q.RoadUsers(sender, (), {q.missing(position, moment, cov): 1})
    motion = content.get("motionCfd", {})
    size = q.vehicle_size(content["size"], content["size"].get("height"))
    reverse = content["transmission"] == "reverseGears"
    return q.RoadUsers(
        sender,
        (
            V2xObject(
                object_id=sender,
                measured_ns=moment,
                position=position,
                position_cov=cov,
                object_class=q.vehicle_class(content["vehicleClass"]["classification"], size),
                self_reported=True,
                heading=None if reverse else q.heading(content["heading"]),
                heading_std=q.heading_class(motion.get("headingCfd")),
                speed=q.speed(content["speed"]),
                speed_std=q.speed_class(motion.get("speedCfd")),
                size=size,
            ),
        ),
        {},
    )
