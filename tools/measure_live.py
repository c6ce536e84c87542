"""Measure a live unit: age from capture to wire, drops, CPU, and how fast killed children return.

Runs `rsu run SITE` for a while, asks its status socket, kills each child once with SIGKILL and
times how long it is until the supervisor says "running" again. Prints one table. The site's clips
should be longer than the measurement, or loop.

    .venv/bin/python tools/measure_live.py configs/lab-two-cameras.yaml --seconds 25 --kill
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rsu.config.load import load_site
from rsu.runtime.status import Request, ask_unit
from rsu.runtime.supervisor import run_folder_for


def main() -> None:
    """Run, watch, optionally kill, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--seconds", type=float, default=25.0, help="How long to watch.")
    parser.add_argument("--kill", action="store_true", help="Then kill every child once.")
    arguments = parser.parse_args()
    config = load_site(arguments.site)
    folder = run_folder_for(config.runtime, config.site.id)
    command = [sys.executable, "-m", "rsu.cli", "run", str(arguments.site)]
    started = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as unit:
        try:
            wait_until(folder, all_running)
            print(f"ready                      {time.monotonic() - started:6.2f} s")
            time.sleep(arguments.seconds)
            report(ask(folder))
            if arguments.kill:
                for name in processes(ask(folder)):
                    print(f"kill -9 {name:<18} {recovery_s(folder, name):6.2f} s until running")
        finally:
            stopping = time.monotonic()
            unit.send_signal(signal.SIGTERM)
            unit.wait(timeout=30)
            print(f"SIGTERM to end             {time.monotonic() - stopping:6.2f} s")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = usage.ru_utime + usage.ru_stime
    wall = time.monotonic() - started
    print(f"CPU                        {spent / wall:6.2f} cores over {wall:.0f} s")


def ask(folder: Path) -> dict[str, Any]:
    return ask_unit(folder, Request("status"), timeout_s=5)


def processes(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {process["name"]: process for process in (status["unit"] or {}).get("processes", [])}


def all_running(status: dict[str, Any]) -> bool:
    states = {process["state"] for process in processes(status).values()}
    return states == {"running"}


def wait_until(folder: Path, condition: Any, timeout_s: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            status = ask(folder)
        except ConnectionError:
            continue
        if condition(status):
            return status
        time.sleep(0.02)
    raise SystemExit("the unit did not get there in time")


def recovery_s(folder: Path, name: str) -> float:
    old = processes(wait_until(folder, all_running))[name]["pid"]
    killed = time.monotonic()
    os.kill(old, signal.SIGKILL)
    wait_until(folder, lambda status: all_running(status) and processes(status)[name]["pid"] != old)
    return time.monotonic() - killed


def report(status: dict[str, Any]) -> None:
    samples = [sample for group in status["metrics"].values() for sample in group]
    for sample in sorted(samples, key=lambda s: (s["name"], str(s.get("labels")))):
        labels = " ".join(f"{key}={value}" for key, value in sample.get("labels", {}).items())
        if sample["name"] in {
            "age_seconds",
            "evidence_age_seconds",
            "detect_seconds",
            "stage_seconds",
        }:
            print(f"{sample['name']:<18} {labels:<34} {sample['value'] * 1000:8.1f} ms")
        elif sample["name"].endswith("_total") and sample["value"]:
            print(f"{sample['name']:<18} {labels:<34} {sample['value']:8.0f}")
    for name, sensor in status["sensors"].items():
        received, dropped = sensor.get("received"), sensor.get("dropped", {})
        print(f"sensor {name:<11} {sensor['state']:<10} received {received}, dropped {dropped}")


if __name__ == "__main__":
    main()
