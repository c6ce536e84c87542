"""One message on its way out: counted, encoded, put into its network header, and explained.

A voice (`rsu.v2x.voices`) decides what is said; its `Speech` holds what all messages need: the
gate, msgCnt, the codec and header of the message set, the room in a packet, and the decision log.
Nothing leaves without a decision, sent or withheld.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Self

from rsu.config.v2x_messages import MessageOptions
from rsu.schema.decision_log import DecisionLog
from rsu.schema.health import Verdict
from rsu.schema.message import Message
from rsu.schema.topics import V2X_TX
from rsu.schema.units import Instant
from rsu.schema.v2x import V2xFrame
from rsu.v2x.codec import Codec
from rsu.v2x.errors import CodecError, NetworkError
from rsu.v2x.policy import Gate, Refusal

MESSAGE_COUNTS = 128
"""msgCnt runs 0..127."""


@dataclass(frozen=True)
class MessageSet:
    """One of both worlds: its codec, its network header, and how its messages are named in
    decisions (`message:` + prefix + name). `room` is the longest message frame, octets."""

    codec: Codec
    build: Callable[[int, bytes], bytes]
    room: int
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a statement rests on: the moment it speaks of, its oldest evidence (both UTC ns), the
    tracks in it."""

    time_ns: int
    oldest_ns: int
    tracks: tuple[int, ...] = ()


class Counter:
    """msgCnt of one message of one set; whoever says that message counts with it."""

    def __init__(self, start: int) -> None:
        self.count = start % MESSAGE_COUNTS

    @classmethod
    def of(cls, name: str, boot: Instant) -> Self:
        """From boot and message, so that the counts of successive boots do not all begin alike."""
        return cls(zlib.crc32(boot.utc_ns.to_bytes(8, "big", signed=True) + name.encode()))

    def advance(self) -> None:
        """One more was sent."""
        self.count = (self.count + 1) % MESSAGE_COUNTS


class Speech:
    """One message class of one set. `stage` names the stage that publishes."""

    def __init__(
        self,
        stage: str,
        message: str,
        message_set: MessageSet,
        options: MessageOptions,
        gate: Gate,
        log: DecisionLog,
        counter: Counter,
    ) -> None:
        self.message = message
        self.gate = gate
        self.room = message_set.room
        self._stage = stage
        self._set = message_set
        self._options = options
        self._log = log
        self._subject = f"message:{message_set.prefix}{message}"
        self._counter = counter

    @property
    def count(self) -> int:
        """msgCnt of the next message."""
        return self._counter.count

    def allowed(self, now: Instant, key: Hashable = None) -> bool:
        """Whether the unit's state and the rate allow the message now; says why not."""
        refusal = self.gate.refusal(now) or self.gate.rate_refusal(now, key)
        if refusal is not None:
            self.withhold(now, refusal)
        return refusal is None

    def fresh(self, evidence_ns: int, now: Instant, subject: str = "") -> bool:
        """Whether evidence of this time may still be told; says why not."""
        refusal = self.gate.age_refusal(evidence_ns, now)
        if refusal is not None:
            self.withhold(now, refusal, subject)
        return refusal is None

    def withhold(self, now: Instant, refusal: Refusal, subject: str = "") -> None:
        """Note that something (default: the message) was not said."""
        self._log.note(
            now, subject or self._subject, Verdict.WITHHELD, refusal.reason, refusal.detail
        )

    def encoded(self, content: dict[str, Any], now: Instant) -> bytes | None:
        """The message frame around the content; None where the encoder refuses it.

        Writers check every range, so a refusal is a fault of this program; a unit that goes on
        and says which statement failed is better than a dead one.
        """
        codec = self._set.codec
        try:
            return codec.encode(codec.frame(self.message, content))
        except CodecError as error:
            self._log.note(now, self._subject, Verdict.DROPPED, "encode_failed", str(error))
            return None

    def fits(self, content: dict[str, Any]) -> bool:
        """Whether the content makes a message that a packet can hold. Raises CodecError."""
        codec = self._set.codec
        return len(codec.encode(codec.frame(self.message, content))) <= self.room

    def say(
        self, content: dict[str, Any], now: Instant, evidence: Evidence, reason: str
    ) -> list[Message]:
        """One message, or none where it cannot be encoded or is too long for a packet."""
        payload = self.encoded(content, now)
        if payload is None:
            return []
        return self.send(payload, content, now, evidence, reason)

    def send(
        self,
        payload: bytes,
        content: dict[str, Any],
        now: Instant,
        evidence: Evidence,
        reason: str,
    ) -> list[Message]:
        """One message that is encoded already; counts it."""
        sent = self.relay(payload, self._set.codec.frame(self.message, content), now, evidence,
                          reason)  # fmt: skip
        if sent:
            self._counter.advance()
        return sent

    def relay(
        self, payload: bytes, value: dict[str, Any], now: Instant, evidence: Evidence, reason: str
    ) -> list[Message]:
        """One message frame as it is, not counted as ours."""
        if len(payload) > self.room:
            self.withhold(now, Refusal("too_large", f"{len(payload)} of {self.room} octets"))
            return []
        try:
            network = self._set.build(self._options.aid, payload)
        except NetworkError as error:
            self.withhold(now, Refusal("too_large", str(error)))
            return []
        frame = V2xFrame(
            profile=self._set.codec.profile,
            message=self.message,
            payload=payload,
            network=network,
            aid=self._options.aid,
            priority=self._options.priority,
            value=value,
            time_ns=evidence.time_ns,
            subjects=evidence.tracks,
            channel=self._options.channel,
        )
        self._log.note(now, self._subject, Verdict.SENT, reason)
        return [Message.draft(V2X_TX, self._stage, evidence.oldest_ns, frame)]
