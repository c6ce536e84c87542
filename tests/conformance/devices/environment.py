"""What plays the weather station: documents at a real broker."""

from __future__ import annotations

import json
import socket
from typing import Any

import paho.mqtt.publish as publisher

from rsu.config.environment import MqttEnvironmentOptions

MAPPING = {
    "quantities": [{"kind": "visibility", "value": {"path": "vis", "unit": "m"}}],
    "time": {"format": "epoch_ms", "path": "t"},
}
NONSENSE = [
    b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'{"vis":900}', b'{"t":1767225600000}',
    b'{"vis":900,"t":"soon"}', b'{"vis":900,"t":1e300}', b"[" * 5000, b'{"vis":-5,"t":1}',
    b'{"vis":1e999,"t":1767225600000}', b'{"vis":true,"t":1767225600000}',
]  # fmt: skip


class MqttStationPeer:
    stamped = True
    loses = True

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._broker = bench.broker()

    def options(self) -> MqttEnvironmentOptions:
        return MqttEnvironmentOptions(
            id="station", driver="mqtt", late_s=1.0, host="127.0.0.1", port=self._bench.port,
            topic="weather/#", mapping=MAPPING,
        )  # fmt: skip

    def broken(self) -> MqttEnvironmentOptions:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        return self.options().model_copy(update={"port": port})

    def start(self) -> None:
        self._broker.start()

    def _send(self, *payloads: bytes) -> None:
        publisher.multiple(
            [("weather/mast", payload, 1, False) for payload in payloads],
            hostname="127.0.0.1", port=self._bench.port,
        )  # fmt: skip

    def say(self, number: int) -> None:
        stamp = self._bench.measured_ns(number) // 1_000_000
        self._send(json.dumps({"vis": 900 + number, "t": stamp}).encode())

    def babble(self) -> None:
        self._send(*NONSENSE)

    def vanish(self) -> None:
        self._broker.kill()

    def close(self) -> None:
        """The fixture ends the broker."""


ROWS = {"environment/mqtt": MqttStationPeer}
