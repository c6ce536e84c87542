"""Soak: a simulated unit for hours with faults at random; do its books and its memory hold?

`tools/soak_unit.py` runs the whole pipeline in lock-step as fast as the machine allows. Meanwhile
this process stops, freezes and kills the broker and fills the unit's disk (RLIMIT_FSIZE); at the
end it kills the unit and looks at what is on disk. It prints a line every half minute, then every
criterion with its number, and exits with 1 when one fails.

    .venv/bin/python tools/soak.py --minutes 3
    make soak                                    # two hours
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from rsu.uplink.store import Store

SLOPE_MB_PER_H = 1.0
"""Most that resident memory may grow in a simulated hour; judged by the lower bound (95 %) of the
slope over the ends of lives, so that a short run fails only for what it can show."""
WARM_UP_LIVES = 25
"""Caches (codecs, maps) fill in the first lives, the allocator's heaps in the first twenty
(measured: 164 to 168 MB, then 169 for fifty lives)."""
REASONS = {"expired", "quota", "overflow", "unsaved"}
"""What the faults of a soak explain; any other reason is a finding."""
PROGRESS_S = 30.0


class Broker:
    """A mosquitto that is stopped, frozen and killed."""

    def __init__(self, binary: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._command = [binary, "-c", str(folder / "mosquitto.conf")]
        user = f"user {getpass.getuser()}\n" if os.geteuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(
            f"{user}listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Soak:
    """The unit, its broker, its misfortunes, and what was measured."""

    def __init__(
        self, folder: Path, seed: int, seconds: float, broker: str, vehicles: list[int]
    ) -> None:
        self._folder, self._seconds = folder, seconds
        self._dice = random.Random(seed)
        self._broker = Broker(broker, folder)
        self._ends: list[dict[str, Any]] = []
        self._last: dict[str, Any] = {}
        self.faults: dict[str, int] = {}
        self._errors: list[str] = []
        self._began = time.monotonic()
        self.wall_s = 0.0
        command = [sys.executable, str(Path(__file__).with_name("soak_unit.py"))]
        command += [str(folder), *map(str, (self._broker.port, seed, *vehicles))]
        self._unit = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._readers = [
            threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    def run(self) -> None:
        """Disturb until the time is over; end with a kill."""
        end, due = self._began + self._seconds, self._began + PROGRESS_S
        misfortunes = [self._stop_broker, self._freeze_broker, self._fill_disk]
        while time.monotonic() < end and self._unit.poll() is None:
            self._wait(self._dice.uniform(3.0, 12.0))
            self._dice.choice(misfortunes)()
            if time.monotonic() >= due:
                due = time.monotonic() + PROGRESS_S
                print(self._progress(), flush=True)
        self.wall_s = time.monotonic() - self._began

    def close(self) -> None:
        """Kill what still runs."""
        self._broker.kill()
        self._unit.kill()
        self._unit.wait()
        for reader in self._readers:
            reader.join(10.0)

    # Misfortunes

    def _stop_broker(self) -> None:
        self._count("broker killed")
        self._broker.kill()
        self._wait(self._dice.uniform(0.5, 8.0))
        self._broker.start()

    def _freeze_broker(self) -> None:
        self._count("broker frozen")
        self._broker.signal(signal.SIGSTOP)
        self._wait(self._dice.uniform(0.5, 12.0))  # beyond two keepalives of 5 s: half open
        self._broker.signal(signal.SIGCONT)

    def _fill_disk(self) -> None:
        self._count("disk full")
        with contextlib.suppress(ProcessLookupError):
            before = resource.prlimit(self._unit.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self._unit.pid, resource.RLIMIT_FSIZE, (0, before[1]))
            self._wait(self._dice.uniform(0.5, 8.0))
            resource.prlimit(self._unit.pid, resource.RLIMIT_FSIZE, before)

    def _wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._unit.wait(seconds)

    def _count(self, what: str) -> None:
        self.faults[what] = self.faults.get(what, 0) + 1

    # What the unit says

    def _read(self) -> None:
        assert self._unit.stdout is not None
        for line in self._unit.stdout:
            self._last = json.loads(line)
            if self._last["what"] == "life":
                self._ends.append(self._last)

    def _read_errors(self) -> None:
        assert self._unit.stderr is not None
        self._errors += self._unit.stderr.readlines()

    def _progress(self) -> str:
        wall, last = time.monotonic() - self._began, self._last
        if not last:
            return f"{wall:6.0f} s  the unit has not spoken yet"
        uplink = last["uplink"]
        return (
            f"{wall:6.0f} s  ×{last['sim_s'] / wall:.1f}  {last['sim_s'] / 3600:.2f} h simulated, "
            f"{last['lives']} lives, {last['rss'] / 1e6:.0f} MB, {last['fds']} fds, "
            f"{uplink['delivered']} delivered, {uplink['queued']} queued, "
            f"dropped {uplink['dropped']}"
        )

    # Judgement

    def judge(self, hoped_speed: float) -> bool:
        """Print every criterion with its number; whether all hold."""
        if not self._ends:
            print("FAIL  no life was lived to its end\n" + "".join(self._errors[-20:]))
            return False
        last, wall_h = self._last, self.wall_s / 3600
        sim_h = last["sim_s"] / 3600
        speed = sim_h / wall_h
        print(
            f"\n{self.wall_s:.0f} s, {sim_h:.2f} h simulated in {last['lives']} lives: ×{speed:.1f}"
            f" (hoped for: ×{hoped_speed:g}; ×{last['sim_s'] / last['cpu_s']:.1f} a second of"
            f" CPU); {last['frames']} V2X frames,"
            f" {last['garbage']} pieces of garbage;"
            f" {', '.join(f'{count} × {what}' for what, count in sorted(self.faults.items()))}"
        )
        judged = [
            self._survived(),
            self._memory(speed),
            self._constant("fds", "descriptors"),
            self._constant("threads", "threads"),
            *self._reconciled(),
            self._recorded(),
            self._on_disk(),
        ]
        for ok, text in judged:
            print(f"{'ok  ' if ok else 'FAIL'}  {text}")
        return all(ok for ok, _ in judged)

    def _survived(self) -> tuple[bool, str]:
        code = self._unit.returncode
        said = "".join(self._errors[-3:]).strip()
        return code == -signal.SIGKILL, f"the unit ran until it was killed (exit {code}) {said}"

    def _memory(self, speed: float) -> tuple[bool, str]:
        ends = self._ends[WARM_UP_LIVES:]
        if len(ends) < 3:
            return True, f"memory: too few lives for a slope ({len(ends)} after warm-up)"
        hours = [end["sim_s"] / 3600 for end in ends]
        megabytes = [end["rss"] / 1e6 for end in ends]
        slope, base = statistics.linear_regression(hours, megabytes)
        middle = statistics.fmean(hours)
        spread = sum((hour - middle) ** 2 for hour in hours)
        rest = [y - base - slope * x for x, y in zip(hours, megabytes, strict=True)]
        # Student's t is below 3.2 from 3 degrees of freedom on, 12.7 with one.
        factor = {3: 12.7, 4: 4.3}.get(len(ends), 3.2)
        margin = factor * (sum(r * r for r in rest) / (len(ends) - 2) / spread) ** 0.5
        first = self._ends[0]["rss"] / 1e6
        return slope - margin < SLOPE_MB_PER_H, (
            f"memory: {first:.0f} MB, then {megabytes[0]:.0f} → {megabytes[-1]:.0f} MB"
            f" in the last {len(ends)} lives, slope {slope:+.1f} ±"
            f" {margin:.1f} MB per simulated hour (< {SLOPE_MB_PER_H:g}),"
            f" {slope * speed:+.1f} per hour of wall"
        )

    def _constant(self, what: str, name: str) -> tuple[bool, str]:
        counts = [end[what] for end in self._ends[1:] or self._ends]
        return counts[-1] <= counts[0], f"{name}: {counts[0]} → {counts[-1]}"

    def _reconciled(self) -> list[tuple[bool, str]]:
        unbalanced = [end for end in self._ends if _missing(end["uplink"])]
        end = self._ends[-1]
        uplink = end["uplink"]
        strange = set(uplink["dropped"]) - REASONS
        return [
            (
                not unbalanced,
                f"books: produced {uplink['produced']} = delivered {uplink['delivered']} + queued "
                f"{uplink['queued']} + dropped {uplink['dropped']} at the end of every life",
            ),
            self._offered(),
            (not strange, f"unexplained reasons for drops: {sorted(strange) or 'none'}"),
        ]

    def _offered(self) -> tuple[bool, str]:
        """What the core offered was produced. A life that ends with a full disk cannot write its
        ledger: the next one does not know of what it did last, so neither is compared with it."""
        start = {"offered": 0, "uplink": {"produced": 0, "degraded": ""}}
        wrong, forgetful = 0, 0
        for before, end in pairwise([start, *self._ends]):
            forgetful += bool(end["uplink"]["degraded"])
            if not (before["uplink"]["degraded"] or end["uplink"]["degraded"]):
                more = end["uplink"]["produced"] - before["uplink"]["produced"]
                wrong += more != end["offered"] - before["offered"]
        end = self._ends[-1]
        return not wrong, (
            f"offered by the core: {end['offered']}, produced: {end['uplink']['produced']};"
            f" {wrong} of {len(self._ends)} lives differ, {forgetful} ended with a full disk"
        )

    def _recorded(self) -> tuple[bool, str]:
        end = self._ends[-1]
        lost = sum(end["kept_not"].values())
        return end["received"] == end["kept"] + lost, (
            f"recorder: received {end['received']} = written {end['kept']} + dropped"
            f" {end['kept_not']}"
        )

    def _on_disk(self) -> tuple[bool, str]:
        """What a kill left: the file opens and its books balance with its rows."""
        store = Store.open(self._folder / "outbox.db")
        try:
            ledger = store.load_ledger()
            rows, lost = store.rows, ledger.dropped.get("corrupt", 0)
        finally:
            store.close()
        return ledger.queued == rows and not lost, (
            f"after kill -9: produced {ledger.produced} = delivered {ledger.delivered} + rows "
            f"{rows} + dropped {ledger.dropped}"
        )


def _missing(uplink: dict[str, Any]) -> int:
    out = uplink["delivered"] + uplink["queued"] + sum(uplink["dropped"].values())
    return int(uplink["produced"] - out)


def main() -> int:
    """Run, watch, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hours", type=float, default=2.0, help="Of wall time.")
    parser.add_argument("--minutes", type=float, help="Instead of --hours.")
    parser.add_argument("--speed", type=float, default=20.0, help="× real time that is hoped for.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--vehicles", type=int, nargs="+", default=[60, 120, 600],
        help="Traffic densities per hour, one of them each life; little traffic lives faster.",
    )  # fmt: skip
    arguments = parser.parse_args()
    broker = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if broker is None:
        parser.error("no mosquitto: install the Debian package `mosquitto`")
    minutes = arguments.hours * 60 if arguments.minutes is None else arguments.minutes
    with tempfile.TemporaryDirectory(prefix="rsu-soak") as scratch:
        soak = Soak(Path(scratch), arguments.seed, minutes * 60, broker, arguments.vehicles)
        try:
            soak.run()
        finally:
            soak.close()
        return 0 if soak.judge(arguments.speed) else 1


if __name__ == "__main__":
    sys.exit(main())
