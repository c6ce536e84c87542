"""What plays the bay sensors: a gateway's emulator at a real broker."""

from __future__ import annotations

import socket
from typing import Any

import paho.mqtt.publish as publisher

from rsu.config.parking import BayMqttOptions
from rsu.schema.devices import BayReading
from rsu.sim.emulators.bays_mqtt import MAPPING, BayMqttEmulator

NONSENSE = [
    b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'{"state":"free"}', b'{"time":1767225600000}',
    b'{"state":"free","time":"soon"}', b'{"state":"free","time":1e300}', b"[" * 5000,
    b'{"state":"free","time":-1}', b'{"state":null,"time":1767225600000}', b'[7,"free"]',
]  # fmt: skip


class BayMqttPeer:
    stamped = True
    loses = True

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._broker = bench.broker()
        self._gateway = BayMqttEmulator("127.0.0.1", bench.port)

    def options(self) -> BayMqttOptions:
        return BayMqttOptions(
            id="bays", driver="bay_mqtt", late_s=1.0, host="127.0.0.1", port=self._bench.port,
            topic="bays/+/state", mapping=MAPPING,
        )  # fmt: skip

    def broken(self) -> BayMqttOptions:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        return self.options().model_copy(update={"port": port})

    def start(self) -> None:
        self._broker.start()
        self._gateway.open()

    def say(self, number: int) -> None:
        reading = BayReading(
            sensor="bays", bay="A1", capture_ns=self._bench.measured_ns(number),
            occupied=number % 2 == 0, probability=0.5, battery=0.8,
        )  # fmt: skip
        self._gateway.send([reading])

    def babble(self) -> None:
        publisher.multiple(
            [("bays/A1/state", payload, 1, False) for payload in NONSENSE],
            hostname="127.0.0.1", port=self._bench.port,
        )  # fmt: skip

    def vanish(self) -> None:
        self._gateway.close()
        self._broker.kill()

    def close(self) -> None:
        self._gateway.close()


ROWS = {"parking/bay_mqtt": BayMqttPeer}
