"""The voice of messages about road users: RSM and SSM of T/CSAE, SDSM and PSM of SAE.

It speaks right after the track list it rests on, at most at the configured rate of cycles. Each
road user and the message as a whole must pass the gate; what does not is withheld with a decision.
More road users than one message holds make more messages, up to `max_frames` in a cycle; who finds
no place takes turns (`selection`). A unit that sees nobody still states itself every `silence_s`
where the message can say that, as long as perception has looked recently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsu.config.v2x_messages import TrackMessageOptions
from rsu.schema.message import Message
from rsu.schema.topics import ROAD_EVENT, TRACKS, Topic
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.v2x.numbers import Numbers
from rsu.v2x.policy import Refusal
from rsu.v2x.selection import Selection
from rsu.v2x.speech import MESSAGE_COUNTS, Evidence, Speech
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.unit import Unit
from rsu.v2x.writers import TrackWriter

PATIENCE_NS = 200 * NS_PER_MS
"""How long a due statement waits for a track list: two periods of a 10 Hz camera."""

EXISTENCE_MIN = 0.5
"""A track below it is more likely not there than there."""


@dataclass(frozen=True, slots=True)
class _Stated:
    """A road user as it goes into a message."""

    track: Track
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A message that is ready but for its header; no payload where the encoder refused it."""

    group: Sequence[_Stated]
    content: dict[str, Any]
    payload: bytes | None


class RoadUserVoice:
    """One message class about road users."""

    topics: tuple[Topic, ...] = (TRACKS, ROAD_EVENT)

    def __init__(
        self,
        speech: Speech,
        writer: TrackWriter,
        unit: Unit,
        options: TrackMessageOptions,
        boot: Instant,
    ) -> None:
        self._speech = speech
        self._writer = writer
        self._unit = unit
        self._max_frames = options.max_frames
        self._silence_ns = round(options.silence_s * NS_PER_S) if writer.alone else None
        self._numbers = Numbers(writer.numbers_max)
        self._selection = Selection()
        self._looked_ns: int | None = None  # time of the newest track list, UTC
        self._spoke_ns = boot.mono_ns  # last time something was, or should have been, said

    def hear(self, message: Message, now: Instant) -> list[Message]:
        """Speak of a track list; remember whom a road event names."""
        if message.topic == ROAD_EVENT:
            self._selection.hear(message.payload, now)
            return []
        tracks: TrackList = message.payload
        self._looked_ns = tracks.time_ns
        present = {track.id for track in tracks.tracks}
        self._numbers.keep_only(present, now.mono_ns)
        self._selection.keep_only(present)
        candidates = [track for track in tracks.tracks if self._credible(track, now)]
        current = self._speech.gate.age_refusal(tracks.time_ns, now)
        if current is not None:
            # The states are not of now, however young the evidence behind them is.
            if candidates:
                self._speech.withhold(now, current)
            return []
        alone_due = self._silent(now)
        if not (candidates or alone_due) or not self._speech.allowed(now):
            return []
        stated = self._stated(candidates, tracks.time_ns, now)
        if not (stated or alone_due):
            return []
        return self._say(stated, tracks.time_ns, now)

    def tick(self, now: Instant) -> list[Message]:
        """State the unit alone after a silence, or say why not.

        A statement that is due waits a little for the next track list: said right after it, it
        rests on a younger look than when a timer fires.
        """
        if not self._silent(now, PATIENCE_NS):
            return []
        self._spoke_ns = now.mono_ns
        looked_ns = self._looked_ns
        if looked_ns is None or self._speech.gate.age_refusal(looked_ns, now) is not None:
            self._speech.withhold(now, Refusal("perception_silent"))
            return []
        return self._say([], looked_ns, now) if self._speech.allowed(now) else []

    def _credible(self, track: Track, now: Instant) -> bool:
        if not self._writer.speaks_of(track):
            return False
        subject = f"track:{track.id}"
        if not self._speech.fresh(track.updated_ns, now, subject):
            return False
        if track.existence < EXISTENCE_MIN:
            refusal = Refusal("not_confirmed", f"existence {track.existence:.2f}")
            self._speech.withhold(now, refusal, subject)
            return False
        return True

    def _silent(self, now: Instant, patience_ns: int = 0) -> bool:
        if self._silence_ns is None:
            return False
        return now.mono_ns - self._spoke_ns >= self._silence_ns + patience_ns

    def _stated(self, tracks: Sequence[Track], time_ns: int, now: Instant) -> list[_Stated]:
        """Those whom the message can carry. All are tried before anybody is chosen, so that no
        place and no turn goes to somebody who cannot be said."""
        stated: list[_Stated] = []
        positions = self._unit.degrees([track.position for track in tracks])
        for track, position in zip(tracks, positions, strict=True):
            subject = f"track:{track.id}"
            number = self._numbers.number(track.id)
            if number is None:
                self._speech.withhold(now, Refusal("no_free_number"), subject)
                continue
            try:
                value = self._writer.road_user(track, number, time_ns, position)
            except OutOfRangeError as error:
                self._speech.withhold(now, Refusal("out_of_range", str(error)), subject)
                continue
            stated.append(_Stated(track, value))
        return stated

    def _say(self, stated: Sequence[_Stated], time_ns: int, now: Instant) -> list[Message]:
        """As many messages as it takes and `max_frames` allow, at least one."""
        frames: list[Message] = []
        placed: set[int] = set()
        for message in self._planned(stated, time_ns, now):
            tracks = tuple(one.track.id for one in message.group)
            placed.update(tracks)
            if message.payload is None:
                continue
            oldest_ns = min((one.track.updated_ns for one in message.group), default=time_ns)
            evidence = Evidence(time_ns, oldest_ns, tracks)
            reason = "road_users" if tracks else "nobody_seen"
            frames += self._speech.send(message.payload, message.content, now, evidence, reason)
        self._left_out({one.track.id for one in stated} - placed, now)
        # Who had a place has had a turn, even where the message then failed.
        self._selection.said(sorted(placed))
        if frames:
            self._spoke_ns = now.mono_ns
        return frames

    def _planned(self, stated: Sequence[_Stated], time_ns: int, now: Instant) -> list[_Planned]:
        """The messages of this cycle, with as many road users as find a place.

        How many a packet holds is known only once they are encoded. Where not all of the chosen
        found a place, the choice is made again for the places that there are: otherwise those
        whose turn it is, who stand last, would be cut off in every cycle.
        """
        by_track = {one.track.id: one for one in stated}
        places = self._max_frames * self._writer.objects_max
        while True:
            tracks = self._selection.choose([one.track for one in stated], places, now)
            messages = self._filled([by_track[track.id] for track in tracks], time_ns, now)
            found = sum(len(message.group) for message in messages)
            if found == len(tracks):
                return messages
            places = found  # fewer each time

    def _filled(self, chosen: Sequence[_Stated], time_ns: int, now: Instant) -> list[_Planned]:
        """At most `max_frames` messages, at least one, each as full as its packet allows."""
        messages: list[_Planned] = []
        count, rest, most = self._speech.count, chosen, self._writer.objects_max
        while not messages or (rest and len(messages) < self._max_frames):
            message = self._fill(rest[:most], count, time_ns, now)
            messages.append(message)
            rest = rest[len(message.group) :]
            # Road users differ in size by a few octets, so the next packet holds about as many.
            most = min(len(message.group) * 5 // 4 + 1, self._writer.objects_max)
            if message.payload is not None and len(message.payload) <= self._speech.room:
                count = (count + 1) % MESSAGE_COUNTS
        return messages

    def _fill(self, some: Sequence[_Stated], count: int, time_ns: int, now: Instant) -> _Planned:
        """The next message, with as many of `some` as a packet holds, at least the first."""
        size = len(some)
        while True:
            group = some[:size]
            content = self._writer.content(count, time_ns, [one.value for one in group])
            payload = self._speech.encoded(content, now)
            if payload is None or len(payload) <= self._speech.room or size <= 1:
                return _Planned(group, content, payload)
            # In proportion is nearly right.
            size = max(min(size - 1, size * self._speech.room // len(payload)), 1)

    def _left_out(self, tracks: set[int], now: Instant) -> None:
        for track in sorted(tracks):
            self._speech.withhold(now, Refusal("no_place"), f"track:{track}")
