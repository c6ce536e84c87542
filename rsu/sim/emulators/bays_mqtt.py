"""A gateway of bay sensors on the wire: `BayReading`s in, JSON messages at an MQTT broker out.

Each sensor publishes to its own topic, as LoRaWAN gateways do, and the broker keeps the last word
(retained). The document is ours; `MAPPING` is what a site file says to have it read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from rsu.schema.devices import BayReading
from rsu.schema.units import NS_PER_MS
from rsu.sim.errors import SimulationError

TOPIC = "bays"
MAPPING: dict[str, Any] = {
    "topic_level": 1,
    "occupied": {"path": "state", "table": {"occupied": True, "free": False, "fault": None}},
    "time": {"format": "epoch_ms", "path": "time"},
    "battery": {"path": "battery", "unit": "percent"},
}
"""`bay_sensors[].mapping` for this gateway; its topic filter is `bays/+/state`."""
PATIENCE_S = 5.0
"""Longest wait for the broker, s."""
_STATES = {True: "occupied", False: "free", None: "fault"}


def write_bay(reading: BayReading) -> bytes:
    """The document of one reading; time to the ms."""
    document: dict[str, Any] = {
        "state": _STATES[reading.occupied],
        "time": reading.capture_ns // NS_PER_MS,
    }
    if reading.battery is not None:
        document["battery"] = round(100.0 * reading.battery)
    return msgspec.json.encode(document)


class BayMqttEmulator:
    """A gateway at a broker. paho tends its connection in a thread until `close`."""

    def __init__(self, host: str, port: int, client_id: str = "bay-gateway") -> None:
        self._host, self._port, self._client_id = host, port, client_id
        self._client: mqtt.Client | None = None

    def open(self) -> None:
        """Connect; raises SimulationError where no broker answers."""
        if self._client is not None:
            return
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=mqtt.MQTTv311
        )
        try:
            client.connect(self._host, self._port)
        except OSError as error:
            raise SimulationError(
                f"no broker for the bay sensors at {self._host}:{self._port}: {error}"
            ) from error
        client.loop_start()
        self._client = client

    def send(self, readings: Iterable[BayReading]) -> None:
        """Publish readings; returns when the broker has them, raises SimulationError else."""
        if self._client is None:
            raise SimulationError("the bay sensors' gateway is not open")
        under_way = [
            self._client.publish(
                f"{TOPIC}/{reading.bay}/state", write_bay(reading), qos=1, retain=True
            )
            for reading in readings
        ]
        for one in under_way:
            try:
                one.wait_for_publish(PATIENCE_S)
            except (RuntimeError, ValueError) as error:
                raise SimulationError(f"a bay reading was not taken: {error}") from error
            if not one.is_published():
                raise SimulationError("the broker does not take bay readings")

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()
