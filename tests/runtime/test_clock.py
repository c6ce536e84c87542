"""Clock quality is earned from the kernel, kept for a while, and lost at once by a step."""

from __future__ import annotations

from rsu.runtime.clock import HOLDOVER_NS, ClockMonitor, system_now
from rsu.schema.health import ClockQuality
from rsu.schema.units import NS_PER_S, Instant


def test_never_synchronised_is_unsynchronised() -> None:
    assert ClockMonitor().update(Instant(0, 0), synchronised=False) is ClockQuality.UNSYNCHRONISED


def test_lost_lock_is_holdover_until_it_has_lasted_too_long() -> None:
    monitor = ClockMonitor()
    assert monitor.update(Instant(0, 0), synchronised=True) is ClockQuality.LOCKED
    just = Instant(HOLDOVER_NS, HOLDOVER_NS)
    assert monitor.update(just, synchronised=False) is ClockQuality.HOLDOVER
    over = Instant(HOLDOVER_NS + 1, HOLDOVER_NS + 1)
    assert monitor.update(over, synchronised=False) is ClockQuality.UNSYNCHRONISED


def test_a_step_of_the_wall_clock_is_noticed_and_ends_holdover() -> None:
    monitor = ClockMonitor()
    monitor.update(Instant(0, 0), synchronised=True)
    stepped = Instant(3600 * NS_PER_S, NS_PER_S)
    assert monitor.update(stepped, synchronised=True) is ClockQuality.UNSYNCHRONISED
    assert monitor.steps == 1
    later = Instant(3601 * NS_PER_S, 2 * NS_PER_S)
    assert monitor.update(later, synchronised=False) is ClockQuality.UNSYNCHRONISED
    settled = Instant(3602 * NS_PER_S, 3 * NS_PER_S)
    assert monitor.update(settled, synchronised=True) is ClockQuality.LOCKED


def test_slow_drift_is_not_a_step() -> None:
    monitor = ClockMonitor()
    for second in range(10):
        now = Instant(second * (NS_PER_S + 50_000), second * NS_PER_S)  # 50 ppm
        assert monitor.update(now, synchronised=True) is ClockQuality.LOCKED


def test_both_clocks_advance() -> None:
    first, second = system_now(), system_now()
    assert second.mono_ns >= first.mono_ns
    assert second.utc_ns > 1_600_000_000 * NS_PER_S
