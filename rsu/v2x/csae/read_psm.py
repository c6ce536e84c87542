"""PSM of T/CSAE 157: what a person outside a vehicle says of himself or herself → one road user."""

from __future__ import annotations

from rsu.schema.sensing import V2xObject
from rsu.v2x.receive import quantities as q
from rsu.v2x.receive.moments import of_dsecond


def read(content: q.Content, receiver: q.Receiver) -> q.RoadUsers:
    """PersonalSafetyMessage in JSON form → its sender, or the reason why not."""
    sender, who = content["id"], content["non-motorData"]
    position = q.place(content["pos"]["long"], content["pos"]["lat"], receiver.frame)
    moment = of_dsecond(content["secMark"], receiver.heard_ns)
    cov = q.ellipse(content["posAccuracy"]) or receiver.unstated
    if position is None or moment is None or cov is None:
        return q.RoadUsers(sender, (), {q.missing(position, moment, cov): 1})
    found = V2xObject(
        object_id=sender,
        measured_ns=moment,
        position=position,
        position_cov=cov,
        object_class=q.person_class(who["basicType"], who.get("propulsion")),
        self_reported=True,
        heading=q.heading(content["heading"]),
        speed=q.speed(content["speed"]),
    )
    return q.RoadUsers(sender, (found,), {})
