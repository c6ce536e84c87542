"""The computer's load from the kernel's counters, with a made-up kernel and with the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsu.runtime.machine import MachineWatch
from rsu.schema.units import NS_PER_S, Instant


def at(seconds: float) -> Instant:
    return Instant(10 * NS_PER_S + int(seconds * NS_PER_S), int(seconds * NS_PER_S))


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    for folder in ("proc/net", "sys/block/sda", "sys/block/loop0"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/loadavg").write_text("1.50 1.00 0.50 2/300 4242\n")
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal:       8000 kB\nMemFree:        1000 kB\nMemAvailable:   3000 kB\n"
    )
    tell(tmp_path, busy=100, idle=900, operations=10, octets=1000)
    return tmp_path


def tell(root: Path, *, busy: int, idle: int, operations: int, octets: int) -> None:
    (root / "proc/stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3\n")
    (root / "proc/diskstats").write_text(
        f"   8 0 sda {operations} 0 80 0 {operations} 0 160 0 0 0 0\n"
        f"   8 1 sda1 {operations} 0 80 0 {operations} 0 160 0 0 0 0\n"
        "   7 0 loop0 999 0 999 0 999 0 999 0 0 0 0\n"
    )
    (root / "proc/net/dev").write_text(
        "Inter-| Receive\n face |bytes packets\n"
        f"    lo: 9999999 9999 0 0 0 0 0 0 9999999 9999 0 0 0 0 0 0\n"
        f"  eth0: {octets} {octets // 100} 0 0 0 0 0 0 {2 * octets} {octets // 50} 0 0 0 0 0 0\n"
    )


def test_rates_are_those_between_two_looks(kernel: Path) -> None:
    watch = MachineWatch(kernel)
    assert watch.read(at(0)) is None
    tell(kernel, busy=150, idle=950, operations=30, octets=21_000)
    load = watch.read(at(10))
    assert load is not None
    assert (load.load, load.utilisation) == (1.5, 0.5)
    assert (load.memory_total, load.memory_used) == (8000 * 1024, 5000 * 1024)
    assert load.disk_operations_hz == 4.0  # 20 reads and 20 writes of sda alone
    assert (load.received_octets_hz, load.sent_octets_hz) == (2000.0, 4000.0)  # without loopback
    assert (load.received_packets_hz, load.sent_packets_hz) == (20.0, 40.0)
    assert 0 < load.disk_used < load.disk_total


def test_a_device_that_went_away_makes_no_negative_rate(kernel: Path) -> None:
    watch = MachineWatch(kernel)
    watch.read(at(0))
    tell(kernel, busy=150, idle=950, operations=0, octets=0)
    load = watch.read(at(10))
    assert load is not None
    assert (load.disk_operations_hz, load.received_octets_hz) == (0.0, 0.0)


@pytest.mark.parametrize("missing", ["proc/stat", "proc/meminfo", "proc/loadavg", "proc/net/dev"])
def test_a_kernel_that_does_not_tell_makes_no_reading(kernel: Path, missing: str) -> None:
    watch = MachineWatch(kernel)
    watch.read(at(0))
    (kernel / missing).unlink()
    assert watch.read(at(10)) is None


def test_the_real_kernel_is_readable() -> None:
    watch = MachineWatch()
    assert watch.read(at(0)) is None
    load = watch.read(at(10))
    assert load is not None
    assert 0.0 <= load.utilisation <= 1.0
    assert 0 < load.memory_used < load.memory_total
