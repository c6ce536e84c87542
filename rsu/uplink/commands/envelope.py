"""The form of a command: strict JSON, and the octets that are signed.

In: the payload of an MQTT message. Out: a plain dictionary within bounds, or `Refused` with a
reason code. Canonical octets follow RFC 8785 (JCS): keys sorted by UTF-16 code units, no white
space, numbers as ECMAScript writes them; so any language can sign without agreeing on more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

MAX_BYTES = 65_536
MAX_DEPTH = 24
"""Of nested lists and objects: a MAP in the value form is 14 deep, in an envelope of 2."""
MAX_INTEGER = 2**53 - 1
"""Integers beyond are not the same in every JSON reader (RFC 7493 §2.2)."""
SIGNED_PREFIX = b"rsu.command/1\n"
"""Stands before the canonical octets, so that no signature means two things."""


class Refused(Exception):  # noqa: N818 - a verdict, not a fault of ours
    """A message that is not carried out: `reason` is the stable code, `detail` for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail[:300]


def parse(payload: bytes) -> dict[str, Any]:
    """The object in a payload; raises Refused."""
    if len(payload) > MAX_BYTES:
        raise Refused("too_large", f"{len(payload)} of at most {MAX_BYTES} octets")
    if _depth(payload) > MAX_DEPTH:
        raise Refused("too_deep", f"more than {MAX_DEPTH} levels")
    try:
        text = payload.decode()
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant,
            parse_int=_integer, parse_float=_real,
        )  # fmt: skip
        _ = json.dumps(value, ensure_ascii=False).encode()  # lone surrogates have no octets
    except (ValueError, RecursionError) as error:  # UnicodeError is a ValueError
        raise Refused("not_json", " ".join(str(error).split())[:200]) from None
    if not isinstance(value, dict):
        raise Refused("not_json", "not an object")
    return value


def signed_octets(message: Mapping[str, Any]) -> bytes:
    """What the signature of a command is over: everything but the signature itself."""
    rest = {key: value for key, value in message.items() if key != "signature"}
    return SIGNED_PREFIX + canonical(rest)


def canonical(value: Any) -> bytes:
    """RFC 8785 octets of plain JSON data. Raises ValueError for what JSON cannot hold."""
    return _write(value).encode()


def _write(value: Any) -> str:
    if isinstance(value, Mapping):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_text(key)}:{_write(one)}" for key, one in items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_write, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """As ECMAScript's Number::toString (ECMA-262 §6.1.6.1.20) writes it."""
    if not math.isfinite(value):
        raise ValueError("no such number in JSON")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text, point = "".join(map(str, digits)), len(digits) + exponent
    minus = "-" if sign else ""
    if len(text) <= point <= 21:
        return minus + text + "0" * (point - len(text))
    if 0 < point <= 21:
        return f"{minus}{text[:point]}.{text[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
    return f"{minus}{mantissa}e{point - 1:+d}"


def _depth(payload: bytes) -> int:
    """How deeply lists and objects are nested, found without recursion."""
    deepest = level = 0
    quoted = escaped = False
    for octet in payload:
        if quoted:
            if escaped:
                escaped = False
            elif octet == 0x5C:
                escaped = True
            elif octet == 0x22:
                quoted = False
        elif octet == 0x22:
            quoted = True
        elif octet in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif octet in b"]}":
            level -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError(f"integer beyond ±{MAX_INTEGER}")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number
