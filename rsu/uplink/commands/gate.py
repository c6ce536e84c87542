"""The gate: may this message be carried out? Everything is checked before anything is done.

In: the payload of a message on the command topic. Out: a `Command` with checked arguments, or
`Refused` with a stable reason (docs/commands.md). Order: size and form, signature, seen before,
session, times, number, name and arguments; what is not authentic is told as little as possible.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rsu.config.base import Options, utc_ns
from rsu.config.commands import CommandOptions
from rsu.schema.units import NS_PER_S
from rsu.uplink.commands.catalogue import arguments_of
from rsu.uplink.commands.envelope import MAX_INTEGER, Refused, parse, signed_octets
from rsu.uplink.commands.history import CommandHistory

CLOCK_SKEW_NS = 60 * NS_PER_S
"""How far ahead of ours the sender's clock may be."""
MAX_LIFETIME_NS = 86_400 * NS_PER_S
UNSIGNED = "-"
"""Key id of what came unsigned, where that is allowed."""

_FIELDS: dict[str, type] = {
    "id": str, "issued_utc": str, "expires_utc": str, "session": str, "seq": int,
    "command": str, "arguments": dict,
}  # fmt: skip
_OPTIONAL: dict[str, type] = {"key": str, "signature": str}
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that may be carried out; `key` is who signed it."""

    id: str
    name: str
    arguments: Options
    key: str
    seq: int
    expires_ns: int


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key and what it may sign (empty: everything)."""

    public: Ed25519PublicKey
    allow: frozenset[str]


class Gate:
    """Checks messages for one session. Used by one thread."""

    def __init__(
        self,
        keys: Mapping[str, KnownKey],
        history: CommandHistory,
        *,
        session: str,
        require_signature: bool,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives UTC, ns."""
        self._keys = dict(keys)
        self._history = history
        self._session = session
        self._require_signature = require_signature
        self._clock = clock

    def admit(self, payload: bytes) -> Command:
        """The command, from now on refused if it comes again; raises Refused."""
        message = parse(payload)
        _check_form(message)
        key = self._authenticate(message)
        if self._history.seen(message["id"]):
            raise Refused("replayed", "this id was accepted before")
        if message["session"] != self._session:
            raise Refused("other_session", "see the session of the newest birth message")
        now = self._clock()
        expires_ns = self._check_times(message, now)
        if message["seq"] <= (last := self._history.last_number(self._session, key)):
            raise Refused("out_of_order", f"the last number was {last}")
        name = message["command"]
        if key != UNSIGNED and (allow := self._keys[key].allow) and name not in allow:
            raise Refused("not_allowed", f"{key} may not sign {name}"[:200])
        arguments = arguments_of(name, message["arguments"])
        self._history.remember(message["id"], self._session, key, message["seq"], now)
        return Command(message["id"], name, arguments, key, message["seq"], expires_ns)

    def close(self) -> None:
        """Close the file of what was seen."""
        self._history.close()

    def _authenticate(self, message: Mapping[str, Any]) -> str:
        """The id of the key that signed it."""
        if "signature" not in message:
            if self._require_signature:
                raise Refused("unsigned" if self._keys else "no_keys")
            return UNSIGNED
        if not self._keys:
            raise Refused("no_keys")
        key = self._keys.get(message.get("key", ""))
        if key is None:
            raise Refused("unknown_key")
        try:
            signature = base64.b64decode(message["signature"], validate=True)
            key.public.verify(signature, signed_octets(message))
        except (binascii.Error, ValueError, InvalidSignature):
            raise Refused("bad_signature") from None
        return str(message["key"])

    def _check_times(self, message: Mapping[str, Any], now: int) -> int:
        issued, expires = (_time(message[name]) for name in ("issued_utc", "expires_utc"))
        if expires <= now:
            raise Refused("expired")
        if issued > now + CLOCK_SKEW_NS:
            raise Refused("not_yet_issued", "is a clock wrong?")
        if expires - issued > MAX_LIFETIME_NS:
            raise Refused("lives_too_long", "at most a day from issue to expiry")
        return expires


def load_keys(options: CommandOptions, base: Path) -> tuple[dict[str, KnownKey], list[str]]:
    """(usable keys by id, what is wrong with the others)."""
    keys: dict[str, KnownKey] = {}
    problems = []
    for one in options.keys:
        try:
            public = load_pem_public_key((base / one.file).read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            problems.append(f"key {one.id}: {error}")
            continue
        if isinstance(public, Ed25519PublicKey):
            keys[one.id] = KnownKey(public, frozenset(one.allow))
        else:
            problems.append(f"key {one.id}: {one.file} is no Ed25519 key")
    return keys, problems


def told_id(payload: bytes) -> str | None:
    """The id that a refused message claims, where it is one: for the answer only."""
    try:
        found = parse(payload).get("id")
    except Refused:
        return None
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def _check_form(message: Mapping[str, Any]) -> None:
    unknown = sorted(set(message) - set(_FIELDS) - set(_OPTIONAL))
    if unknown:
        raise Refused("unknown_field", ", ".join(unknown)[:100])
    for name, kind in (_FIELDS | _OPTIONAL).items():
        if name not in message:
            if name in _FIELDS:
                raise Refused("bad_envelope", f"{name} is missing")
        elif type(message[name]) is not kind:  # bool is an int to isinstance
            raise Refused("bad_envelope", f"{name} is no {kind.__name__}")
    if not _ID.fullmatch(message["id"]):
        raise Refused("bad_envelope", "id: 1 to 64 of A-Z a-z 0-9 . _ : -")
    if not 0 <= message["seq"] <= MAX_INTEGER:
        raise Refused("bad_envelope", "seq out of range")


def _time(text: str) -> int:
    try:
        if _TIME.fullmatch(text):
            return utc_ns(text)
    except ValueError:
        pass
    raise Refused("bad_envelope", "times are like 2026-01-31T12:00:00Z")
