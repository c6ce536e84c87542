"""What the wrapper adds to any driver, against a driver made of a script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from rsu.config.devices import DeviceOptions
from rsu.hal.device import MAX_FACTS
from rsu.hal.errors import DeviceError
from rsu.hal.live_device import LiveDevice
from rsu.hal.stamps import MAX_KEYS, StampGuard
from rsu.schema.health import SensorState
from rsu.schema.sensing import RadarObjects, SensorKind
from rsu.schema.units import NS_PER_S, Instant

LOST = DeviceError("lost", "look")


class Scripted:
    """Opens and gives what the script says; an exception in it is raised."""

    def __init__(self, opens: list[Any], gives: list[Any]) -> None:
        self.dropped: Counter[str] = Counter()
        self.closed = 0
        self._opens, self._gives = opens, gives

    def open(self) -> None:
        if self._opens and (error := self._opens.pop(0)) is not None:
            raise error

    def receive(self, timeout_s: float) -> Sequence[Any]:
        given = self._gives.pop(0) if self._gives else ()
        if isinstance(given, Exception):
            raise given
        return given

    def close(self) -> None:
        self.closed += 1


def facts(count: int) -> list[RadarObjects]:
    return [RadarObjects(sensor="d", cycle=i, capture_ns=i, objects=()) for i in range(count)]


@pytest.fixture
def bench() -> Any:
    class Bench:
        ns = 0
        waits: list[float] = []  # noqa: RUF012

        def clock(self) -> Instant:
            return Instant(self.ns, self.ns)

        def wait(self, seconds: float) -> None:
            self.waits.append(seconds)
            self.ns += round(seconds * NS_PER_S)

        def live(self, driver: Scripted) -> LiveDevice:
            options = DeviceOptions(id="d")
            return LiveDevice(SensorKind.RADAR, options, driver, self.clock, self.wait)

    made = Bench()
    made.waits = []
    return made


def test_a_lost_device_is_opened_again_and_the_pause_starts_anew_after_a_fact(bench: Any) -> None:
    driver = Scripted([LOST, LOST], [facts(1), LOST, facts(1)])
    live = bench.live(driver)
    states = []
    for _ in range(6):
        live.take(60.0)
        states.append(live.health(bench.clock()).state.value)
    assert states == ["gone", "gone", "live", "gone", "live", "live"]
    assert bench.waits == [0.5, 1.0, 0.5]
    health = live.health(bench.clock())
    assert (health.reconnects, health.received, health.detail) == (1, 2, "")


@pytest.mark.parametrize("broken", [ValueError("x"), KeyError("x"), ZeroDivisionError()])
def test_a_driver_that_breaks_its_contract_is_gone_and_nothing_is_raised(
    bench: Any, broken: Exception
) -> None:
    driver = Scripted([None], [broken])
    live = bench.live(driver)
    assert not live.take(0.1)
    health = live.health(bench.clock())
    assert health.state is SensorState.GONE
    assert type(broken).__name__ in health.detail
    assert driver.closed == 1


def test_too_many_facts_lose_the_oldest_and_counters_balance(bench: Any) -> None:
    driver = Scripted([], [facts(MAX_FACTS + 10)])
    driver.dropped["not_json"] = 3
    live = bench.live(driver)
    taken = live.take(0.1)
    assert [taken[0].cycle, len(taken)] == [10, MAX_FACTS]
    health = live.health(bench.clock())
    assert health.dropped == {"flooded": 10, "not_json": 3}
    assert health.received == MAX_FACTS + 13


def test_a_short_turn_does_not_wait_for_the_whole_pause(bench: Any) -> None:
    live = bench.live(Scripted([LOST], []))
    live.take(0.1)
    live.take(0.1)
    assert bench.waits == [0.1]


def test_stamps_are_judged_by_their_own_thing() -> None:
    guard, now = StampGuard(2.0, 0.1), Instant(100 * NS_PER_S, 0)
    judged = [
        guard.refusal(key, round(seconds * NS_PER_S), now)
        for key, seconds in [
            ("a", 99.0), ("b", 98.5), ("a", 99.0), ("a", 98.9), ("a", 99.1), ("a", 97.9),
            ("a", 100.2), ("a", 100.1), ("a", 98.05),
        ]
    ]  # fmt: skip
    assert judged == [
        None, None, "duplicate_timestamp", "non_monotone_timestamp", None, "stale_timestamp",
        "future_timestamp", None, None,
    ]  # fmt: skip
    for number in range(MAX_KEYS + 10):
        assert guard.refusal(f"new{number}", 100 * NS_PER_S, now) is None
