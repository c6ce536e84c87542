"""Commands over a real broker: carried out once, answered, counted, audited."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from rsu.config.commands import CommandOptions
from rsu.config.uplink import UplinkOptions
from rsu.uplink.client import UplinkClient
from rsu.uplink.commands.desk import WAITING, Answer, Outcome
from rsu.uplink.commands.gate import Command
from rsu.uplink.session import Backoff, Incoming

pytestmark = pytest.mark.component

BOOT_NS = 1_750_000_000_000_000_000  # the session that the signer names


class Unit:
    """An uplink that notes what it is told to do."""

    def __init__(self, tmp_path: Path, port: int, options: CommandOptions, now: Any) -> None:
        chosen = UplinkOptions(
            host="127.0.0.1", port=port, keepalive_s=5, commands=options, backlog_per_s=1000
        )
        self.done: list[Command] = []
        self.audited: list[tuple[str, str, Mapping[str, Any]]] = []
        self.audit_works = True
        self.client = UplinkClient(
            chosen, "corner", tmp_path, boot_ns=BOOT_NS, backoff=Backoff(0.1, 0.3)
        )
        self.client.take_commands(self._execute, self._audit, now)
        self.client.start()

    def _execute(self, command: Command) -> Answer:
        if command.name == "config.get":
            raise RuntimeError("a fault of ours")
        self.done.append(command)
        return Answer(Outcome.DONE, result={"level": command.arguments.model_dump()["level"]})

    def _audit(self, action: str, actor: str, detail: Mapping[str, Any]) -> None:
        if not self.audit_works:
            raise OSError("the disk is full")
        self.audited.append((action, actor, detail))


class Platform:
    """Publishes on the command topic."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.max_queued_messages_set(0)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, payload: bytes, **properties: Any) -> None:
        chosen = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(chosen, name, value)
        self._client.publish("rsu/corner/command", payload, qos=1, properties=chosen)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def scene(
    make_broker: Any, subscribe: Any, until: Any, tmp_path: Path, signer: Any,
    command_options: CommandOptions,
) -> Iterator[tuple[Unit, Platform, Any]]:  # fmt: skip
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    unit = Unit(tmp_path, broker.port, command_options, lambda: signer.now_ns)
    platform = Platform(broker.port)
    until(lambda: unit.client.stats().connected, what=unit.client.stats)
    # The subscription is made when the birth message has come through (same connection, in order).
    until(lambda: subscriber.statuses() == ["online"])
    yield unit, platform, subscriber
    platform.close()
    unit.client.stop(2.0)


def answers(subscriber: Any, topic: str = "rsu/corner/command/ack") -> list[dict[str, Any]]:
    return [json.loads(body) for name, body, _ in subscriber.messages if name == topic]


def test_a_signed_command_is_carried_out_and_answered(scene: Any, signer: Any, until: Any) -> None:
    unit, platform, subscriber = scene
    birth = next(json.loads(b) for t, b, _ in subscriber.messages if t == "rsu/corner/birth")
    assert birth["commands"]["session"] == signer.session
    assert birth["commands"]["keys"] == ["ops"]
    platform.send(
        signer.command("log.level", {"level": "debug"}),
        ResponseTopic="rsu/corner/command/for-me", CorrelationData=b"\x01\x02",
    )  # fmt: skip
    until(lambda: answers(subscriber), what=unit.client.command_counts)
    (answer,) = answers(subscriber)
    assert answer["outcome"] == "done"
    assert answer["command_id"] == "c-0000-1"
    assert answer["result"] == {"level": "debug"}
    until(lambda: answers(subscriber, "rsu/corner/command/for-me"))
    (response,) = (m for m in subscriber.messages if m[0] == "rsu/corner/command/for-me")
    assert json.loads(response[1]) == answer
    assert response[2].CorrelationData == b"\x01\x02"
    assert [command.name for command in unit.done] == ["log.level"]
    assert [action for action, _, _ in unit.audited] == ["command", "command_outcome"]
    assert unit.audited[0][1] == "platform:ops command:c-0000-1"


def test_replays_and_forgeries_are_refused_counted_audited_and_answered_sparingly(
    scene: Any, signer: Any, until: Any
) -> None:
    unit, platform, subscriber = scene
    good = signer.command("log.level", {"level": "debug"})
    platform.send(good)
    forged = json.loads(good) | {"arguments": {"level": "error"}, "id": "forged"}
    for _ in range(30):
        platform.send(good, ResponseTopic="rsu/corner/event")
    platform.send(json.dumps(forged).encode(), ResponseTopic="other/unit")
    until(lambda: sum(unit.client.command_counts().values()) == 32)
    counts = unit.client.command_counts()
    assert counts == {"done": 1, "refused:replayed": 30, "refused:bad_signature": 1}
    until(lambda: unit.client.stats().queued == 0, what=unit.client.stats)
    until(lambda: len(answers(subscriber)) == unit.client.stats().delivered)
    told = answers(subscriber)
    assert 2 <= len(told) <= 20  # 10 at once, then one a second
    assert {one["reason"] for one in told} <= {"", "replayed", "bad_signature"}
    assert len(unit.done) == 1
    refused = [detail for action, _, detail in unit.audited if action == "command_refused"]
    assert 1 <= len(refused) <= 20
    # What is not authentic names no topic to answer on.
    assert not [m for m in subscriber.messages if m[0] in {"rsu/corner/event", "other/unit"}]


def test_garbage_from_the_platform_never_stops_the_desk(
    scene: Any, signer: Any, until: Any
) -> None:
    unit, platform, _ = scene
    garbage = [
        b"", b"\0", bytes(range(256)), b"[" * 60_000, b'{"a":' * 10_000, b"9" * 60_000,
        b'"' + b"\\" * 50_001, bytes(65_537), b"{}", b'{"id":"x"}', b'{"id":{"id":{}}}',
    ]  # fmt: skip
    for payload in garbage:
        platform.send(payload)
    platform.send(bytes(10_000_000))  # the broker keeps it from us: we said what we take
    platform.send(signer.command("config.get"))  # our own code fails
    platform.send(signer.command("log.level", {"level": "info"}))
    until(lambda: unit.client.command_counts().get("done") == 1, what=unit.client.command_counts)
    counts = unit.client.command_counts()
    assert counts["failed:internal"] == 1
    assert sum(counts.values()) == len(garbage) + 2
    assert unit.client.stats().connections == 1
    assert unit.client._desk._thread.is_alive()


def test_what_cannot_be_audited_is_not_done(scene: Any, signer: Any, until: Any) -> None:
    unit, platform, subscriber = scene
    unit.audit_works = False
    platform.send(signer.command("log.level", {"level": "debug"}))
    until(lambda: answers(subscriber))
    assert answers(subscriber)[0]["reason"] == "no_audit"
    assert not unit.done


def test_a_flood_is_bounded_and_counted(scene: Any, until: Any) -> None:
    unit, _, _ = scene
    gate = unit.client._desk._gate
    admit, busy = gate.admit, threading.Event()

    def slowly(payload: bytes) -> Command:
        assert busy.wait(30.0)
        return admit(payload)

    gate.admit = slowly
    for _ in range(WAITING + 101):
        unit.client._desk.hear(Incoming(b"y" * 100_000))
    counted = unit.client.command_counts()["refused:flooded"]
    assert counted in {100, 101}  # one more where the desk had not yet taken the first
    busy.set()
    until(lambda: sum(unit.client.command_counts().values()) == WAITING + 101)
    assert unit.client.command_counts()["refused:too_large"] == WAITING + 101 - counted
