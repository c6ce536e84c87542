"""Personal safety message on behalf of somebody on foot or bicycle whom the unit sees.

Each person has a message of their own, as if they sent it. What only a device that is carried could
know (how it moves, what its user does, whether they want to cross) is left out. Persons whose class
is not more likely right than wrong are not spoken of: the message has no way to say so.

- id: the last two octets of the unit's id, then the person's number, which stays while the track
  lives and rests before it is given to somebody else. It names a track, never a person.
- accuracy is the one-sigma ellipse of the track's covariance (0.05 m, facts:
  j2735-2024-fields.md; that it is one sigma is general knowledge of J2735).
- heading is the direction of motion; unavailable where its 95 % error exceeds a quarter turn.
- The height is not measured but assumed (the road plane), so position has no elevation.
- propulsion is left out: a pedestrian may be in a wheelchair, a bicycle may have a motor.
"""

from __future__ import annotations

from collections.abc import Sequence

from rsu.schema.tracks import Track
from rsu.v2x import time
from rsu.v2x.sae import units
from rsu.v2x.sae.sdsm import CLASS_KNOWN, VRU_TYPES, heading
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

NUMBERS_MAX = 65_535
"""What two octets of the TemporaryID number."""


class PsmWriter:
    """What one unit writes; a `rsu.v2x.writers.TrackWriter` with one road user to a message."""

    objects_max = 1
    numbers_max = NUMBERS_MAX
    alone = False

    def __init__(self, unit: Unit) -> None:
        self._prefix = unit.rsu_id[-4:]

    def speaks_of(self, track: Track) -> bool:
        """People on foot and on bicycles."""
        return track.object_class in VRU_TYPES and track.class_probability > CLASS_KNOWN

    def content(
        self,
        count: int,
        time_ns: int,  # noqa: ARG002  the person's secMark says it
        road_users: Sequence[Content],
    ) -> Content:
        """PersonalSafetyMessage of the one person in `road_users`."""
        if len(road_users) != 1:
            raise OutOfRangeError(f"{len(road_users)} persons, a message is about 1")
        return {"msgCnt": count, **road_users[0]}

    def road_user(
        self, track: Track, number: int, time_ns: int, position: tuple[float, float]
    ) -> Content:
        """PersonalSafetyMessage less its msgCnt; `position` is (longitude, latitude).

        Raises OutOfRangeError where the message cannot carry the position, the speed, the number
        or the kind of road user.
        """
        kind = VRU_TYPES.get(track.object_class)
        if kind is None:
            raise OutOfRangeError(f"a {track.object_class} has no place in this message")
        return {
            "basicType": kind,
            "secMark": time.dsecond(time_ns),
            "id": f"{self._prefix}{units.number('person', number, 0, NUMBERS_MAX):04x}",
            "position": units.position(position),
            "accuracy": units.accuracy(track.position_cov),
            "speed": units.speed(abs(track.speed)),
            "heading": heading(track),
        }
