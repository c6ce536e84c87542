"""Roadside safety messages of T/CSAE 53-2020: tracks in, message values in JSON form out.

Every message holds the unit itself as participant 0 and up to 15 road users (T/CSAE 159-2020 clause
7.2; ParticipantList holds 16), so more road users make more messages. refPos is the site's surveyed
origin, on the road; the unit stands `antenna_height` above it. Its own posConfidence is
unavailable: no survey states its error. How a road user is stated: `rsu.v2x.csae.participant`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rsu.schema.tracks import Track
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.participant import participant
from rsu.v2x.csae.place import Place
from rsu.v2x.numbers import LAST_ID
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

ROAD_USERS_MAX = 15
"""Road users per message: 16 participants less the unit itself."""

SELF_ID = 0
"""ptcId of the unit itself (T/CSAE 159-2020 clause 7.2)."""


class RsmWriter:
    """What one unit writes; a `rsu.v2x.writers.TrackWriter`.

    Raises OutOfRangeError for a place or an antenna that the message cannot carry.
    """

    objects_max = ROAD_USERS_MAX
    numbers_max = LAST_ID
    alone = True

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._place = Place(unit)
        self._antenna = units.vertical_offset(unit.antenna_height)

    def speaks_of(self, track: Track) -> bool:  # noqa: ARG002  as every writer
        """Everything that moves is a participant."""
        return True

    def content(self, count: int, time_ns: int, road_users: Sequence[Content]) -> Content:
        """RoadsideSafetyMessage with the unit itself and at most ROAD_USERS_MAX road users."""
        return {
            "msgCnt": count,
            "id": self._unit.rsu_id,
            "refPos": dict(self._place.reference),
            "participants": [self._itself(time_ns), *road_users],
        }

    def road_user(
        self, track: Track, number: int, time_ns: int, position: tuple[float, float]
    ) -> Content:
        """ParticipantData of one track whose state is that of `time_ns` (UTC).

        Raises OutOfRangeError where the message cannot carry the track's position, speed or size.
        """
        return participant(track, number, time_ns, position, self._place, self._unit.sensors)

    def _itself(self, time_ns: int) -> Content:
        return {
            "ptcType": "rsu",
            "ptcId": SELF_ID,
            "source": "selfinfo",
            "secMark": time.dsecond(time_ns),
            "pos": {
                "offsetLL": {"position-LL1": {"lon": 0, "lat": 0}},
                "offsetV": self._antenna,
            },
            "posConfidence": {"pos": "unavailable"},
            "speed": 0,
            "heading": units.HEADING_UNAVAILABLE,
            "size": {"width": units.SIZE_UNAVAILABLE, "length": units.SIZE_UNAVAILABLE},
        }
