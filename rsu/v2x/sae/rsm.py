"""Road safety message of J2735: one road event in, message values in JSON form out.

causeCode is the group of the event's ITIS code and subCauseCode the code itself: ITIS codes are
numbered from 256 times their group on (facts: j2735-2024-fields.md, where kinds of vehicles begin
at 9217 = 36 · 256 + 1; V2X-Hub's sample pairs 7 with 1793). An event without a code, or with one of
a group that names a place or a vehicle instead of a cause, is not spoken of.

- eventID: the operator is configured, an event is the low 32 bits of its id. eventUpdate counts
  changes of what is said of the event, not repetitions. startDateTime and endDateTime in UTC;
  without a trusted clock they say nothing, which DDateTime can.
- One container: incidentsContainer for accidents (group 2), except for what stands on the road
  (523..541, the codes J2735 allows for obstacles), which is situationalContainer with the obstacle;
  for every other cause situationalContainer that says only where.
- Regions: the position, and around it a circle of the event's radius for any heading. Paths are
  left out: no public source states the unit of their width. So are recurrence and affected vehicles
  (nothing knows them), responders, and laneClosureContainer (it counts lanes from an edge that no
  public source states).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rsu.schema.events import EventPhase, RoadEvent, RoadSign
from rsu.v2x.sae import units
from rsu.v2x.sae.places import Places
from rsu.v2x.sae.revision import Revisions
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

GROUP_SIZE = 256
ACCIDENTS = 2
NO_CAUSES = frozenset({31, 36, 38, 39})
"""Groups of GenericLocations, VehicleGroupAffected, ResponderGroupAffected and
IncidentResponseEquipment."""
OBSTACLES = range(523, 542)
"""ITIScodes of ObstacleDetection and DisabledVehicle."""
GROUPS = range(1, 256)
"""ITISgroups; codes of group 0 name nothing."""
OBJECT_IDENTIFIER = re.compile(r"([01]\.[1-3]?[0-9]|2\.[0-9]{1,9})(\.[0-9]{1,9})*")
"""X.660: below 0 and 1 numbers end at 39; nine digits are more than any authority has."""


class RsmWriter:
    """What one unit writes; a `rsu.v2x.writers.EventWriter` with one event to a message.

    `operator` is the object identifier of who runs the road ("2.16.840.1"); it cannot be guessed.
    Raises OutOfRangeError for what is none.
    """

    events_max = 1
    signs_max = 0

    def __init__(self, unit: Unit, operator: str) -> None:
        if not OBJECT_IDENTIFIER.fullmatch(operator):
            raise OutOfRangeError(f"operator {operator!r} is no object identifier")
        self._places = Places(unit)
        self._operator = operator
        self._revisions = Revisions()

    def speaks_of(self, fact: RoadEvent | RoadSign) -> bool:
        """Events whose ITIS code names a cause."""
        return isinstance(fact, RoadEvent) and _group(fact.itis) is not None

    def content(
        self,
        count: int,  # noqa: ARG002  the message has no number of its own
        time_ns: int | None,
        events: Sequence[RoadEvent],
        signs: Sequence[RoadSign],
    ) -> Content:
        """RoadSafetyMessage of one event; one that has ended is cancelled.

        Raises OutOfRangeError for another number of facts, and for an event that has no cause or
        no place in the message.
        """
        if len(events) != 1 or signs:
            raise OutOfRangeError(f"{len(events)} events and {len(signs)} signs, 1 event is told")
        event = events[0]
        group = _group(event.itis)
        if group is None or event.itis is None:
            raise OutOfRangeError(f"ITIS code {event.itis} names no cause")
        place = {"referencePoint": self._places.position(event.position)}
        info: Content = {
            "eventCancellation": event.phase is EventPhase.END,
            "startDateTime": {} if time_ns is None else units.date_time(event.start_ns),
            "causeCode": group,
            "subCauseCode": event.itis,
        }
        if time_ns is not None and event.end_ns is not None:
            info["endDateTime"] = units.date_time(event.end_ns)
        region = self._region(event, place)
        container = _container(event.itis, place)
        said = (info, region, container)
        return {
            "commonContainer": {
                "eventInfo": {
                    "eventID": {
                        "operatorID": {"fullRdAuthID": self._operator},
                        "uniqueID": f"{event.id % (1 << 32):08x}",
                    },
                    "eventUpdate": self._revisions.of(event.id, said),
                    **info,
                },
                "regionInfo": [region],
            },
            "content": [container],
        }

    def _region(self, event: RoadEvent, place: Content) -> Content:
        region: Content = {**place, "referencePointType": "arbitrary"}
        if event.radius > 0:
            region["approachRegion"] = {
                "broadRegion": {
                    "applicableHeading": {"heading": 0, "tolerance": 180},
                    "broadArea": {"circle": self._places.circle(event.position, event.radius)},
                }
            }
        return region


def _group(itis: int | None) -> int | None:
    """ITISgroups of a code that names a cause, else None."""
    if itis is None or itis % GROUP_SIZE == 0:
        return None
    group = itis // GROUP_SIZE
    return group if group in GROUPS and group not in NO_CAUSES else None


def _container(itis: int, place: Content) -> Content:
    if itis in OBSTACLES:
        obstacle = {"location": place["referencePoint"], "description": itis}
        return {"situationalContainer": {"obstructions": obstacle, "applicableRegion": place}}
    if itis // GROUP_SIZE == ACCIDENTS:
        return {"incidentsContainer": {"incidentLocation": place}}
    return {"situationalContainer": {"applicableRegion": place}}
