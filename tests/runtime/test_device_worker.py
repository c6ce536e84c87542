"""The process of a self-sending device: facts and health are told, a lost device comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rsu.config.load import load_site
from rsu.hal.errors import DeviceError
from rsu.runtime.device_worker import DeviceWorker
from rsu.runtime.metrics import Meter
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.priority import PriorityLevel, SignalAction, SignalCommand
from rsu.schema.sensing import RadarObjects, SensorKind
from rsu.schema.topics import RADAR_OBJECTS, SENSOR_HEALTH, SIGNAL_COMMAND
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant

START = Instant(1_767_225_600_000_000_000, 1_000 * NS_PER_S)
TURN_NS = 100 * NS_PER_MS
PATIENCE_S = 0.001
"""Real time that a turn may take: while a device is lost its turns wait."""
LOST = DeviceError("lost", "plug it in again")


class Around:
    """What a process gives its worker; time passes as the test says."""

    def __init__(self, config: Any, base: Path) -> None:
        self.config, self.base, self.boot, self.now = config, base, START, START
        self.meter = Meter("device")

    def clock(self) -> Instant:
        return self.now

    def forward(self, ns: int) -> None:
        self.now = Instant(self.now.utc_ns + ns, self.now.mono_ns + ns)


class FakeDevice:
    """Gives one cycle per turn while it is plugged in, and takes its time about it."""

    def __init__(self, around: Around) -> None:
        self.dropped: Counter[str] = Counter()
        self.plugged, self.speaks, self.bug = True, True, False
        self.opened, self.closed = 0, 0
        self._around = around

    def open(self) -> None:
        if not self.plugged:
            raise LOST
        self.opened += 1

    def receive(self, timeout_s: float) -> Sequence[RadarObjects]:
        self._around.forward(TURN_NS)
        if not self.plugged:
            raise LOST
        if self.bug:
            raise ZeroDivisionError("a driver's bug")
        if not self.speaks:
            return ()
        now_ns = self._around.now.utc_ns
        return [RadarObjects(sensor="west", cycle=1, capture_ns=now_ns - NS_PER_MS, objects=())]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Around, FakeDevice]:
    site = root / "configs" / "junction.yaml"
    around = Around(load_site(site), site.parent)
    device = FakeDevice(around)
    made: Callable[..., FakeDevice] = lambda *_: device  # noqa: E731
    monkeypatch.setattr("rsu.hal.live_device.make_device", made)
    return around, device


def turns(worker: DeviceWorker, around: Around, count: int) -> list[Message]:
    said = []
    for _ in range(count):
        before = around.now
        said += list(worker.turn(PATIENCE_S))
        if around.now is before:  # the device was not asked: the turn waited all the same
            around.forward(TURN_NS)
    return said


def health(messages: list[Message]) -> list[SensorHealth]:
    return [m.payload for m in messages if m.topic is SENSOR_HEALTH]


def states(messages: list[Message]) -> list[SensorState]:
    """States told, repetitions left out."""
    told = [one.state for one in health(messages)]
    return [state for i, state in enumerate(told) if i == 0 or told[i - 1] is not state]


def test_facts_go_to_their_topic_with_their_own_time(bench: tuple[Around, FakeDevice]) -> None:
    around, _ = bench
    worker = DeviceWorker(around, "west")  # type: ignore[arg-type]
    assert worker.topics == frozenset()
    worker.start()
    facts = [m for m in turns(worker, around, 10) if m.topic is RADAR_OBJECTS]
    worker.stop()
    assert [m.header.capture_ns - START.utc_ns for m in facts] == [
        i * TURN_NS - NS_PER_MS for i in range(1, 11)
    ]
    assert {m.header.source for m in facts} == {"west"}
    assert {m.payload.capture_ns - m.header.capture_ns for m in facts} == {0}
    (sample,) = [s for s in around.meter.snapshot(0).samples if s.name == "facts_total"]
    assert sample.value == 10


def test_health_is_told_once_a_second(bench: tuple[Around, FakeDevice]) -> None:
    around, _ = bench
    worker = DeviceWorker(around, "west")  # type: ignore[arg-type]
    told = health(turns(worker, around, 50))
    assert len(told) == 5
    assert {(one.sensor, one.kind, one.state) for one in told} == {
        ("west", SensorKind.RADAR, SensorState.LIVE)
    }
    assert [one.received for one in told] == [1, 11, 21, 31, 41]


def test_a_lost_device_is_told_at_once_and_comes_back(bench: tuple[Around, FakeDevice]) -> None:
    around, device = bench
    worker = DeviceWorker(around, "west")  # type: ignore[arg-type]
    said = turns(worker, around, 12)
    device.plugged = False
    lost_ns = around.now.utc_ns
    said += turns(worker, around, 30)
    device.plugged = True
    said += turns(worker, around, 40)
    assert states(said) == [
        SensorState.LIVE, SensorState.GONE, SensorState.LIVE,
    ]  # fmt: skip
    gone = [one for one in health(said) if one.state is SensorState.GONE]
    assert gone[0].time_ns - lost_ns <= 2 * TURN_NS
    assert "lost" in gone[0].detail
    assert health(said)[-1].reconnects == 1
    assert device.opened == 2
    assert device.closed >= 1


def test_a_driver_with_a_bug_ends_nothing(bench: tuple[Around, FakeDevice]) -> None:
    around, device = bench
    worker = DeviceWorker(around, "west")  # type: ignore[arg-type]
    turns(worker, around, 2)
    device.bug = True
    told = health(turns(worker, around, 3))
    assert told[0].state is SensorState.GONE
    assert "driver failed: ZeroDivisionError" in told[0].detail
    device.bug = False
    assert states(turns(worker, around, 40))[-1] is SensorState.LIVE


def test_a_device_that_says_nothing_is_late(bench: tuple[Around, FakeDevice]) -> None:
    around, device = bench
    worker = DeviceWorker(around, "west")  # type: ignore[arg-type]
    turns(worker, around, 2)
    device.speaks = False
    device.dropped["garbage"] = 4
    told = health(turns(worker, around, 30))
    assert told[-1].state is SensorState.LATE
    assert told[-1].dropped == {"garbage": 4}
    assert told[-1].received == 2 + 4


def test_stopping_closes_the_device(bench: tuple[Around, FakeDevice]) -> None:
    around, device = bench
    worker = DeviceWorker(around, "west")  # type: ignore[arg-type]
    turns(worker, around, 1)
    worker.stop()
    assert device.closed == 1


def test_a_signal_controller_hears_its_own_commands_and_each_is_counted(
    bench: tuple[Around, FakeDevice],
) -> None:
    around, device = bench

    def command(controller: str) -> Message:
        wish = SignalCommand(
            controller=controller, intersection=1, group=3, action=SignalAction.CALL,
            level=PriorityLevel.TRANSIT, time_ns=around.now.utc_ns, until_ns=around.now.utc_ns,
        )  # fmt: skip
        return Message.draft(SIGNAL_COMMAND, "signal-priority", around.now.utc_ns, wish)

    class Bus:
        def __init__(self) -> None:
            self.waiting = [command("cabinet"), command("other")]

        def receive(self, _timeout_s: float) -> list[Message]:
            came, self.waiting = self.waiting, []
            return came

    around.bus = Bus()  # type: ignore[attr-defined]  # only signal controllers have one
    taken: list[SignalCommand] = []
    worker = DeviceWorker(around, "cabinet")  # type: ignore[arg-type]
    assert worker.topics == {SIGNAL_COMMAND}
    list(worker.turn(0.1))
    assert outcomes(around) == {"cannot": 1}  # this driver takes none
    device.command = lambda wish: not taken.append(wish)  # type: ignore[attr-defined, func-returns-value]
    around.bus.waiting = [command("cabinet")]  # type: ignore[attr-defined]
    list(worker.turn(0.1))
    assert outcomes(around) == {"cannot": 1, "taken": 1}
    assert [one.controller for one in taken] == ["cabinet"]
    worker.stop()
    assert DeviceWorker(around, "west").topics == frozenset()  # type: ignore[arg-type]


def outcomes(around: Around) -> dict[str, float]:
    """What became of commands, by the metric."""
    samples = around.meter.snapshot(0).samples
    return {one.labels["outcome"]: one.value for one in samples if one.name == "commands_total"}
