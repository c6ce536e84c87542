"""A real mosquitto for the uplink's tests, an independent subscriber, and bounded waiting."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

Until = Callable[..., None]


def wait_until(condition: Callable[[], Any], timeout_s: float = 30.0, what: Any = "") -> None:
    """Return as soon as the condition holds; fail after the bound."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {timeout_s} s: {what() if callable(what) else what}")
        pause.wait(0.01)


class Broker:
    """One mosquitto on one loopback port; may be killed, frozen and started again."""

    def __init__(self, binary: Path, folder: Path, port: int, extra: str = "") -> None:
        self.port = port
        self._binary = binary
        self._folder = folder
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        self._config.write_text(
            f"""per_listener_settings true
{f"user {getpass.getuser()}" if os.geteuid() == 0 else ""}
persistence true
persistence_location {folder}/
autosave_on_changes true
autosave_interval 1
max_queued_messages 0
queue_qos0_messages true
log_dest file {folder}/mosquitto.log
listener {port} 127.0.0.1
max_inflight_messages 1000
"""
            + (extra or "allow_anonymous true\n")
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._binary, "-c", self._config], stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, 10.0, self._log)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False

    def _log(self) -> str:
        path = self._folder / "mosquitto.log"
        return path.read_text() if path.exists() else "no log"

    def saved_subscription(self) -> bool:
        """Whether a persistent session would survive a kill now."""
        path = self._folder / "mosquitto.db"
        return path.exists() and b"tester" in path.read_bytes()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10.0)
            self._process = None


class Subscriber:
    """An independent client with a persistent session that keeps everything it is sent.

    It subscribes with QoS 0: mosquitto then writes to its socket before it acknowledges to the
    publisher, and no failing acknowledgement of ours can cut off what is still to be read when the
    broker is killed. What comes while it is away is queued (`queue_qos0_messages`).
    """

    def __init__(self, port: int, pattern: str) -> None:
        self.messages: list[tuple[str, bytes, Any]] = []
        self.subscribed = threading.Event()
        self._pattern = pattern
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="tester", protocol=mqtt.MQTTv5
        )
        self._client.on_connect = self._connected
        self._client.on_message = self._received
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self._client.connect("127.0.0.1", port, 60, clean_start=False, properties=properties)
        self._client.loop_start()

    def _connected(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(self._pattern, qos=0)

    def _received(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.messages.append((message.topic, message.payload, message.properties))

    def bodies(self) -> dict[str, list[bytes]]:
        """Every body received, by the id in the user property."""
        found: dict[str, list[bytes]] = {}
        for _, body, properties in list(self.messages):
            names = [v for k, v in getattr(properties, "UserProperty", []) if k == "id"]
            if names:
                found.setdefault(names[0], []).append(body)
        return found

    def statuses(self) -> list[str]:
        """States announced on the status topic, in order."""
        return [json.loads(body)["state"] for topic, body, _ in self.messages if "/status" in topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def until() -> Until:
    return wait_until


@pytest.fixture
def make_broker(mosquitto: Path, tmp_path: Path, free_port: int) -> Iterator[Callable[..., Broker]]:
    made: list[Broker] = []

    def make(extra: str = "") -> Broker:
        made.append(Broker(mosquitto, tmp_path / "broker", free_port, extra))
        return made[-1]

    yield make
    for broker in made:
        broker.kill()


@pytest.fixture
def subscribe() -> Iterator[Callable[[int, str], Subscriber]]:
    made: list[Subscriber] = []

    def make(port: int, pattern: str = "rsu/#") -> Subscriber:
        made.append(Subscriber(port, pattern))
        wait_until(made[-1].subscribed.is_set, 10.0, "the subscriber has no subscription")
        return made[-1]

    yield make
    for subscriber in made:
        subscriber.close()
