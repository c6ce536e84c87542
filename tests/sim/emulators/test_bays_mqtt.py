"""The bay gateway at a real broker, read by the unit's driver; a lot filling up, end to end."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rsu.config.parking import BayMqttOptions
from rsu.config.place import OriginOptions, PlaceOptions
from rsu.hal.parking.bay_mqtt import BayMqttSensors
from rsu.schema.devices import BayReading
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.sim.emulators.bays_mqtt import MAPPING, BayMqttEmulator
from rsu.sim.errors import SimulationError
from rsu.sim.sensors.bays import BayErrors, ModelledBays
from rsu.sim.world.scene import Scene, stream
from rsu.site.features import ZoneKind
from rsu.site.lanes import Zone

START_NS = 1_767_225_600_000_000_000
PLACE = PlaceOptions(id="bench", origin=OriginOptions(latitude=31.0, longitude=121.0))
BAYS = [
    Zone(
        f"A{n}", ZoneKind.BAY,
        np.array([(3.0 * n, 0.0), (3.0 * n + 2.5, 0.0), (3.0 * n + 2.5, 5.0), (3.0 * n, 5.0)]),
        lot="lot",
    )
    for n in range(6)
]  # fmt: skip


@pytest.fixture
def broker(mosquitto: Path, tmp_path: Path, free_port: int) -> Iterator[int]:
    """A mosquitto on the port that is given."""
    config = tmp_path / "mosquitto.conf"
    user = f"user {getpass.getuser()}\n" if os.geteuid() == 0 else ""
    config.write_text(f"{user}listener {free_port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([mosquitto, "-c", config], stderr=subprocess.DEVNULL)
    pause = threading.Event()
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", free_port)) == 0:
                break
        pause.wait(0.01)
    yield free_port
    process.kill()
    process.wait(10.0)


def scene(second: float, parked: set[int]) -> Scene:
    rows = sorted(parked)
    return Scene(
        time_ns=START_NS + round(second * NS_PER_S),
        ids=tuple(rows),
        classes=(ObjectClass.CAR,) * len(rows),
        position=np.array([(3.0 * n + 1.2, 2.5) for n in rows]).reshape(-1, 2),
        heading=np.zeros(len(rows)),
        speed=np.zeros(len(rows)),
        size=np.full((len(rows), 3), (4.4, 1.8, 1.5)),
    )


def sensor(broker: int, now: list[int]) -> BayMqttSensors:
    options = BayMqttOptions(
        id="bays", driver="bay_mqtt", host="127.0.0.1", port=broker, topic="bays/+/state",
        mapping=MAPPING, bays={f"A{n}": f"lot-{n}" for n in range(6)},
    )  # fmt: skip
    return BayMqttSensors(options, Path(), lambda: Instant(now[0], now[0]), PLACE)


def test_a_lot_fills_and_empties_as_the_sensors_say(broker: int) -> None:
    model = ModelledBays("bays", BAYS, stream(1, "bays"), BayErrors(miss=0, phantom=0, chatter=0))
    gateway, now = BayMqttEmulator("127.0.0.1", broker), [START_NS]
    device = sensor(broker, now)
    gateway.open()
    device.open()
    state: dict[str, bool | None] = {}
    try:
        for second in range(60):
            parked = {0, 1, 4} if second < 30 else {4, 5}
            said = model.look(scene(second, parked))
            gateway.send(said)
            now[0] = START_NS + second * NS_PER_S + 100 * NS_PER_MS
            heard: list[BayReading] = []
            while len(heard) < len(said):
                heard += device.receive(5.0)
            for one, word in zip(heard, said, strict=True):
                assert one.capture_ns == word.capture_ns // NS_PER_MS * NS_PER_MS
                assert one.battery == pytest.approx(word.battery, abs=0.006)
                state[one.bay] = one.occupied
            if second in (0, 29):
                assert {bay for bay, there in state.items() if there} == {"lot-0", "lot-1", "lot-4"}
    finally:
        device.close()
        gateway.close()
    assert {bay for bay, there in state.items() if there} == {"lot-4", "lot-5"}
    assert len(state) == 6
    assert not any(device.dropped.values())


def test_a_unit_that_comes_late_learns_what_the_broker_kept(broker: int) -> None:
    gateway, now = BayMqttEmulator("127.0.0.1", broker), [START_NS + 60 * NS_PER_S]
    gateway.open()
    words = [
        BayReading(sensor="bays", bay="A1", capture_ns=START_NS + n * NS_PER_S, occupied=word,
                   probability=0.5)
        for n, word in enumerate((True, None, False))
    ]  # fmt: skip
    gateway.send(words)
    gateway.close()
    device = sensor(broker, now)
    device.open()
    heard: list[BayReading] = []
    for _ in range(25):
        heard += device.receive(0.2)
        if heard:
            break
    device.close()
    assert [(one.bay, one.occupied) for one in heard] == [("lot-1", False)]
    assert heard[0].capture_ns == START_NS + 2 * NS_PER_S


def test_no_broker_is_told(free_port: int) -> None:
    gateway = BayMqttEmulator("127.0.0.1", free_port)
    with pytest.raises(SimulationError, match="no broker"):
        gateway.open()
    with pytest.raises(SimulationError, match="not open"):
        gateway.send([])
    gateway.close()
