"""RSU 4.1 immediate forward: the text in which US roadside units take messages.

One datagram per message: twelve `Key=Value` lines (facts: sae.md 4.1). `format_immediate_forward`
writes them for a radio, `parse_immediate_forward` reads them back tolerantly for whoever looks into
one, since traffic controllers send the same text with blanks and CR/LF of their own. PSIDs are
values inside and p-encoded in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rsu.schema.psid import p_decode, p_encode

VERSION = "0.7"
"""Version of the form that units in the field accept."""
MAX_SENT = 65_507
"""Largest UDP payload over IPv4, octets (65 535 less 20 of IP and 8 of UDP header)."""
MAX_READ = 16_384
"""Longest text that is read, octets: the largest payload that NTCIP 1218 moves is 2302 octets, as
hex text with its lines below 5000; the rest is room for blanks and line breaks."""

_TYPE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


class ForwardTextError(ValueError):
    """Bytes that are not a valid RSU 4.1 immediate-forward text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmediateForward:
    """One message with its sending instructions.

    `message_type` e.g. SPAT; `psid` the value, never its p-encoding; `priority` 0..7; `interval_s`
    0 means at once; delivery times are kept as written; `signature` True: the unit signs.
    """

    message_type: str
    psid: int
    payload: bytes
    priority: int = 7
    tx_mode: str = "CONT"
    channel: int = 183
    interval_s: int = 0
    delivery_start: str = ""
    delivery_stop: str = ""
    signature: bool = False
    encryption: bool = False
    version: str = VERSION


def format_immediate_forward(forward: ImmediateForward) -> bytes:
    """The datagram: twelve lines in the order units expect, line feeds, upper-case hex.

    Raises ValueError when a field cannot be written (a type with a line break, a PSID out of
    range, a payload too long for a datagram).
    """
    if not _TYPE.fullmatch(forward.message_type):
        raise ValueError(f"message type {forward.message_type!r}")
    lines = (
        ("Version", forward.version),
        ("Type", forward.message_type),
        ("PSID", f"0x{p_encode(forward.psid).hex().upper()}"),
        ("Priority", forward.priority),
        ("TxMode", forward.tx_mode),
        ("TxChannel", forward.channel),
        ("TxInterval", forward.interval_s),
        ("DeliveryStart", forward.delivery_start),
        ("DeliveryStop", forward.delivery_stop),
        ("Signature", forward.signature),
        ("Encryption", forward.encryption),
        ("Payload", forward.payload.hex().upper()),
    )
    text = "".join(f"{key}={value}\n" for key, value in lines).encode("ascii")
    if len(text) > MAX_SENT:
        raise ValueError(f"{len(forward.payload)} octets of payload do not fit a datagram")
    return text


def parse_immediate_forward(data: bytes) -> ImmediateForward:
    """Read a datagram back; raises ForwardTextError with the reason, never anything else.

    Tolerated: leading blanks, CR/LF, any case of keys, any order with Payload last, unknown keys,
    blanks and line breaks inside the payload. Type, PSID and payload must be there, no key twice.
    A PSID that is not a p-encoding is refused: 0x82 could be meant as 0x8002, but we do not guess.
    """
    if len(data) > MAX_READ:
        raise ForwardTextError(f"{len(data)} octets are too long")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ForwardTextError("it is no ASCII text") from error
    head, found, tail = _split_payload(text)
    if not found:
        raise ForwardTextError("there is no Payload")
    fields: dict[str, str] = {}
    for line in filter(str.strip, head.splitlines()):
        key, value = _key_and_value(line)
        if key in fields:
            raise ForwardTextError(f"{key[:40]!r} is there twice")
        fields[key] = value
    return ImmediateForward(
        message_type=_message_type(fields),
        psid=_psid(fields),
        payload=_octets("".join(tail.split()), "Payload"),
        priority=_number(fields, "priority", 7, 7),
        tx_mode=_one_of(fields, "txmode", ("CONT", "ALT"), "CONT"),
        channel=_number(fields, "txchannel", 183, 255),
        interval_s=_number(fields, "txinterval", 0, 86_400),
        delivery_start=fields.get("deliverystart", ""),
        delivery_stop=fields.get("deliverystop", ""),
        signature=_truth(fields, "signature"),
        encryption=_truth(fields, "encryption"),
        version=fields.get("version", VERSION),
    )


def _split_payload(text: str) -> tuple[str, bool, str]:
    match = re.search(r"^[ \t]*payload[ \t]*=", text, re.IGNORECASE | re.MULTILINE)
    return (
        (text, False, "") if match is None else (text[: match.start()], True, text[match.end() :])
    )


def _key_and_value(line: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if not equals:
        raise ForwardTextError(f"line {line.strip()[:40]!r} is no Key=Value")
    return key.strip().lower(), value.strip()


def _message_type(fields: dict[str, str]) -> str:
    name = fields.get("type", "")
    if not _TYPE.fullmatch(name):
        raise ForwardTextError(f"Type {name[:40]!r} is no message name")
    return name


def _psid(fields: dict[str, str]) -> int:
    written = fields.get("psid", "")
    try:
        return p_decode(_octets(written.lower().removeprefix("0x"), "PSID"))
    except ForwardTextError:
        raise
    except ValueError as error:
        raise ForwardTextError(f"PSID: {error}") from error


def _octets(digits: str, what: str) -> bytes:
    if not _HEX.fullmatch(digits):
        raise ForwardTextError(f"{what} is not an even number of hex digits")
    return bytes.fromhex(digits)


def _number(fields: dict[str, str], key: str, default: int, largest: int) -> int:
    written = fields.get(key, "")
    if not written:
        return default
    if not (written.isdecimal() and len(written) <= 6 and int(written) <= largest):
        raise ForwardTextError(f"{key} {written[:40]!r} is not in 0..{largest}")
    return int(written)


def _one_of(fields: dict[str, str], key: str, allowed: tuple[str, ...], default: str) -> str:
    written = fields.get(key, "").upper() or default
    if written not in allowed:
        raise ForwardTextError(f"{key} {written[:40]!r} is none of {', '.join(allowed)}")
    return written


def _truth(fields: dict[str, str], key: str) -> bool:
    return _one_of(fields, key, ("TRUE", "FALSE"), "FALSE") == "TRUE"
