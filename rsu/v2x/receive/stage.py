"""The receiving stage: datagrams of radios in, messages read, road users and requests out.

In: `v2x/rx`, `v2x/tx` to know our own words again, and `v2x/pushed`. Out: `v2x/heard` for all that
decodes, `detections/v2x` for road users that may be fused, `signal/request`, `signal/pushed` for
what a centre says of our lights, `decision`. Nothing is guessed: what a frame is wrapped in chooses
the message set, by configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from rsu.config.v2x_receive import ReceiveOptions
from rsu.schema.decision_log import DecisionLog
from rsu.schema.health import Verdict
from rsu.schema.message import Message
from rsu.schema.parking import ParkingRequest
from rsu.schema.priority import SignalRequest
from rsu.schema.sensing import V2xObject, V2xObjects
from rsu.schema.signals import SignalState
from rsu.schema.topics import (
    DECISION,
    PARKING_REQUEST,
    SIGNAL_PUSHED,
    SIGNAL_REQUEST,
    V2X_HEARD,
    V2X_OBJECTS,
    V2X_PUSHED,
    V2X_RX,
    V2X_TX,
)
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.schema.v2x import PushedV2x, ReceivedV2x
from rsu.v2x.codec import codec_for
from rsu.v2x.csae import read_bsm as csae_bsm
from rsu.v2x.csae import read_participants, read_vir
from rsu.v2x.csae import read_psm as csae_psm
from rsu.v2x.csae import read_spat as csae_spat
from rsu.v2x.errors import CodecError, NetworkError
from rsu.v2x.network.unwrap import DSMP, PC5, RSU41, WSMP, Unwrapped, unwrap
from rsu.v2x.receive.quantities import Receiver, RoadUsers, circle, total
from rsu.v2x.receive.senders import Bucket, OwnWords, Senders
from rsu.v2x.sae import read_bsm as sae_bsm
from rsu.v2x.sae import read_psm as sae_psm
from rsu.v2x.sae import read_sdsm, read_srm
from rsu.v2x.sae import read_spat as sae_spat
from rsu.v2x.unit import Unit

SENSOR = "v2x"
"""Everything heard is one sensor to fusion."""
TICK_NS = 500 * NS_PER_MS
"""How soon merged decisions are told."""
PAYLOADS_MAX = 16
"""Messages read out of one datagram; only an uplink frame holds more than one."""
SHARED_COST = 1 / 16
"""A unit that sees more than one message holds says it in several: 255 road users take 17 RSM."""

_Road = Callable[[Any, Receiver], RoadUsers]
_Request = SignalRequest | ParkingRequest
_Asked = Callable[[Any, Unit, int], Sequence[_Request]]
_CSAE_ROAD: dict[str, _Road] = {
    "BSM": csae_bsm.read,
    "PSM": csae_psm.read,
    "RSM": read_participants.read_rsm,
    "SSM": read_participants.read_ssm,
}
_SAE_ROAD: dict[str, _Road] = {
    "BSM": sae_bsm.read,
    "PSM": sae_psm.read,
    "SDSM": read_sdsm.read,
}
_SELF_REPORTS = ("BSM", "PSM")
_SPAT = "SPAT"
_SAE = "j2735_2024"


class ReceiveStage:
    """Reads what radios hear. Deterministic; a bad datagram is a counted drop, never an error."""

    name = "v2x-receive"
    inputs = (V2X_RX, V2X_TX, V2X_PUSHED)
    # Lights get a topic of their own: SPAT says again what is on SIGNAL_STATE, while a pushed SPAT
    # is sent on as it is; and a topic that a process makes itself does not reach it from devices.
    outputs = (V2X_HEARD, V2X_OBJECTS, SIGNAL_REQUEST, PARKING_REQUEST, SIGNAL_PUSHED, DECISION)
    period_ns: int | None = TICK_NS

    def __init__(self, options: ReceiveOptions, unit: Unit, boot: Instant) -> None:
        self._options, self._unit, self._boot = options, unit, boot
        self._log = DecisionLog(self.name)
        self._own = OwnWords(round(options.echo_s * NS_PER_S))
        self._senders = Senders(options.rate_hz, options.senders_max)
        # Not among the senders: a flood of radios must not shut the centre out.
        self._centre = Bucket(options.rate_hz, boot.mono_ns)
        self._radios: dict[str, Bucket] = {}
        self._oldest_ns = round(options.max_age_s * NS_PER_S)
        self._lead_ns = round(options.max_lead_s * NS_PER_S)
        self._margin = circle(options.margin_std_m)
        unstated = options.unstated_std_m
        self._unstated = None if unstated is None else circle(unstated)
        # The ids this unit goes by: whole in T/CSAE, its end in SDSM (4 octets).
        self._own_ids = frozenset((unit.rsu_id, unit.rsu_id[-8:]))
        for profile in {options.dsmp, options.wsmp, options.bare} - {None}:
            codec_for(str(profile))  # compiled before time matters

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """Read one datagram or a centre's message, or remember one frame of our own."""
        if message.topic == V2X_TX:
            self._own.remember(message.payload.payload, now.mono_ns)
            return []
        if not self._options.enabled:
            return []
        out: list[Message] = []
        if message.topic == V2X_PUSHED:
            out = self._pushed(message.payload, now)
        elif message.topic == V2X_RX:
            out = self._datagram(message.payload, now)
        return [*out, *self._log.drafts(now)]

    def tick(self, now: Instant) -> Iterable[Message]:
        """Tell merged decisions."""
        return self._log.drafts(now)

    def _datagram(self, heard: ReceivedV2x, now: Instant) -> list[Message]:
        subject = f"radio:{heard.radio}"
        bucket = self._radios.setdefault(
            heard.radio, Bucket(self._options.frames_hz, self._boot.mono_ns)
        )
        if not bucket.takes(1.0, now.mono_ns):
            self._drop(now, subject, "rate_exceeded")
            return []
        try:
            found = unwrap(heard.payload)
        except NetworkError as error:
            self._drop(now, subject, "undecodable", str(error))
            return []
        if found.ambiguous:
            self._drop(now, subject, "ambiguous")
            return []
        if not found.payloads or len(found.payloads) > PAYLOADS_MAX:
            self._drop(now, subject, "undecodable", f"{len(found.payloads)} messages inside")
            return []
        out: list[Message] = []
        for payload in found.payloads:
            out += self._payload(heard, found, payload, now)
        return out

    def _payload(
        self, heard: ReceivedV2x, found: Unwrapped, payload: bytes, now: Instant
    ) -> list[Message]:
        subject = f"radio:{heard.radio}"
        if self._own.include(payload, now.mono_ns):
            self._drop(now, subject, "own_echo")
            return []
        names = tuple(layer.name for layer in found.layers)
        profile = self._profile(names)
        if profile is None:
            self._drop(now, subject, "profile_unknown", " ".join(names) or "bare")
            return []
        codec = codec_for(profile)
        try:
            value = codec.decode(payload)
            name = codec.message_name(value)
        except CodecError as error:
            detail = "; ".join((f"{profile}: {error}", *found.rejected))
            self._drop(now, subject, "undecodable", detail)
            return []
        read = msgspec.structs.replace(
            heard, payload=payload, profile=profile, message=name, aid=_aid(found), value=value,
            layers=names,
        )  # fmt: skip
        out = [Message.draft(V2X_HEARD, self.name, heard.capture_ns, read)]
        return [*out, *self._use(profile, name, value, heard.capture_ns, now)]

    def _profile(self, layers: tuple[str, ...]) -> str | None:
        if DSMP in layers:
            return self._options.dsmp
        if {WSMP, PC5, RSU41}.intersection(layers):
            return self._options.wsmp
        return self._options.bare

    def _use(
        self, profile: str, name: str, value: dict[str, Any], heard_ns: int, now: Instant
    ) -> list[Message]:
        """What follows from a message beside having heard it."""
        sae = profile == _SAE
        road = (_SAE_ROAD if sae else _CSAE_ROAD).get(name)
        asked: _Asked | None = None
        if name == ("SRM" if sae else "VIR"):
            asked = read_srm.read if sae else _read_vir
        if road is None and asked is None:
            return []
        subject, content = f"message:{name}", _content(value)
        if not self._options.use_unverified:
            self._drop(now, subject, "unverified")
            return []
        if asked is not None:
            return self._requests(asked(content, self._unit, heard_ns), name, now)
        assert road is not None
        users = road(content, Receiver(self._unit.site.frame, heard_ns, self._unstated))
        if self._is_own(users.sender, name, sae=sae):
            self._drop(now, subject, "own_echo")
            return []
        cost = 1.0 if name in _SELF_REPORTS else SHARED_COST
        reason = self._senders.refusal(users.sender, name, cost, now.mono_ns)
        if reason is not None:
            self._drop(now, subject, reason)
            return []
        return self._road_users(users, name, heard_ns, now)

    def _is_own(self, sender: str, name: str, *, sae: bool) -> bool:
        # A PSM on behalf of a person begins with the end of our id (rsu.v2x.sae.psm).
        behalf = sae and name == "PSM" and sender.startswith(self._unit.rsu_id[-4:])
        return behalf or sender in self._own_ids

    def _requests(self, found: Sequence[_Request], name: str, now: Instant) -> list[Message]:
        subject = f"message:{name}"
        if not found:
            self._drop(now, subject, "not_for_us")
        out = []
        for request in found:
            vehicle = request.vehicle.hex()
            reason = self._untimely(request.time_ns, now.utc_ns)
            reason = reason or self._senders.refusal(vehicle, name, 1.0, now.mono_ns)
            if reason is not None:
                self._drop(now, subject, reason)
                continue
            topic = SIGNAL_REQUEST if isinstance(request, SignalRequest) else PARKING_REQUEST
            out.append(Message.draft(topic, self.name, request.time_ns, request))
        return out

    def _road_users(
        self, users: RoadUsers, name: str, heard_ns: int, now: Instant
    ) -> list[Message]:
        subject = f"message:{name}"
        for reason in sorted(users.refused):
            self._drop(now, subject, reason, count=users.refused[reason])
        kept: list[V2xObject] = []
        for one in users.objects:
            refusal = self._untimely(one.measured_ns, heard_ns)
            if refusal is None and one.position.x**2 + one.position.y**2 > (
                self._options.range_m**2
            ):
                refusal = "far_away"
            if refusal is not None:
                self._drop(now, subject, refusal)
                continue
            cov = total(one.position_cov, self._margin)
            kept.append(msgspec.structs.replace(one, position_cov=cov))
        if not kept:
            return []
        moments = [one.measured_ns for one in kept]
        found = V2xObjects(
            sensor=SENSOR, sender=users.sender, message=name, capture_ns=max(moments),
            objects=tuple(kept),
        )  # fmt: skip
        return [Message.draft(V2X_OBJECTS, self.name, min(moments), found)]

    def _pushed(self, pushed: PushedV2x, now: Instant) -> list[Message]:
        """What a centre says of this unit's lights. Unlike a radio's, its word needs no signature:
        it comes by a session that this unit opened."""
        states = _told(pushed, self._unit, now)
        if states is None:
            return []
        subject = f"pushed:{pushed.key}"
        if not states:
            self._drop(now, subject, "not_for_us")
        out = []
        for state in states:
            reason = self._untimely(state.capture_ns, now.utc_ns)
            if reason is None and not self._centre.takes(1.0, now.mono_ns):
                reason = "rate_exceeded"
            if reason is not None:
                self._drop(now, subject, reason)
                continue
            out.append(Message.draft(SIGNAL_PUSHED, self.name, state.capture_ns, state))
        return out

    def _untimely(self, moment_ns: int, now_ns: int) -> str | None:
        if now_ns - moment_ns > self._oldest_ns:
            return "too_old"
        return "from_future" if moment_ns - now_ns > self._lead_ns else None

    def _drop(
        self, now: Instant, subject: str, reason: str, detail: str = "", count: int = 1
    ) -> None:
        self._log.note(now, subject, Verdict.DROPPED, reason, detail[:200], count)


def _told(pushed: PushedV2x, unit: Unit, now: Instant) -> list[SignalState] | None:
    """States of our lights in a SPAT; None for anything else, for what does not decode and what is
    over: the voice of pushed messages tells of those (`rsu.v2x.voices.pushed`)."""
    if pushed.message != _SPAT or not pushed.payload or now.utc_ns > pushed.until_ns:
        return None
    try:
        codec = codec_for(pushed.profile)
        value = codec.decode(pushed.payload)
        if codec.message_name(value) != _SPAT:
            return None
    except CodecError:
        return None
    read = sae_spat.read if pushed.profile == _SAE else csae_spat.read
    return read(_content(value), unit, pushed.received_ns)


def _content(value: dict[str, Any]) -> Any:
    """The bare content of a frame: what stands behind the innermost name."""
    inner = next(iter(value.values())) if "messageId" not in value else value
    if "messageId" in inner:
        ((_, inner),) = inner["value"].items()
    return inner


def _aid(found: Unwrapped) -> int | None:
    for layer in found.layers:
        stated = layer.fields.get("aid", layer.fields.get("psid"))
        if isinstance(stated, int):
            return stated
    return None


def _read_vir(content: Any, unit: Unit, heard_ns: int) -> Sequence[_Request]:
    signals = read_vir.read(content, unit, heard_ns)
    return [*signals, *read_vir.read_parking(content, unit, heard_ns)]
