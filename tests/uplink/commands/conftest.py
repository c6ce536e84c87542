"""Keys, signed commands, and a gate with a clock of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rsu.config.commands import CommandKey, CommandOptions
from rsu.schema.units import NS_PER_S
from rsu.uplink.commands.envelope import signed_octets
from rsu.uplink.commands.gate import Gate, load_keys
from rsu.uplink.commands.history import CommandHistory
from rsu.uplink.documents import utc_text

SESSION = "corner-1750000000000000000"
NOW_NS = 1_750_000_100 * NS_PER_S


@dataclass
class Signer:
    """Whoever commands: makes envelopes with rising numbers."""

    private: Ed25519PrivateKey
    key: str = "ops"
    session: str = SESSION
    now_ns: int = NOW_NS
    seq: int = 0
    made: list[bytes] = field(default_factory=list)

    def envelope(
        self, command: str, arguments: Mapping[str, Any], /, **more: Any
    ) -> dict[str, Any]:
        self.seq += 1
        return {
            "id": f"c-{self.session[-4:]}-{self.seq}", "issued_utc": utc_text(self.now_ns),
            "expires_utc": utc_text(self.now_ns + 60 * NS_PER_S), "session": self.session,
            "seq": self.seq, "command": command, "arguments": dict(arguments), "key": self.key,
        } | more  # fmt: skip

    def signed(self, envelope: dict[str, Any]) -> bytes:
        signature = base64.b64encode(self.private.sign(signed_octets(envelope))).decode()
        self.made.append(json.dumps(envelope | {"signature": signature}).encode())
        return self.made[-1]

    def command(
        self, command: str, arguments: Mapping[str, Any] | None = None, /, **more: Any
    ) -> bytes:
        return self.signed(self.envelope(command, arguments or {}, **more))


def write_public(path: Path, private: Ed25519PrivateKey) -> None:
    path.write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    one = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    write_public(tmp_path / "ops.pem", one.private)
    return one


@pytest.fixture
def command_options() -> CommandOptions:
    return CommandOptions(keys=(CommandKey(id="ops", file=Path("ops.pem")),))


@pytest.fixture
def make_gate(
    tmp_path: Path, signer: Signer, command_options: CommandOptions
) -> Callable[..., Gate]:
    def make(session: str = SESSION, *, require: bool = True, keys: bool = True) -> Gate:
        known, problems = load_keys(command_options, tmp_path)
        assert not problems
        return Gate(
            known if keys else {}, CommandHistory(tmp_path / "var" / "commands.db"),
            session=session, require_signature=require, clock=lambda: signer.now_ns,
        )  # fmt: skip

    return make
