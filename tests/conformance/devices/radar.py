"""What plays the radars: a CAN emulator on a virtual bus, JSON by datagrams and by a broker."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any

import can
import paho.mqtt.publish as publisher

from rsu.config.radars import Ars408Options, JsonMqttRadarOptions, JsonUdpRadarOptions
from rsu.sim.emulators.can_radar import CanRadarEmulator
from rsu.sim.sensors.radar import RadarCycle, RadarReading

MOUNT = {"x": 0.0, "y": 0.0, "heading": 0.0}
MAPPING = {
    "objects": "targets",
    "time": {"format": "epoch_ms", "path": "t"},
    "id": "id",
    "position": {"frame": "sensor", "forward": {"path": "x"}, "left": {"path": "y"}},
    "velocity": {"frame": "sensor", "forward": {"path": "vx"}, "left": {"path": "vy"}},
    "accuracy": {
        "range_std": 0.5, "azimuth_std": 0.5, "radial_speed_std": 0.2, "tangential_speed_std": 1.0,
    },
}  # fmt: skip
NONSENSE = [
    b"{", b"[]", b"null", b"\xff\xfe", b'{"targets":7,"t":1}', b'{"targets":[],"t":"soon"}',
    b'{"targets":[{"id":1,"x":1e999,"y":0,"vx":0,"vy":0}],"t":1767225600000}',
    b'{"targets":[{"id":1}],"t":1767225600000}', b"[" * 5000, b'{"targets":[],"t":1e300}',
    b'{"targets":[{"id":1,"x":NaN}]}', b"GET / HTTP/1.1\r\n\r\n",
]  # fmt: skip


def document(bench: Any, number: int) -> bytes:
    target = {"id": 4, "x": 30.0 + number % 50, "y": -2.0, "vx": 10.0, "vy": 0.0}
    return json.dumps({"t": bench.measured_ns(number) // 1_000_000, "targets": [target]}).encode()


class Ars408Peer:
    """Nothing on a CAN bus shows that a sender is gone but its silence."""

    stamped = False
    loses = False

    def __init__(self, bench: Any) -> None:
        self._channel = uuid.uuid4().hex
        self._emulator = CanRadarEmulator(self.options())
        self._bus = can.Bus(self._channel, "virtual")
        self._there = False

    def options(self) -> Ars408Options:
        return Ars408Options(
            id="r", driver="ars408", mount=MOUNT, stamps="arrival",
            bus={"interface": "virtual", "channel": self._channel},
        )  # fmt: skip

    def broken(self) -> Ars408Options:
        return Ars408Options(
            id="r", driver="ars408", mount=MOUNT,
            bus={"interface": "socketcan", "channel": "nocan7"},
        )  # fmt: skip

    def start(self) -> None:
        self._emulator.open()

    def say(self, number: int) -> None:
        reading = RadarReading(4, 30.0 + number % 50, -2.0, 10.0, 0.0)
        self._emulator.send(RadarCycle(number + 1, 0, (reading,)))

    def babble(self) -> None:
        for can_id, data in [
            (0x60B, bytes(8)), (0x60C, bytes(7)), (0x60A, b""), (0x60B, b"\x01"), (0x201, bytes(8)),
            (0x60A, b"\x05\x00\x00\x00"), (0x60B, b"\xff" * 8), (0x60B, b"\xff" * 8),
            (0x60A, b"\xff\x80\x00\x00"), (0x60D, bytes(8)), (0x60D, bytes(8)),
        ]:  # fmt: skip
            self._bus.send(can.Message(arbitration_id=can_id, data=data, is_extended_id=False))
        self._bus.send(
            can.Message(arbitration_id=0x60A, is_remote_frame=True, is_extended_id=False)
        )

    def vanish(self) -> None:
        self._emulator.close()

    def close(self) -> None:
        self._emulator.close()
        self._bus.shutdown()


class JsonUdpPeer:
    stamped = True
    loses = False

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def options(self) -> JsonUdpRadarOptions:
        return JsonUdpRadarOptions(
            id="r", driver="json_udp", mount=MOUNT, mapping=MAPPING,
            listen_host="127.0.0.1", listen_port=self._bench.port,
        )  # fmt: skip

    def broken(self) -> JsonUdpRadarOptions:
        return self.options().model_copy(update={"listen_host": "203.0.113.1"})

    def start(self) -> None:
        """A datagram needs no connection."""

    def _send(self, octets: bytes) -> None:
        self._socket.sendto(octets, ("127.0.0.1", self._bench.port))

    def say(self, number: int) -> None:
        self._send(document(self._bench, number))

    def babble(self) -> None:
        for octets in (*NONSENSE, b""):
            self._send(octets)

    def vanish(self) -> None:
        """Silence is all there is."""

    def close(self) -> None:
        self._socket.close()


class JsonMqttPeer:
    stamped = True
    loses = True

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._broker = bench.broker()

    def options(self) -> JsonMqttRadarOptions:
        return JsonMqttRadarOptions(
            id="r", driver="json_mqtt", mount=MOUNT, mapping=MAPPING, topic="radar/+/objects",
            host="127.0.0.1", port=self._bench.port,
        )  # fmt: skip

    def broken(self) -> JsonMqttRadarOptions:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        return self.options().model_copy(update={"port": port})

    def start(self) -> None:
        self._broker.start()

    def _send(self, *payloads: bytes) -> None:
        publisher.multiple(
            [("radar/north/objects", payload, 1, False) for payload in payloads],
            hostname="127.0.0.1", port=self._bench.port,
        )  # fmt: skip

    def say(self, number: int) -> None:
        self._send(document(self._bench, number))

    def babble(self) -> None:
        self._send(*NONSENSE, b"")

    def vanish(self) -> None:
        self._broker.kill()

    def close(self) -> None:
        """The fixture ends the broker."""


ROWS = {
    "radar/ars408": Ars408Peer,
    "radar/json_udp": JsonUdpPeer,
    "radar/json_mqtt": JsonMqttPeer,
}
