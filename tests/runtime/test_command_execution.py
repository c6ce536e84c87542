"""Commands are carried out: what goes on the air is checked first, the rest is bounded."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rsu.config.model import SiteConfig
from rsu.runtime import packages
from rsu.runtime.command_execution import CommandExecution
from rsu.schema.message import Message
from rsu.schema.orders import OrderKind, UnitAnswer, UnitOrder
from rsu.schema.reports import BINARY, UplinkReport
from rsu.schema.units import NS_PER_S, Instant
from rsu.uplink.commands.catalogue import PART_BYTES, arguments_of
from rsu.uplink.commands.desk import Answer, Outcome
from rsu.uplink.commands.envelope import Refused
from rsu.uplink.commands.gate import Command
from rsu.v2x.codec import codec_for

NOW = Instant(1_750_000_000 * NS_PER_S, 5 * NS_PER_S)
UNTIL = "2025-06-15T16:00:00Z"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Desk:
    """Gives commands to an execution; the supervisor answers as told."""

    def __init__(self, tmp_path: Path, **sections: Any) -> None:
        (tmp_path / "ops.pem").write_bytes(
            KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        uplink = {"host": "localhost", "commands": {"keys": [{"id": "ops", "file": "ops.pem"}]}}
        config = SiteConfig.model_validate(
            {"site": {"id": "corner", "origin": {"latitude": 31.2, "longitude": 121.5}},
             "uplink": uplink} | sections
        )  # fmt: skip
        self.said: list[Message] = []
        self.reports: list[UplinkReport] = []
        self.outcome = "done"
        self.now = NOW
        self.execution = CommandExecution(
            config, tmp_path, tmp_path / "site.yaml", self._publish, lambda: self.now,
            self.reports.append,
        )  # fmt: skip
        self._count = 0

    def _publish(self, message: Message) -> None:
        self.said.append(message)
        if isinstance(order := message.payload, UnitOrder):
            answer = UnitAnswer(order=order.id, kind=order.kind, outcome=self.outcome)
            assert self.execution.hear(answer) is None

    def give(self, name: str, arguments: dict[str, Any] | None = None, key: str = "ops") -> Answer:
        self._count += 1
        checked = arguments_of(name, arguments or {})
        return self.execution.execute(
            Command(f"c{self._count}", name, checked, key, self._count, NOW.utc_ns + NS_PER_S)
        )

    def refused(self, name: str, arguments: dict[str, Any] | None = None, key: str = "ops") -> str:
        with pytest.raises(Refused) as error:
            self.give(name, arguments, key)
        return error.value.reason


@pytest.fixture
def make_desk(tmp_path: Path) -> Callable[..., Desk]:
    return lambda **sections: Desk(tmp_path, **sections)


V2X = {"rsu_id": "0102030405060708", "csae": {}}


PROFILE = "csae53_2020"
RSI = {
    "rsiFrame": {
        "msgCnt": 7, "id": "0102030405060708",
        "refPos": {"lat": 312000000, "long": 1215000000},
        "rtss": [{"rtsId": 1, "signType": 38, "signPos": {"offsetLL": {"position-LatLon":
            {"lon": 1215000000, "lat": 312000000}}}, "priority": "00",
            "referencePaths": [{"activePath": [{"offsetLL": {"position-LatLon":
                {"lon": 1215000000, "lat": 312000000}}}] * 2, "pathRadius": 50}]}],
    }
}  # fmt: skip


@pytest.fixture
def rsi() -> tuple[str, bytes]:
    return PROFILE, codec_for(PROFILE).encode(RSI)


def test_log_levels_and_restarts_are_asked_of_the_supervisor(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk()
    assert desk.give("log.level", {"level": "debug"}).outcome is Outcome.DONE
    order = desk.said[-1].payload
    assert (order.kind, order.text) == (OrderKind.LOG_LEVEL, "debug")
    first = desk.give("restart")
    assert first.outcome is Outcome.CONFIRM
    token = first.result["token"]
    assert desk.refused("restart", {"token": token}, key="other") == "wrong_token"
    token = desk.give("restart").result["token"]
    desk.now = Instant(NOW.utc_ns, NOW.mono_ns + 61 * NS_PER_S)
    assert desk.refused("restart", {"token": token}) == "no_token"
    token = desk.give("restart").result["token"]
    desk.outcome = "accepted"
    assert desk.give("restart", {"token": token}).outcome is Outcome.ACCEPTED
    assert desk.said[-1].payload.kind is OrderKind.RESTART


def test_later_words_of_the_supervisor_name_their_command(make_desk: Callable[..., Desk]) -> None:
    answer = UnitAnswer(
        order="cmd-7", kind=OrderKind.APPLY_CONFIG, outcome="rolled_back", reason="not_ready"
    )
    later = make_desk().execution.hear(answer)
    assert later == ("cmd-7", "config.apply", Answer(Outcome.ROLLED_BACK, "not_ready"))


def test_broadcasts_are_decoded_before_they_are_handed_to_the_core(
    make_desk: Callable[..., Desk], rsi: tuple[str, bytes]
) -> None:
    profile, octets = rsi
    desk = make_desk(v2x=V2X)
    head = {"key": "works", "profile": profile, "message": "RSI", "until_utc": UNTIL}
    answer = desk.give("broadcast", head | {"payload_hex": octets.hex(), "period_s": 1.0})
    assert answer.outcome is Outcome.DONE
    pushed = desk.said[-1].payload
    assert (pushed.key, pushed.payload, pushed.period_s) == ("ops:works", octets, 1.0)
    value = codec_for(profile).decode(octets)
    assert desk.give("broadcast", head | {"value": value}).outcome is Outcome.DONE
    assert codec_for(profile).decode(desk.said[-1].payload.payload) == value
    assert desk.give("broadcast", head).outcome is Outcome.DONE  # take it off
    assert desk.said[-1].payload.payload == b""
    count = len(desk.said)
    hexed = {"payload_hex": octets.hex()}
    assert desk.refused("broadcast", head | hexed | {"message": "MAP"}) == "bad_arguments"
    assert desk.refused("broadcast", head | {"payload_hex": "ffff"}) == "undecodable"
    assert desk.refused("broadcast", head | {"value": {"no": "frame"}}) == "undecodable"
    assert desk.refused("broadcast", head | hexed | {"profile": "x"}) == "undecodable"
    past = head | hexed | {"until_utc": "2025-01-01T00:00:00Z"}
    assert desk.refused("broadcast", past) == "bad_arguments"
    assert desk.refused("broadcast", head | hexed | {"value": value}) == "bad_arguments"
    assert len(desk.said) == count
    assert make_desk().refused("broadcast", head | hexed) == "no_v2x"


def test_a_package_comes_in_in_parts_and_is_installed_when_whole(
    make_desk: Callable[..., Desk], tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSU_MODELS", str(tmp_path / "models"))
    content = (root / "models" / "rsu_roadside.onnx").read_bytes()
    card = yaml.safe_load((root / "models" / "rsu_roadside.yaml").read_text())
    card["name"] = "mine"
    (tmp_path / "mine.onnx").write_bytes(content)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(card))
    packages.make(
        tmp_path / "p.zip", [tmp_path / "mine.onnx", tmp_path / "mine.yaml"], name="mine",
        version="1", key_id="ops", key=KEY,
    )  # fmt: skip
    whole = (tmp_path / "p.zip").read_bytes()
    name = hashlib.sha256(whole).hexdigest()
    parts = [whole[i : i + PART_BYTES] for i in range(0, len(whole), PART_BYTES)]
    assert len(parts) > 2
    desk = make_desk()
    for number in (2, 0, 1, *range(3, len(parts)))[:-1]:
        data = base64.b64encode(parts[number]).decode()
        part = {"package": name, "part": number, "parts": len(parts), "data": data}
        assert desk.give("package.part", part).outcome is Outcome.DONE
    last = (2, 0, 1, *range(3, len(parts)))[-1]
    if last != number:
        assert desk.refused("package.install", {"package": name}) == "incomplete"
        data = base64.b64encode(parts[last]).decode()
        part = {"package": name, "part": last, "parts": len(parts), "data": data}
        desk.give("package.part", part)
    answer = desk.give("package.install", {"package": name})
    assert answer.result["version"] == "1"
    assert (tmp_path / "models" / "mine.onnx").read_bytes() == content
    assert not list((tmp_path / "var" / "commands" / "incoming").iterdir())
    assert desk.refused("package.install", {"package": name}) == "incomplete"
    part = {"package": name, "part": 3, "parts": 3, "data": ""}
    assert desk.refused("package.part", part) == "bad_arguments"
    part = {"package": name, "part": 0, "parts": 3, "data": "no base64!"}
    assert desk.refused("package.part", part) == "bad_arguments"


def test_the_newest_lines_of_the_log_are_exported(
    make_desk: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert make_desk().refused("log.export") == "no_log"
    folder = tmp_path / "logs"
    folder.mkdir()
    noise = [hashlib.sha256(b"%d" % i).hexdigest() * 4 for i in range(4000)]
    (folder / "unit.20250101T000000Z.jsonl").write_text("\n".join(noise[:1000]) + "\n")
    (folder / "unit.jsonl").write_text("\n".join(noise[1000:]) + "\n")
    desk = make_desk(runtime={"log_folder": "logs"})
    answer = desk.give("log.export", {"lines": 3500})
    assert answer.result["pieces"] == len(desk.reports) > 1
    assert {report.content_type for report in desk.reports} == {BINARY}
    assert [r.subject.rpartition("/")[2] for r in desk.reports] == [
        str(i) for i in range(len(desk.reports))
    ]
    data = b"".join(report.body for report in desk.reports)
    assert hashlib.sha256(data).hexdigest() == answer.result["sha256"]
    assert gzip.decompress(data).decode().splitlines() == noise[-3500:]
    filed = desk.give("log.export", {"lines": 10, "to": "file"})
    text = gzip.decompress(Path(filed.result["file"]).read_bytes()).decode()
    assert text.splitlines() == noise[-10:]
