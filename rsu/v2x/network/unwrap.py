"""Peels what stands around messages: any octets in, bare UPER frames and the layers found out.

    RSU 4.1 text ─┬─► 1609.2 signed ──► 1609.2 unsecured ──► payload
    DSMP ─────────┤                   ▲
    PC5 ─► WSMP ──┘───────────────────┘        uplink frame ──► payload, payload, …

A layer counts only when it parses to its last octet. Octets that fit no layer are taken for a bare
payload, and `rejected` says which layers they looked like and why they are not. Octets that fit
several are reported as ambiguous with every reading and no choice. A caller with a codec passes
`accepts`, which tells whether octets are a message of its set: then "these octets are the message
itself" is tried as well, and readings whose payloads are messages go before those whose are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rsu.schema import uplink_frame
from rsu.schema.immediate_forward import ForwardTextError, parse_immediate_forward
from rsu.v2x.errors import NetworkError, V2xError
from rsu.v2x.network import dsmp, wsmp
from rsu.v2x.network.elements import Element
from rsu.v2x.security.certificate import Certificate
from rsu.v2x.security.envelope import Envelope, parse_envelope, utc_ns

OCTETS_MAX = 65_535
"""Longest input: the largest UDP datagram."""

Accepts = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Layer:
    """One header that was peeled: its name and what it said, as JSON values (octets as hex)."""

    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """One complete way to read the octets: `layers` outermost first, the bare `payloads`, and in
    `rejected` what the payload looked like without being it."""

    layers: tuple[Layer, ...]
    payloads: tuple[bytes, ...]
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The outcome: the reading where there is one; where there are several, no payloads and all of
    them in `candidates` (which is never empty)."""

    layers: tuple[Layer, ...]
    payloads: tuple[bytes, ...]
    rejected: tuple[str, ...]
    candidates: tuple[Reading, ...] = field(repr=False)

    @property
    def ambiguous(self) -> bool:
        """Whether the octets can be read in more than one way."""
        return len(self.candidates) > 1


def unwrap(octets: bytes, accepts: Accepts | None = None) -> Unwrapped:
    """Everything around the messages in these octets.

    Raises NetworkError for no octets or more than `OCTETS_MAX`, nothing else. A layer that carries
    nothing (an empty payload, a signature over data elsewhere) leaves no payloads. `accepts` must
    not raise.
    """
    if not octets:
        raise NetworkError("there are no octets")
    if len(octets) > OCTETS_MAX:
        raise NetworkError(f"{len(octets)} octets, at most {OCTETS_MAX} are read")
    readings = _readings(octets, _OUTERMOST, accepts)
    if accepts is not None:
        messages = [each for each in readings if each.payloads and all(map(accepts, each.payloads))]
        readings = messages or readings
    if len(readings) > 1:
        return Unwrapped((), (), (), tuple(readings))
    (only,) = readings
    return Unwrapped(only.layers, only.payloads, only.rejected, (only,))


@dataclass(frozen=True, slots=True)
class _Peeled:
    """A layer taken off: what is inside and which layers may stand there (none: bare payloads);
    `needs_layer`: one of them must."""

    layer: Layer
    inside: tuple[bytes, ...]
    within: tuple[_Opener, ...] = ()
    needs_layer: bool = False


_Opener = Callable[[bytes], "_Peeled | None"]
"""Takes a layer off; None where the octets do not begin like it, V2xError where they do but break
its rules."""


def _readings(
    octets: bytes, openers: tuple[_Opener, ...], accepts: Accepts | None
) -> list[Reading]:
    """Every reading by these layers; the one of a bare payload where there is none, or where the
    octets are a message. Depth is bounded: what may stand within a layer is always fewer."""
    found: list[Reading] = []
    rejected: list[str] = []
    for opener in openers:
        try:
            peeled = opener(octets) if octets else None
            if peeled is not None:
                found.extend(_inside(peeled, accepts))
        except V2xError as error:
            rejected.append(f"{_NAMES[opener]}: {error}")
    if not found or (accepts is not None and accepts(octets)):
        found.append(Reading((), (octets,) if octets else (), tuple(rejected)))
    return found


def _inside(peeled: _Peeled, accepts: Accepts | None) -> list[Reading]:
    if not peeled.within:
        return [Reading((peeled.layer,), peeled.inside)]
    (octets,) = peeled.inside
    readings = _readings(octets, peeled.within, accepts)
    if peeled.needs_layer:
        layered = [each for each in readings if each.layers]
        if not layered:
            raise NetworkError("; ".join(readings[0].rejected) or "what must be inside is not")
        readings = layered
    return [
        Reading((peeled.layer, *each.layers), each.payloads, each.rejected) for each in readings
    ]


RSU41, UPLINK, DSMP, PC5, WSMP, ENVELOPE = (
    "rsu41",
    "uplink_frame",
    "dsmp",
    "pc5",
    "wsmp",
    "ieee1609dot2",
)


def _forward_text(octets: bytes) -> _Peeled | None:
    if b"payload" not in octets.lower():
        return None
    try:
        text = parse_immediate_forward(octets)
    except ForwardTextError as error:
        raise NetworkError(str(error)) from error
    fields = {
        "version": text.version,
        "type": text.message_type,
        "psid": text.psid,
        "priority": text.priority,
        "tx_mode": text.tx_mode,
        "channel": text.channel,
        "interval_s": text.interval_s,
        "delivery_start": text.delivery_start,
        "delivery_stop": text.delivery_stop,
        "signature": text.signature,
        "encryption": text.encryption,
    }
    return _Peeled(Layer(RSU41, fields), (text.payload,), (_envelope,))


def _uplink(octets: bytes, *, counted: bool) -> _Peeled | None:
    try:
        frame = uplink_frame.parse(octets, counted=counted)
    except uplink_frame.UplinkFrameError:
        return None  # it has no mark by which to say "looks like it"
    text = frame.unit.rstrip(b"\0")
    name = text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else None
    fields = {
        "unit": frame.unit.hex(),
        "unit_text": name,
        "time_ms": frame.time_ms,
        "count": len(frame.messages) if counted else None,
    }
    return _Peeled(Layer(UPLINK, fields), frame.messages)


def _uplink_plain(octets: bytes) -> _Peeled | None:
    return _uplink(octets, counted=False)


def _uplink_counted(octets: bytes) -> _Peeled | None:
    return _uplink(octets, counted=True)


def _dsmp(octets: bytes) -> _Peeled | None:
    if octets[0] != dsmp.ADAPTATION_DSMP:
        return None
    found = dsmp.parse(octets)
    fields: dict[str, Any] = {
        "aid": found.aid,
        "extensions": _elements(found.extensions, named=False),
    }
    if found.extensions is not None:
        fields["extension_layout"] = "assumed to be that of WSMP"
    return _Peeled(Layer(DSMP, fields), (found.payload,), (_envelope,))


def _pc5(octets: bytes) -> _Peeled | None:
    if octets[0] != wsmp.PC5_FAMILY_WSMP or len(octets) < 2:
        return None
    return _Peeled(Layer(PC5, {"family": octets[0]}), (octets[1:],), (_wsmp,), needs_layer=True)


def _wsmp(octets: bytes) -> _Peeled | None:
    if octets[0] & 0xF7 != wsmp.VERSION:  # subtype 0, version 3, extensions or not
        return None
    found = wsmp.parse(octets)
    fields = {"psid": found.psid, "extensions": _elements(found.extensions, named=True)}
    return _Peeled(Layer(WSMP, fields), (found.payload,), (_envelope,))


def _envelope(octets: bytes) -> _Peeled | None:
    if octets[:2] not in (b"\3\x80", b"\3\x81", b"\3\x82", b"\3\x83"):
        return None
    found = parse_envelope(octets)
    layer = Layer(ENVELOPE, _envelope_fields(found))
    if not found.content:
        return _Peeled(layer, ())
    if found.kind == "unsecured":
        return _Peeled(layer, (found.content,))
    return _Peeled(layer, (found.content,), (_envelope,), needs_layer=True)


_NAMES: dict[_Opener, str] = {
    _forward_text: RSU41,
    _uplink_plain: UPLINK,
    _uplink_counted: UPLINK,
    _dsmp: DSMP,
    _pc5: PC5,
    _wsmp: WSMP,
    _envelope: ENVELOPE,
}
_OUTERMOST = tuple(_NAMES)


def _elements(elements: tuple[Element, ...] | None, *, named: bool) -> list[dict[str, Any]] | None:
    if elements is None:
        return None
    return [
        {"id": element.identifier, "value": element.value.hex()}
        | ({"name": element.name} if named else {})
        for element in elements
    ]


def _envelope_fields(envelope: Envelope) -> dict[str, Any]:
    if envelope.kind == "unsecured":
        return {"kind": "unsecured"}
    signer = envelope.signer
    return {
        "kind": envelope.kind,
        "psid": envelope.psid,
        "generation_time_ns": _optional_ns(envelope.generation_time64),
        "expiry_time_ns": _optional_ns(envelope.expiry_time64),
        "location": None if envelope.location is None else list(envelope.location),
        "hash": envelope.hash_algorithm,
        "signer": None
        if signer is None
        else {
            "kind": signer.kind,
            "digest": signer.digest,
            "certificates": [_certificate(each) for each in signer.certificates],
        },
        "signature": envelope.signature,
        "verified": envelope.verified,
    }


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "kind": certificate.kind,
        "issuer": certificate.issuer,
        "subject": certificate.subject,
        "start_time_ns": utc_ns(certificate.start_time32 * 1_000_000),
        "psids": list(certificate.psids),
        "signature": certificate.signature,
        "hex": certificate.octets.hex(),
    }


def _optional_ns(time64: int | None) -> int | None:
    return None if time64 is None else utc_ns(time64)
