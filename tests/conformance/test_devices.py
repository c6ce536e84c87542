"""What every driver of a self-sending device must do, whatever is behind it.

Adding a driver is one row: a file `devices/<kind>.py` beside this one has `ROWS`, from
"<kind>/<driver>" to a class that plays the device at the other end. `Peer` below says what such a
class has; `Bench` is what it is given. A kind is checked as soon as `rsu/hal/<kind>/drivers.py`
exists: a driver without a row, or a row without a driver, is a failure.
"""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from rsu.config.devices import DeviceOptions
from rsu.config.place import OriginOptions, PlaceOptions
from rsu.hal.device import MAX_FACTS, Device, make_device
from rsu.hal.errors import DeviceError, UnknownDriver
from rsu.hal.live_device import LiveDevice
from rsu.schema.health import SensorState
from rsu.schema.sensing import SensorKind
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant

BOUND_S = 20.0
"""Longest wait for anything, s; far above what is needed, so that a busy machine does not fail."""
START_NS = 1_767_225_600_000_000_000
PERIOD_NS = 100 * NS_PER_MS
KINDS = (
    SensorKind.RADAR, SensorKind.SIGNAL, SensorKind.PARKING, SensorKind.GNSS,
    SensorKind.ENVIRONMENT,
)  # fmt: skip
PLACE = PlaceOptions(
    id="bench", origin=OriginOptions(latitude=31.23, longitude=121.47), intersection=7
)


@dataclass
class Bench:
    """What a peer may use. Time stands still until the test moves it."""

    folder: Path
    port: int  # free on loopback a moment ago
    broker: Callable[[], Any]  # a mosquitto on `port`: start(), kill()
    now_ns: int = START_NS
    waits: list[float] = field(default_factory=list)

    def clock(self) -> Instant:
        return Instant(self.now_ns, self.now_ns)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_ns += round(seconds * NS_PER_S)

    @staticmethod
    def measured_ns(number: int) -> int:
        """When fact `number` was measured."""
        return START_NS + number * PERIOD_NS


class Peer(Protocol):
    """The device, or the broker and the device behind it.

    `options()` are a driver's that works with this peer, with `late_s` 1 s and default reconnect;
    `broken()` a driver's that cannot be opened, None where no configuration can do that.
    `stamped`: facts carry the device's own time, so that repeats and reordering can be seen.
    `loses`: a vanished peer is noticed at once (a connection breaks) and not only by silence.
    """

    stamped: bool
    loses: bool

    def __init__(self, bench: Bench) -> None: ...

    def options(self) -> DeviceOptions: ...

    def broken(self) -> DeviceOptions | None: ...

    def start(self) -> None:
        """The device is there. May be called again after `vanish`."""

    def say(self, number: int) -> None:
        """Send what makes exactly one fact, measured at `bench.measured_ns(number)`."""

    def babble(self) -> None:
        """Send a dozen or so of what a broken, foreign or hostile sender might, no fact in it."""

    def vanish(self) -> None:
        """As a pulled cable or a crashed broker."""

    def close(self) -> None: ...


def _rows() -> dict[str, type[Peer]]:
    rows: dict[str, type[Peer]] = {}
    for path in sorted((Path(__file__).parent / "devices").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"conformance_devices_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        rows.update(module.ROWS)
    return rows


ROWS = _rows()


def _drivers(kind: SensorKind) -> dict[str, str]:
    if importlib.util.find_spec(f"rsu.hal.{kind.value}") is None:
        return {}
    if importlib.util.find_spec(f"rsu.hal.{kind.value}.drivers") is None:
        return {}
    return dict(import_module(f"rsu.hal.{kind.value}.drivers").DRIVERS)


def kind_of(row: str) -> SensorKind:
    return SensorKind(row.partition("/")[0])


@pytest.fixture
def bench(tmp_path: Path, free_port: int, request: pytest.FixtureRequest) -> Bench:
    return Bench(tmp_path, free_port, lambda: request.getfixturevalue("device_broker"))


@pytest.fixture
def peer(row: str, bench: Bench) -> Iterator[Peer]:
    made = ROWS[row](bench)
    made.start()
    yield made
    made.close()


@pytest.fixture
def device(row: str, bench: Bench, peer: Peer) -> Iterator[Device]:
    made = make_device(kind_of(row), peer.options(), bench.folder, bench.clock, PLACE)
    made.open()
    yield made
    made.close()


@pytest.fixture
def live(row: str, bench: Bench, peer: Peer) -> Iterator[LiveDevice]:
    options = peer.options()
    driver = make_device(kind_of(row), options, bench.folder, bench.clock, PLACE)
    made = LiveDevice(kind_of(row), options, driver, bench.clock, bench.wait)
    yield made
    made.close()


every_row = pytest.mark.parametrize("row", ROWS)


def within_bound(what: str) -> Iterator[None]:
    end = time.monotonic() + BOUND_S
    while time.monotonic() < end:
        yield
    pytest.fail(f"not within {BOUND_S} s: {what}")


def first_facts(
    take: Callable[[float], Sequence[msgspec.Struct]], peer: Peer, bench: Bench, number: int
) -> tuple[int, list[msgspec.Struct]]:
    """Say facts from `number` on until one comes through (a subscription may take a moment)."""
    for _ in within_bound("the first fact"):
        bench.now_ns = bench.measured_ns(number) + 20 * NS_PER_MS
        peer.say(number)
        facts = list(take(0.3))
        if facts:
            while more := take(0.05):
                facts += more
            return number, facts
        number += 1
    raise AssertionError


def hear(device: Device, peer: Peer, bench: Bench, number: int) -> list[msgspec.Struct]:
    """What comes of fact `number`."""
    bench.now_ns = max(bench.now_ns, bench.measured_ns(number) + 20 * NS_PER_MS)
    peer.say(number)
    facts: list[msgspec.Struct] = []
    for _ in within_bound(f"fact {number}"):
        facts += device.receive(0.2)
        if facts:
            return facts
    raise AssertionError


def test_every_driver_of_ours_has_a_row() -> None:
    drivers = {f"{kind.value}/{name}" for kind in KINDS for name in _drivers(kind)}
    assert set(ROWS) == drivers


@pytest.mark.parametrize("kind", [kind for kind in KINDS if _drivers(kind)])
def test_an_unknown_driver_is_named_with_those_that_exist(kind: SensorKind, bench: Bench) -> None:
    class Odd(DeviceOptions):
        driver: str = "carrier-pigeon"

    with pytest.raises(UnknownDriver, match=rf"carrier-pigeon.*{min(_drivers(kind))}"):
        make_device(kind, Odd(id="d"), bench.folder, bench.clock, PLACE)


@every_row
def test_facts_come_out_complete_and_in_order(
    row: str, device: Device, peer: Peer, bench: Bench
) -> None:
    number, facts = first_facts(device.receive, peer, bench, 0)
    for following in range(number + 1, number + 4):
        facts += hear(device, peer, bench, following)
    assert len(facts) >= 4
    for fact in facts:
        octets = msgspec.json.encode(fact)  # no NaN, no infinity: JSON would turn them into null
        assert msgspec.json.decode(octets, type=type(fact)) == fact
    assert not any(device.dropped.values())


@every_row
def test_open_and_close_may_be_repeated(row: str, device: Device, peer: Peer, bench: Bench) -> None:
    device.open()
    device.close()
    device.close()
    device.open()
    assert first_facts(device.receive, peer, bench, 0)[1]


@every_row
def test_receiving_from_a_closed_device_is_a_device_error(row: str, device: Device) -> None:
    device.close()
    with pytest.raises(DeviceError, match="not open") as caught:
        device.receive(0.0)
    assert caught.value.next_step


@every_row
def test_a_device_that_cannot_be_opened_says_what_to_do(row: str, peer: Peer, bench: Bench) -> None:
    options = peer.broken()
    if options is None:
        pytest.skip("no configuration of this driver fails to open")
    made = make_device(kind_of(row), options, bench.folder, bench.clock, PLACE)
    with pytest.raises(DeviceError) as caught:
        made.open()
    assert caught.value.next_step
    made.close()


@every_row
def test_silence_gives_no_facts_and_the_device_is_late(
    row: str, live: LiveDevice, peer: Peer, bench: Bench
) -> None:
    assert live.health(bench.clock()).state is SensorState.STARTING
    first_facts(live.take, peer, bench, 0)
    assert live.health(bench.clock()).state is SensorState.LIVE
    assert not live.take(0.05)
    bench.now_ns += 1_001 * NS_PER_MS
    health = live.health(bench.clock())
    assert health.state is SensorState.LATE
    assert health.since_ns == bench.now_ns


@every_row
def test_garbage_is_counted_and_passed_over(
    row: str, device: Device, peer: Peer, bench: Bench
) -> None:
    number, _ = first_facts(device.receive, peer, bench, 0)
    peer.babble()
    for _ in within_bound("garbage to be counted"):
        assert not device.receive(0.2)
        if sum(device.dropped.values()) >= 1:
            break
    assert hear(device, peer, bench, number + 1)
    assert all(reason.isidentifier() for reason in device.dropped)


@every_row
def test_a_flood_is_bounded_and_what_follows_is_heard(
    row: str, device: Device, peer: Peer, bench: Bench
) -> None:
    number, _ = first_facts(device.receive, peer, bench, 0)
    for _ in range(40):
        peer.babble()
    last = number + 300
    for following in range(number + 1, last):
        bench.now_ns = bench.measured_ns(following) + 20 * NS_PER_MS
        peer.say(following)
    received = -1
    for _ in within_bound("the flood to end"):
        facts = device.receive(0.2)
        assert len(facts) <= MAX_FACTS
        if received == 0 and not facts:
            break
        received = len(facts)
    assert hear(device, peer, bench, last)


@every_row
def test_repeated_and_reordered_facts_are_dropped(
    row: str, device: Device, peer: Peer, bench: Bench
) -> None:
    if not peer.stamped:
        pytest.skip("the device states no time of its own")
    number, _ = first_facts(device.receive, peer, bench, 5)
    hear(device, peer, bench, number + 1)
    peer.say(number + 1)
    peer.say(number)
    for _ in within_bound("repeat and reordering to be counted"):
        assert not device.receive(0.2)
        if device.dropped.get("duplicate_timestamp") and device.dropped.get(
            "non_monotone_timestamp"
        ):
            break
    assert hear(device, peer, bench, number + 2)


@every_row
def test_a_peer_that_vanishes_and_returns_is_heard_again(
    row: str, live: LiveDevice, peer: Peer, bench: Bench
) -> None:
    number, _ = first_facts(live.take, peer, bench, 0)
    peer.vanish()
    for _ in within_bound("the loss to be seen"):
        live.take(0.2)
        if live.health(bench.clock()).state is not SensorState.LIVE:
            break
        if not peer.loses:
            bench.now_ns += 500 * NS_PER_MS
    if peer.loses:
        assert live.health(bench.clock()).state is SensorState.GONE
        assert live.health(bench.clock()).detail
    peer.start()
    first_facts(live.take, peer, bench, number + 200)
    health = live.health(bench.clock())
    assert health.state is SensorState.LIVE
    assert not health.detail
    assert (health.reconnects > 0) == peer.loses


@every_row
def test_waiting_for_a_missing_peer_backs_off(row: str, peer: Peer, bench: Bench) -> None:
    options = peer.broken()
    if options is None:
        pytest.skip("no configuration of this driver fails to open")
    driver = make_device(kind_of(row), options, bench.folder, bench.clock, PLACE)
    live = LiveDevice(kind_of(row), options, driver, bench.clock, bench.wait)
    while len(bench.waits) < 4:
        assert not live.take(60.0)
    assert bench.waits == [0.5, 1.0, 2.0, 4.0]
    assert live.health(bench.clock()).state is SensorState.GONE
    live.close()


@every_row
def test_closing_while_another_thread_receives_ends_it(row: str, device: Device) -> None:
    outcome: list[BaseException] = []
    waiting = threading.Event()

    def wait_on() -> None:
        try:
            while True:
                waiting.set()
                device.receive(60.0)
        except DeviceError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait_on, daemon=True)
    thread.start()
    assert waiting.wait(BOUND_S)
    device.close()
    thread.join(BOUND_S)
    assert not thread.is_alive()
    assert outcome
