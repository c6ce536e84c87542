"""BSM of SAE J2735: what a vehicle says of itself → one road user.

The position is that of the vehicle's centre. The core has no accuracy of speed and heading and no
class; the class comes from a part II (supplemental) where there is one, else from the size.
"""

from __future__ import annotations

from rsu.schema.sensing import V2xObject
from rsu.v2x.receive import quantities as q
from rsu.v2x.receive.moments import of_dsecond


def read(content: q.Content, receiver: q.Receiver) -> q.RoadUsers:
    """BasicSafetyMessage in JSON form → its sender, or the reason why not."""
    core = content["coreData"]
    position = q.place(core["long"], core["lat"], receiver.frame)
    moment = of_dsecond(core["secMark"], receiver.heard_ns)
    cov = q.ellipse(core["accuracy"]) or receiver.unstated
    if position is None or moment is None or cov is None:
        return q.RoadUsers(core["id"], (), {q.missing(position, moment, cov): 1})
    size = q.vehicle_size(core["size"])
    found = V2xObject(
        object_id=core["id"],
        measured_ns=moment,
        position=position,
        position_cov=cov,
        object_class=q.vehicle_class(_classification(content), size),
        self_reported=True,
        # In reverse gear it is not said whether heading is that of the body or of the motion.
        heading=None if core["transmission"] == "reverseGears" else q.heading(core["heading"]),
        speed=q.speed(core["speed"]),
        size=size,
    )
    return q.RoadUsers(core["id"], (found,), {})


def _classification(content: q.Content) -> int:
    for part in content.get("partII", ()):
        value = part["partII-Value"]
        if isinstance(value, dict):
            more = value.get("SupplementalVehicleExtensions", {})
            if "classification" in more:
                return int(more["classification"])
    return 0
