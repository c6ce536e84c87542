"""A running unit under command: its log level, its restart, its site file tried and kept or not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from rsu.runtime.status import Request, ask_unit

pytestmark = [pytest.mark.component, pytest.mark.timeout(180)]

SITE = """\
site: {{id: corner, origin: {{latitude: 31.2, longitude: 121.5}}}}
uplink:
  host: 127.0.0.1
  port: {port}
  health_s: {health}
  commands: {{keys: [{{id: ops, file: ops.pem}}]}}
runtime: {{socket_folder: {sockets}}}
"""


class Platform:
    """Commands the unit, always in the session of its newest birth message."""

    def __init__(self, port: int, subscriber: Any, signer: Any, until: Any) -> None:
        self.subscriber, self.signer, self.until = subscriber, signer, until
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def births(self) -> list[dict[str, Any]]:
        return [
            json.loads(body) for topic, body, _ in self.subscriber.messages if "/birth" in topic
        ]

    def said(self, command_id: str) -> list[dict[str, Any]]:
        acks = [json.loads(b) for t, b, _ in self.subscriber.messages if t.endswith("command/ack")]
        return [one for one in acks if one["command_id"] == command_id]

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Give a command and return the first answer."""
        self.signer.session = self.births()[-1]["session"]
        self.signer.now_ns = time.time_ns()
        envelope = self.signer.envelope(name, arguments or {})
        envelope["id"] = f"cmd-{self.signer.seq}"
        self._client.publish("rsu/corner/command", self.signer.signed(envelope), qos=1)
        self.until(lambda: self.said(envelope["id"]), 60.0, f"no answer to {name}")
        return self.said(envelope["id"])[0]

    def await_birth(self, number: int) -> None:
        self.until(lambda: len(self.births()) >= number, 60.0, self.births)
        self.until(lambda: self.subscriber.statuses()[-1:] == ["online"], 60.0)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def scene(
    make_broker: Any, subscribe: Any, until: Any, tmp_path: Path, signer: Any
) -> Iterator[tuple[Platform, subprocess.Popen[bytes], Path, Path]]:
    broker = make_broker()
    broker.start()
    sockets = Path(f"/tmp/rsu-commands-{os.getpid()}")  # socket paths are limited to 107 octets
    site = tmp_path / "site.yaml"
    site.write_text(SITE.format(port=broker.port, health=10, sockets=sockets))
    platform = Platform(broker.port, subscribe(broker.port), signer, until)
    command = [sys.executable, "-m", "rsu.cli", "run", str(site)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    platform.await_birth(1)
    yield platform, process, site, sockets
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    platform.close()
    shutil.rmtree(sockets, ignore_errors=True)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_unit_is_told_shown_changed_and_restarted(scene: Any, until: Any) -> None:
    platform, process, site, sockets = scene
    assert platform.command("log.level", {"level": "warning"})["outcome"] == "done"
    assert (sockets / "log-level").read_text() == "warning"

    got = platform.command("config.get")["result"]
    assert got == {"text": site.read_text(), "sha256": digest(site.read_text())}
    changed = got["text"].replace("health_s: 10", "health_s: 2")
    difference = platform.command("config.diff", {"text": changed})
    assert difference["result"]["changes"] == [{"path": "uplink.health_s", "old": 10.0, "new": 2.0}]
    wrong = platform.command("config.diff", {"text": changed.replace("health_s", "healht_s")})
    assert (wrong["outcome"], wrong["reason"]) == ("refused", "invalid_config")
    assert "health_s" in wrong["detail"]
    stale = platform.command("config.apply", {"text": changed, "base": digest("other")})
    assert stale["reason"] == "base_differs"
    assert sorted(p.name for p in site.parent.glob("site.yaml*")) == ["site.yaml"]

    applied = platform.command("config.apply", {"text": changed, "base": got["sha256"]})
    assert (applied["outcome"], applied["reason"]) == ("accepted", "restarting")
    change = applied["result"]["change"]
    until(lambda: len(platform.said(change)) == 2, 60.0, lambda: platform.said(change))
    assert platform.said(change)[1]["reason"] == "confirm"
    platform.await_birth(2)
    assert platform.births()[1]["session"] != platform.births()[0]["session"]
    assert {r["period_s"] for r in platform.births()[1]["reports"] if "health" in r["topic"]} == {2}
    assert platform.command("config.confirm", {"change": change})["outcome"] == "done"
    assert site.read_text() == changed
    assert not site.with_name("site.yaml.trial").exists()

    asked = platform.command("restart")
    assert asked["outcome"] == "confirm"
    wrong = platform.command("restart", {"token": "0" * 32})
    assert wrong["reason"] == "wrong_token"
    again = platform.command("restart", {"token": asked["result"]["token"]})
    assert again["reason"] == "no_token"  # a wrong one uses it up
    token = platform.command("restart")["result"]["token"]
    assert platform.command("restart", {"token": token})["outcome"] == "accepted"
    platform.await_birth(3)
    assert process.poll() is None  # the same process: a service manager sees no other
    assert ask_unit(sockets, Request("status"), timeout_s=30)["site"] == "corner"


@pytest.mark.long
def test_what_is_not_confirmed_is_rolled_back_and_the_platform_told(scene: Any, until: Any) -> None:
    platform, _, site, _ = scene
    before = site.read_text()
    changed = before.replace("health_s: 10", "health_s: 2")
    applied = platform.command(
        "config.apply", {"text": changed, "base": digest(before), "confirm_s": 10.0}
    )
    change = applied["result"]["change"]
    until(lambda: len(platform.said(change)) == 3, 90.0, lambda: platform.said(change))
    assert [(one["outcome"], one["reason"]) for one in platform.said(change)] == [
        ("accepted", "restarting"), ("accepted", "confirm"), ("rolled_back", "not_confirmed"),
    ]  # fmt: skip
    assert site.read_text() == before
