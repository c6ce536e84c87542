"""How busy the whole computer is: two looks at the kernel's counters make one reading.

In: /proc, /sys/block and the file system of the root folder. Out: `MachineLoad`. What a kernel does
not tell counts as nothing (0): a container may have no disks of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from rsu.schema.machine import MachineLoad
from rsu.schema.units import NS_PER_S, Instant

SECTOR = 512
"""Octets of a sector in /proc/diskstats, whatever the disk's own are (kernel, iostats.rst)."""
_NO_DISK = ("loop", "ram", "zram", "dm-", "md")  # what lies on other block devices, or on none
_IDLE = (3, 4)  # idle and waiting for a disk, of the columns of /proc/stat


class _Counters(NamedTuple):
    mono_ns: int
    busy: int
    ticks: int
    operations: int
    sectors_read: int
    sectors_written: int
    packets_in: int
    packets_out: int
    octets_in: int
    octets_out: int


class MachineWatch:
    """Reads the counters now and then; not for several threads."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._last: _Counters | None = None

    def read(self, now: Instant) -> MachineLoad | None:
        """The reading since the last call; None at the first one, and where there is no /proc."""
        try:
            counters = self._counters(now)
            memory = self._memory()
            load = float(self._text("proc/loadavg").split()[0])
            disk = os.statvfs(self._root)
        except (OSError, ValueError, IndexError, KeyError):
            return None
        last, self._last = self._last, counters
        if last is None or now.mono_ns <= last.mono_ns:
            return None
        seconds = (now.mono_ns - last.mono_ns) / NS_PER_S
        # A device that went away takes its counters along: not less than nothing.
        more = [max(a - b, 0) for a, b in zip(counters[1:], last[1:], strict=True)]
        busy, ticks, operations, read, written, in_, out, octets_in, octets_out = more
        return MachineLoad(
            time_ns=now.utc_ns, load=load, utilisation=min(busy / ticks, 1.0) if ticks else 0.0,
            memory_total=memory["MemTotal"],
            memory_used=memory["MemTotal"] - memory["MemAvailable"],
            disk_total=disk.f_blocks * disk.f_frsize,
            disk_used=(disk.f_blocks - disk.f_bavail) * disk.f_frsize,
            disk_operations_hz=operations / seconds,
            disk_read_octets_hz=read * SECTOR / seconds,
            disk_written_octets_hz=written * SECTOR / seconds,
            received_packets_hz=in_ / seconds, sent_packets_hz=out / seconds,
            received_octets_hz=octets_in / seconds, sent_octets_hz=octets_out / seconds,
        )  # fmt: skip

    def _counters(self, now: Instant) -> _Counters:
        processors = [
            int(value) for value in self._text("proc/stat").split("\n", 1)[0].split()[1:9]
        ]
        ticks = sum(processors)
        busy = ticks - sum(processors[column] for column in _IDLE)
        return _Counters(now.mono_ns, busy, ticks, *self._disks(), *self._network())

    def _disks(self) -> tuple[int, int, int]:
        """Operations, sectors read, sectors written, of whole devices."""
        block = self._root / "sys/block"
        whole = {entry.name for entry in block.iterdir()} if block.is_dir() else set()
        found = (0, 0, 0)
        for line in self._text("proc/diskstats").splitlines():
            words = line.split()
            if words[2] in whole and not words[2].startswith(_NO_DISK):
                new = int(words[3]) + int(words[7]), int(words[5]), int(words[9])
                found = (found[0] + new[0], found[1] + new[1], found[2] + new[2])
        return found

    def _network(self) -> tuple[int, int, int, int]:
        """Packets in and out, octets in and out."""
        found = [0, 0, 0, 0]
        for line in self._text("proc/net/dev").splitlines()[2:]:
            name, _, numbers = line.partition(":")
            if name.strip() != "lo":
                words = numbers.split()
                for place, column in enumerate((1, 9, 0, 8)):
                    found[place] += int(words[column])
        return found[0], found[1], found[2], found[3]

    def _memory(self) -> dict[str, int]:
        """/proc/meminfo, octets."""
        lines = (line.split() for line in self._text("proc/meminfo").splitlines())
        return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}

    def _text(self, path: str) -> str:
        return (self._root / path).read_text(encoding="ascii", errors="replace")
