"""The gate: every way in which a command may be wrong has its reason, and none gets through."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.check import check_site
from rsu.config.commands import CommandKey, CommandName, CommandOptions
from rsu.config.uplink import UplinkOptions
from rsu.schema.units import NS_PER_S
from rsu.uplink.commands.catalogue import COMMANDS, LogLevel
from rsu.uplink.commands.envelope import Refused, signed_octets
from rsu.uplink.commands.gate import Gate, load_keys
from rsu.uplink.documents import utc_text

Make = Callable[..., Gate]
LEVEL = {"level": "debug"}


def refusal(gate: Gate, payload: bytes) -> str:
    with pytest.raises(Refused) as found:
        gate.admit(payload)
    return found.value.reason


def test_a_signed_command_comes_through_once(make_gate: Make, signer: Any) -> None:
    gate = make_gate()
    payload = signer.command("log.level", LEVEL)
    command = gate.admit(payload)
    assert (command.name, command.key, command.seq) == ("log.level", "ops", 1)
    assert command.arguments == LogLevel(level="debug")
    assert refusal(gate, payload) == "replayed"
    gate.close()


def test_a_replay_is_refused_after_a_restart_too(make_gate: Make, signer: Any) -> None:
    gate = make_gate()
    payload = signer.command("log.level", LEVEL)
    gate.admit(payload)
    gate.close()
    again = make_gate()  # same session: as if the boot had the same name
    assert refusal(again, payload) == "replayed"
    older = signer.envelope("log.level", LEVEL, seq=1)
    assert refusal(again, signer.signed(older)) == "out_of_order"
    again.close()
    other = make_gate("corner-1760000000000000000")
    assert refusal(other, payload) == "replayed"
    assert refusal(other, signer.command("log.level", LEVEL)) == "other_session"
    other.close()


def test_a_history_that_cannot_be_written_still_refuses_replays(
    tmp_path: Path, make_gate: Make, signer: Any
) -> None:
    (tmp_path / "var").write_text("a file where the folder should be")
    gate = make_gate()
    payload = signer.command("log.level", LEVEL)
    gate.admit(payload)
    assert refusal(gate, payload) == "replayed"
    gate.close()


def test_a_history_that_is_no_database_is_set_aside(
    tmp_path: Path, make_gate: Make, signer: Any
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "commands.db").write_bytes(b"not a database at all" * 100)
    gate = make_gate()
    gate.admit(signer.command("log.level", LEVEL))
    payload = signer.command("log.level", LEVEL)
    gate.admit(payload)
    gate.close()
    assert (tmp_path / "var" / "commands.db.corrupt").exists()
    again = make_gate()
    assert refusal(again, payload) == "replayed"
    again.close()


def test_forgeries_are_refused(make_gate: Make, signer: Any) -> None:
    gate = make_gate()
    good = json.loads(signer.command("log.level", LEVEL))
    for name, value in (
        ("arguments", {"level": "error"}), ("seq", 99), ("id", "another"),
        ("expires_utc", utc_text(signer.now_ns + 600 * NS_PER_S)), ("command", "restart"),
        ("signature", base64.b64encode(bytes(64)).decode()), ("signature", "no base64 !"),
        ("signature", ""),
    ):  # fmt: skip
        assert refusal(gate, json.dumps(good | {name: value}).encode()) == "bad_signature"
    assert refusal(gate, json.dumps(good | {"key": "nobody"}).encode()) == "unknown_key"
    unsigned = {k: v for k, v in good.items() if k != "signature"}
    assert refusal(gate, json.dumps(unsigned).encode()) == "unsigned"
    stranger = type(signer)(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert refusal(gate, stranger.command("log.level", LEVEL)) == "bad_signature"
    # A valid signature over other octets (a package's, say) is none over a command.
    bare = signed_octets(good).removeprefix(b"rsu.command/1\n")
    signature = base64.b64encode(signer.private.sign(bare)).decode()
    assert refusal(gate, json.dumps(good | {"signature": signature}).encode()) == "bad_signature"
    gate.admit(json.dumps(good).encode())  # after all of them the true one still works
    gate.close()


def test_without_keys_everything_is_refused(make_gate: Make, signer: Any) -> None:
    gate = make_gate(keys=False)
    payload = signer.command("log.level", LEVEL)
    assert refusal(gate, payload) == "no_keys"
    unsigned = {k: v for k, v in json.loads(payload).items() if k != "signature"}
    assert refusal(gate, json.dumps(unsigned).encode()) == "no_keys"
    gate.close()


def test_a_laboratory_may_do_without_signatures_but_not_with_wrong_ones(
    make_gate: Make, signer: Any
) -> None:
    gate = make_gate(require=False)
    message = json.loads(signer.command("log.level", LEVEL))
    assert refusal(gate, json.dumps(message | {"seq": 7}).encode()) == "bad_signature"
    unsigned = {k: v for k, v in message.items() if k not in {"signature", "key"}}
    assert gate.admit(json.dumps(unsigned).encode()).key == "-"
    gate.close()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"session": "other-1"}, "other_session"),
        ({"expires_utc": "2025-06-15T15:08:20.000Z"}, "expired"),
        ({"issued_utc": "2025-06-15T15:09:30.000Z"}, "not_yet_issued"),
        ({"expires_utc": "2025-06-17T15:08:20.000Z"}, "lives_too_long"),
        ({"expires_utc": "2025-06-31T15:08:20.000Z"}, "bad_envelope"),
        ({"expires_utc": "tomorrow"}, "bad_envelope"),
        ({"seq": -1}, "bad_envelope"), ({"seq": True}, "bad_envelope"),
        ({"id": "white space"}, "bad_envelope"), ({"arguments": []}, "bad_envelope"),
        ({"urgent": True}, "unknown_field"), ({"command": "format.disk"}, "unknown_command"),
        ({"arguments": {"level": "loud"}}, "bad_arguments"),
        ({"arguments": {"level": "debug", "colour": "red"}}, "bad_arguments"),
        ({"arguments": {}}, "bad_arguments"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_authentic_command_is_told(
    make_gate: Make, signer: Any, more: dict[str, Any], reason: str
) -> None:
    gate = make_gate()
    assert utc_text(signer.now_ns) == "2025-06-15T15:08:20.000Z"
    assert refusal(gate, signer.command("log.level", LEVEL, **more)) == reason
    gate.admit(signer.command("log.level", LEVEL))  # a refused one uses up no number
    gate.close()


def test_numbers_must_rise(make_gate: Make, signer: Any) -> None:
    gate = make_gate()
    gate.admit(signer.command("log.level", LEVEL, seq=10))
    for number in (10, 9, 0):
        again = signer.command("log.level", LEVEL, seq=number, id=f"n{number}")
        assert refusal(gate, again) == "out_of_order"
    gate.admit(signer.command("log.level", LEVEL, seq=11, id="next"))
    gate.close()


def test_a_key_signs_only_what_it_may(tmp_path: Path, signer: Any) -> None:
    from rsu.uplink.commands.history import CommandHistory

    options = CommandOptions(
        keys=(CommandKey(id="ops", file=Path("ops.pem"), allow=("config.get",)),)
    )
    keys, _ = load_keys(options, tmp_path)
    gate = Gate(
        keys, CommandHistory(tmp_path / "c.db"), session=signer.session, require_signature=True,
        clock=lambda: signer.now_ns,
    )  # fmt: skip
    assert refusal(gate, signer.command("log.level", LEVEL)) == "not_allowed"
    assert gate.admit(signer.command("config.get")).name == "config.get"
    gate.close()


def test_keys_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("hello")
    options = CommandOptions(
        keys=tuple(CommandKey(id=name, file=Path(f"{name}.pem")) for name in ("text", "missing"))
    )
    keys, problems = load_keys(options, tmp_path)
    assert not keys
    assert [problem.split(":")[0] for problem in problems] == ["key text", "key missing"]


def test_unsigned_commands_over_an_open_network_are_no_valid_option() -> None:
    with pytest.raises(ValueError, match="need tls"):
        UplinkOptions(host="broker.example", commands=CommandOptions(require_signature=False))


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.sampled_from(
            ["id", "issued_utc", "expires_utc", "session", "seq", "command", "arguments", "x"]
        ),
        st.none() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=3)
        | st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
    ),
    st.sampled_from(sorted(COMMANDS)),
)  # fmt: skip
def test_no_signed_nonsense_raises_anything_but_a_refusal(
    make_gate: Make, signer: Any, more: dict[str, Any], name: str
) -> None:
    """Signed by a key that is known: everything behind the signature is reached."""
    gate = make_gate()
    envelope = signer.envelope(name, {}, **more)
    try:
        payload = signer.signed(envelope)
        gate.admit(payload)
    except (Refused, UnicodeEncodeError):  # the latter: of the test's own signing
        pass
    finally:
        gate.close()


def test_the_site_file_may_allow_every_command_there_is_and_no_other() -> None:
    assert set(get_args(CommandName)) == set(COMMANDS)
    with pytest.raises(ValueError, match="allow"):
        CommandKey.model_validate({"id": "a", "file": "a.pem", "allow": ["format.disk"]})
    twice = {"keys": [{"id": "a", "file": "a.pem"}, {"id": "a", "file": "b.pem"}]}
    with pytest.raises(ValueError, match="earlier key"):
        CommandOptions.model_validate(twice)


def test_a_key_that_is_not_there_is_found_before_the_unit_starts(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        "site: {id: here, origin: {latitude: 31, longitude: 121}}\n"
        "uplink: {host: localhost, commands: {keys: [{id: ops, file: ops.pem}]}}\n"
    )
    (error,) = check_site(site).errors
    assert (error.path, error.message) == (
        "uplink.commands.keys[0].file", "there is no public key 'ops.pem'",
    )  # fmt: skip
