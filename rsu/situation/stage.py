"""The stage that says what the scene means.

In: tracks and whatever its parts want to hear (sensor health, signals, bay sensors, the weather).
Out: what the parts conclude: traffic, parking, road events and warnings. Each track list becomes
one `Picture`; the parts read it in turn. A part interprets, the stage keeps order: older lists are
left out, and when the clock was set back everyone begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from rsu.schema.message import Message
from rsu.schema.topics import TRACKS, Topic
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.site.lanes import SiteMap
from rsu.situation.picture import Picture, Viewer
from rsu.situation.snapshots import Snapshots

SET_BACK_NS = NS_PER_S  # evidence jitters by less; a list older by more says the clock was set back
PERIOD_NS = 100 * NS_PER_MS  # ends and time limits are noticed this soon when nothing is heard
LOOK_NS = 70 * NS_PER_MS
"""ns between pictures at least: ten to fourteen a second, however many sensors make fusion speak.
The only bound on how often parts look."""


class Part(Protocol):
    """Interprets one side of the scene. Everything is deterministic and without I/O.

    `topics` is what it wants to hear beside pictures, `outputs` what it drafts.
    """

    topics: tuple[Topic, ...]
    outputs: tuple[Topic, ...]

    def follow(self, picture: Picture, now: Instant) -> Iterable[Message]:
        """The road as it is now, in order of time."""

    def hear(self, message: Message, now: Instant) -> Iterable[Message]:
        """A message of `topics`."""

    def tick(self, now: Instant) -> Iterable[Message]:
        """Ten times a second, whether anything came or not."""

    def begin_anew(self, now: Instant) -> Iterable[Message]:
        """The clock was set back: end what is open; nothing from before can be joined on."""


class SituationStage:
    """Gives every track list to the parts, in their order."""

    name = "situation"
    period_ns: int | None = PERIOD_NS

    def __init__(self, parts: Sequence[Part], site_map: SiteMap) -> None:
        self._parts = tuple(parts)
        self._viewer = Viewer(site_map)
        self._last_ns: int | None = None
        self._snapshots = Snapshots()
        heard = dict.fromkeys(
            (TRACKS, *self._snapshots.topics, *(topic for part in parts for topic in part.topics))
        )
        self.inputs: tuple[Topic, ...] = tuple(heard)
        self.outputs: tuple[Topic, ...] = tuple(
            dict.fromkeys(topic for part in parts for topic in part.outputs)
        )

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """Take one track list, or pass on what a part wants to hear."""
        out: list[Message] = []
        payload = message.payload
        if isinstance(payload, TrackList):
            out += self._restart_if_set_back(payload.time_ns, now)
            if self._last_ns is None or payload.time_ns >= self._last_ns + LOOK_NS:
                self._last_ns = payload.time_ns
                picture = self._viewer.look(payload)
                self._snapshots.see(picture)
                for part in self._parts:
                    out += part.follow(picture, now)
            return self._completed(out)
        self._snapshots.hear(payload)
        for part in self._parts:
            if message.topic in part.topics:
                out += part.hear(message, now)
        return self._completed(out)

    def tick(self, now: Instant) -> Iterable[Message]:
        """Let time pass for every part."""
        out = self._restart_if_set_back(now.utc_ns, now)
        for part in self._parts:
            out += part.tick(now)
        return self._completed(out)

    def _completed(self, out: list[Message]) -> list[Message]:
        return [self._snapshots.completed(message) for message in out]

    def _restart_if_set_back(self, time_ns: int, now: Instant) -> list[Message]:
        if self._last_ns is None or time_ns >= self._last_ns - SET_BACK_NS:
            return []
        self._last_ns = None
        self._viewer.forget()
        self._snapshots.forget()
        return [message for part in self._parts for message in part.begin_anew(now)]
