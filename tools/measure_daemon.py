"""Measure the daemon: memory of every process, cold start, and how fast it comes back when killed.

Runs `configs/junction.yaml` (two rendered cameras, a radar, a signal controller, all simulated)
with everything a unit may have: a recording, a radio, Prometheus, and an uplink to a mosquitto that
is started for it. Then kills each child, and the daemon itself, with SIGKILL under load and times
the return to READY; a killed daemon is started again at once, as systemd does. At the end it opens
the outbox and looks whether any id of a report was given twice.

    .venv/bin/python tools/measure_daemon.py --kills 25
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from rsu.runtime.status import Request, ask_unit

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024.0 * 1024.0


def main() -> None:
    """Run, weigh, kill, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5, help="How often each process is killed.")
    parser.add_argument("--seconds", type=float, default=20.0, help="Under load before weighing.")
    parser.add_argument("--only", nargs="*", help="Kill only these processes (`daemon` is one).")
    parser.add_argument(
        "--modelled", action="store_true", help="Cameras without pictures: no renderer, no model."
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rsu-measure-") as folder, broker() as port:
        site = write_site(Path(folder), port, modelled=arguments.modelled)
        unit = Unit(site, Path(folder) / "run")
        try:
            took = unit.start()
            print(
                f"cold start to READY  {took:6.2f} s, {unit.processor_s():.1f} s of processor time"
            )
            print(f"load average {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
            time.sleep(arguments.seconds)
            weigh(unit)
            names = arguments.only or [*unit.processes(), "daemon"]
            for name in names:
                times = [unit.kill(name) for _ in range(arguments.kills)]
                if times:
                    print(
                        f"kill -9 {name:<18} ×{len(times)}  median {statistics.median(times):5.2f}"
                        f"  longest {max(times):5.2f} s",
                        flush=True,
                    )
            time.sleep(3.0)
            status = unit.ask()
            print("restarts", {n: p["restarts"] for n, p in unit.processes().items()}, flush=True)
            uplink = {
                sample["name"]: sample["value"]
                for sample in status["metrics"].get("uplink", ())
                if sample["name"] in {"uplink_queued", "uplink_delivered_total"}
            }
            print("uplink since its last start", uplink)
        finally:
            unit.stop()
        look_at_outbox(Path(folder) / "outbox.db")


class Unit:
    """One `rsu run` and its status socket."""

    def __init__(self, site: Path, folder: Path) -> None:
        self._site, self._folder = site, folder
        self._log = (site.parent / "log.jsonl").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; seconds until every process runs."""
        command = [sys.executable, "-m", "rsu.cli", "run", str(self._site)]
        # The breaker is for faults, not for this tool: the site file lifts it.
        self._process = subprocess.Popen(command, stderr=self._log)
        return self.wait_until(lambda _status: True)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=30)
        self._log.close()

    def kill(self, name: str) -> float:
        """SIGKILL one process; seconds until the whole unit is READY again."""
        self.wait_until(lambda _status: True)
        time.sleep(0.5)  # at work again
        if name == "daemon":
            assert self._process is not None
            self._process.kill()
            self._process.wait()
            return self.start()
        old = self.processes()[name]["pid"]
        os.kill(old, signal.SIGKILL)
        return self.wait_until(lambda status: processes(status)[name]["pid"] != old)

    def wait_until(self, also: Callable[[dict[str, Any]], bool]) -> float:
        """Wait until all run and `also` holds; seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < 60:
            with contextlib.suppress(ConnectionError):
                status = ask_unit(self._folder, Request("status"), timeout_s=0.2)
                states = {process["state"] for process in processes(status).values()}
                if states == {"running"} and also(status):
                    return time.monotonic() - began
            time.sleep(0.01)
        print(Path(self._site.parent, "log.jsonl").read_text()[-3000:])
        raise SystemExit("the unit did not get READY within 60 s")

    def ask(self) -> dict[str, Any]:
        return ask_unit(self._folder, Request("status"), timeout_s=5)

    def processes(self) -> dict[str, dict[str, Any]]:
        return processes(self.ask())

    def tree(self) -> dict[int, str]:
        """Every process of the unit by id; helpers that the status does not list are `daemon`'s."""
        assert self._process is not None
        known = {process["pid"]: name for name, process in self.processes().items()}
        found, todo = {}, [self._process.pid]
        while todo:
            pid = todo.pop()
            found[pid] = known.get(pid, "daemon" if pid == self._process.pid else "helper")
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    todo += map(int, (task / "children").read_text().split())
        return found

    def processor_s(self) -> float:
        """Processor time that all processes of the unit have used, those that ended included."""
        ticks = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                # utime, stime, and those of children that were waited for: proc(5), fields 14–17
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")


def processes(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (status["unit"] or {}).get("processes", [])}


def weigh(unit: Unit) -> None:
    """Memory per process: RSS counts what is shared in each, PSS shares it out."""
    total_rss = total_pss = 0.0
    print(f"{'process':<20} {'RSS':>8} {'PSS':>8}  MiB")
    for pid, name in sorted(unit.tree().items(), key=lambda item: item[1]):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in text.splitlines()[1:]}
        rss, pss = sizes["Rss:"] / MIB, sizes["Pss:"] / MIB
        total_rss, total_pss = total_rss + rss, total_pss + pss
        print(f"{name:<20} {rss:8.0f} {pss:8.0f}")
    print(f"{'total':<20} {total_rss:8.0f} {total_pss:8.0f}", flush=True)


def look_at_outbox(path: Path) -> None:
    """Whether the file is intact, and whether an id was given twice."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        print("outbox integrity", database.execute("PRAGMA integrity_check").fetchone()[0])
        columns = [row[1] for row in database.execute("PRAGMA table_info(reports)")]
        if "id" in columns:
            total, distinct = database.execute(
                "SELECT COUNT(id), COUNT(DISTINCT id) FROM reports"
            ).fetchone()
            print(f"outbox ids queued {total}, distinct {distinct}")


def write_site(folder: Path, broker_port: int, *, modelled: bool = False) -> Path:
    """The junction with all services, its things below `folder`."""
    site = yaml.safe_load((ROOT / "configs/junction.yaml").read_text(encoding="utf-8"))
    for key in ("lanes", "zones"):
        site["site"][key] = str(ROOT / "configs" / site["site"][key])
    if modelled:
        for camera in site["cameras"]:
            camera["detector"] = {"driver": "modelled"}
    site["recording"] = {"folder": str(folder / "recordings")}
    site["uplink"] = {
        "host": "127.0.0.1", "port": broker_port, "outbox": {"path": str(folder / "outbox.db")},
    }  # fmt: skip
    site["radios"] = [{"id": "frames", "driver": "file", "path": str(folder / "frames.jsonl")}]
    site["runtime"] = {
        "socket_folder": str(folder / "run"),
        "metrics_port": free_port(),
        "restart": {"breaker_count": 100_000, "longest_s": 0.2},
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site), encoding="utf-8")
    return path


@contextlib.contextmanager
def broker() -> Iterator[int]:
    """A mosquitto on a free port."""
    binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    port = free_port()
    with subprocess.Popen([binary, "-p", str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
