"""The V2X stage: tracks and unit health in, roadside safety messages and decisions out.

A message goes out right after the tracks it rests on, at most at the configured rate. Before that,
each road user and the message as a whole must pass what docs/v2x.md lists; what does not pass is
withheld with a decision. A unit that sees nobody still states itself every `silence_s`, as long as
perception has looked recently; a unit whose perception or clock is in doubt says nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsu.config.place import OriginOptions
from rsu.config.v2x import V2xOptions
from rsu.schema.decision_log import DecisionLog
from rsu.schema.health import ClockQuality, UnitHealth, Verdict
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import DECISION, TRACKS, UNIT_HEALTH, V2X_TX
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.schema.v2x import V2xFrame
from rsu.v2x.codec import codec_for
from rsu.v2x.csae import rsm
from rsu.v2x.csae.participants import ParticipantIds
from rsu.v2x.csae.units import OutOfRangeError
from rsu.v2x.errors import CodecError
from rsu.v2x.network import dsmp
from rsu.v2x.rate_bound import RateBound

TICK_NS = 100 * NS_PER_MS
"""How finely `silence_s` is kept."""

PATIENCE_NS = 200 * NS_PER_MS
"""How long a due statement waits for a track list: two periods of a 10 Hz camera."""

CLOCK_WORD_NS = 5 * NS_PER_S
"""How long a word about the clock holds: five of the health reports that come every second."""

MESSAGE_COUNTS = 128
"""msgCnt runs 0..127."""

EXISTENCE_MIN = 0.5
"""A track below it is more likely not there than there."""

_SUBJECT = "message:RSM"


@dataclass(frozen=True, slots=True)
class _Stated:
    """A road user as it goes into a message, and the evidence behind it."""

    track: int
    updated_ns: int
    value: dict[str, Any]


class V2xStage:
    """States what the unit sees. `boot` seeds msgCnt; `sensors` says what kind each sensor id is.

    Raises V2xError when profile, position, height or application id cannot be carried.
    """

    name = "v2x"
    inputs = (TRACKS, UNIT_HEALTH)
    outputs = (V2X_TX, DECISION)
    period_ns: int | None = TICK_NS

    def __init__(
        self,
        options: V2xOptions,
        origin: OriginOptions,
        sensors: Mapping[str, SensorKind],
        boot: Instant,
    ) -> None:
        self._options = options
        self._max_age_ns = round(options.rsm.max_evidence_age_s * NS_PER_S)
        self._silence_ns = round(options.rsm.silence_s * NS_PER_S)
        self._codec = codec_for(options.profile)
        self._writer = rsm.RsmWriter(options, origin, sensors)
        self._ids = ParticipantIds()
        self._rate = RateBound(options.rsm.rate_hz, boot.mono_ns)
        self._log = DecisionLog(self.name)
        self._count = zlib.crc32(boot.utc_ns.to_bytes(8, "big", signed=True)) % MESSAGE_COUNTS
        self._clock: ClockQuality | None = None
        self._clock_heard_ns = boot.mono_ns
        self._looked_ns: int | None = None  # time of the newest track list, UTC
        self._spoke_ns = boot.mono_ns  # last time something was, or should have been, said
        # What can be wrong with the identity is found here and not with the first road user; this
        # also compiles the codec before time matters.
        dsmp.build(options.rsm.aid, self._codec.encode(self._writer.message(0, boot.utc_ns, ())))

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """Take tracks (speak) or the unit's health (remember the clock's state)."""
        if message.topic == UNIT_HEALTH:
            health: UnitHealth = message.payload
            self._clock = health.clock
            self._clock_heard_ns = now.mono_ns
            return []
        if message.topic != TRACKS or not self._options.rsm.enabled:
            return []
        return [*self._state(message.payload, now), *self._log.drafts(now)]

    def tick(self, now: Instant) -> Iterable[Message]:
        """State the unit alone after a silence, or say why not; tell merged decisions.

        A statement that is due waits a little for the next track list: said right after it, it
        rests on a younger look than when a timer fires.
        """
        if not self._options.rsm.enabled or not self._silent(now, PATIENCE_NS):
            return self._log.drafts(now)
        frames: list[Message] = []
        if self._looked_ns is None or self._stale(self._looked_ns, now):
            self._withhold(now, "perception_silent")
        elif self._clock_good(now) and self._rate_allows(now):
            frames = self._frames([], self._looked_ns, now)
        self._spoke_ns = now.mono_ns
        return [*frames, *self._log.drafts(now)]

    def _state(self, tracks: TrackList, now: Instant) -> list[Message]:
        self._looked_ns = tracks.time_ns
        self._ids.keep_only({track.id for track in tracks.tracks}, now.mono_ns)
        candidates = [track for track in tracks.tracks if self._credible(track, now)]
        if not candidates and (not self._silent(now) or self._stale(tracks.time_ns, now)):
            return []
        if not self._clock_good(now) or not self._rate_allows(now):
            return []
        stated = self._stated(rsm.in_order(candidates), tracks.time_ns, now)
        if not stated and not self._silent(now):
            return []
        return self._frames(stated, tracks.time_ns, now)

    def _credible(self, track: Track, now: Instant) -> bool:
        if self._stale(track.updated_ns, now):
            age = (now.utc_ns - track.updated_ns) / NS_PER_S
            reason = "evidence_stale" if age > 0 else "evidence_from_future"
            self._log.note(now, f"track:{track.id}", Verdict.WITHHELD, reason, f"{age:.3f} s old")
            return False
        if track.existence < EXISTENCE_MIN:
            self._log.note(
                now, f"track:{track.id}", Verdict.WITHHELD, "not_confirmed",
                f"existence {track.existence:.2f}",
            )  # fmt: skip
            return False
        return True

    def _stale(self, evidence_ns: int, now: Instant) -> bool:
        # Evidence from the future is as doubtful as old evidence: a clock has been stepped.
        return abs(now.utc_ns - evidence_ns) > self._max_age_ns

    def _silent(self, now: Instant, patience_ns: int = 0) -> bool:
        return now.mono_ns - self._spoke_ns >= self._silence_ns + patience_ns

    def _clock_good(self, now: Instant) -> bool:
        if self._options.trust_clock:
            return True
        if self._clock is None:
            self._withhold(now, "clock_unsynchronised", "no health report yet")
            return False
        if now.mono_ns - self._clock_heard_ns > CLOCK_WORD_NS:
            self._withhold(now, "clock_unsynchronised", "the last health report is too old")
            return False
        if self._clock is ClockQuality.UNSYNCHRONISED:
            self._withhold(now, "clock_unsynchronised")
            return False
        return True

    def _rate_allows(self, now: Instant) -> bool:
        if self._rate.allows(now.mono_ns):
            return True
        self._withhold(now, "rate_bound")
        return False

    def _stated(self, tracks: Sequence[Track], time_ns: int, now: Instant) -> list[_Stated]:
        stated: list[_Stated] = []
        for track, position in zip(tracks, self._writer.positions(tracks), strict=True):
            subject = f"track:{track.id}"
            number = self._ids.number(track.id)
            if number is None:
                self._log.note(now, subject, Verdict.WITHHELD, "no_free_number")
                continue
            try:
                value = self._writer.road_user(track, number, time_ns, position)
            except OutOfRangeError as error:
                self._log.note(now, subject, Verdict.WITHHELD, "out_of_range", str(error))
                continue
            stated.append(_Stated(track.id, track.updated_ns, value))
        return stated

    def _frames(self, stated: Sequence[_Stated], time_ns: int, now: Instant) -> list[Message]:
        """One frame per 15 road users, at least one; each holds the unit itself."""
        frames: list[Message] = []
        for start in range(0, max(len(stated), 1), rsm.ROAD_USERS_MAX):
            group = stated[start : start + rsm.ROAD_USERS_MAX]
            value = self._writer.message(self._count, time_ns, [one.value for one in group])
            try:
                payload = self._codec.encode(value)
            except CodecError as error:
                # The writer checks every range, so this is a fault of this program; a unit that
                # goes on seeing and says which statement failed is better than a dead one.
                self._log.note(now, _SUBJECT, Verdict.DROPPED, "encode_failed", str(error))
                continue
            self._count = (self._count + 1) % MESSAGE_COUNTS
            evidence = [one.updated_ns for one in group] or [time_ns]
            frame = V2xFrame(
                profile=self._options.profile,
                message="RSM",
                payload=payload,
                network=dsmp.build(self._options.rsm.aid, payload),
                aid=self._options.rsm.aid,
                priority=self._options.rsm.priority,
                value=value,
                time_ns=time_ns,
                subjects=tuple(one.track for one in group),
            )
            frames.append(Message.draft(V2X_TX, self.name, min(evidence), frame))
        if frames:
            self._spoke_ns = now.mono_ns
            reason = "road_users" if stated else "nobody_seen"
            self._log.note(now, _SUBJECT, Verdict.SENT, reason, count=len(frames))
        return frames

    def _withhold(self, now: Instant, reason: str, detail: str = "") -> None:
        self._log.note(now, _SUBJECT, Verdict.WITHHELD, reason, detail)
