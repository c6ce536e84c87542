"""What every process tells of itself, and the supervisor of the unit, as metrics."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from rsu.runtime.log import suppressed_lines
from rsu.runtime.metrics import Meter
from rsu.schema.health import Capability, ClockQuality, UnitHealth


def tell_process(meter: Meter) -> None:
    """Memory, descriptors, threads, processor time and suppressed log lines of this process."""
    meter.gauge("resident_bytes", _resident_bytes())
    meter.gauge("open_descriptors", _entries("/proc/self/fd"))
    meter.gauge("threads", _entries("/proc/self/task") or threading.active_count())
    meter.total("cpu_seconds_total", time.process_time())
    meter.total("log_suppressed_total", suppressed_lines())


def tell_unit(meter: Meter, health: UnitHealth, numbers: Mapping[str, float]) -> None:
    """The unit's own state: one gauge per possible value, 1 for the one that holds."""
    for quality in ClockQuality:
        meter.gauge("clock_state", float(quality is health.clock), state=quality)
    for capability in Capability:
        holds = float(capability is health.capability)
        meter.gauge("capability_state", holds, state=capability)
    if health.clock_source is not None:
        meter.gauge("clock_offset_seconds", health.clock_source.offset)
        meter.gauge("clock_uncertainty_seconds", health.clock_source.uncertainty)
    meter.gauge("alarms", len(health.alarms))
    for process in health.processes:
        meter.total("process_restarts_total", process.restarts, child=process.name)
        meter.gauge("process_running", float(process.state == "running"), child=process.name)
    for name, value in numbers.items():
        (meter.total if name.endswith("_total") else meter.gauge)(name, value)


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0  # hardened units may hide /proc
    return pages * os.sysconf("SC_PAGE_SIZE")


def _entries(folder: str) -> int:
    try:
        return len(os.listdir(folder))  # noqa: PTH208 - counted, not read
    except OSError:
        return 0
