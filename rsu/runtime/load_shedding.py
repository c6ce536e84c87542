"""Load shedding: what the unit leaves out, in which order, so that what it says stays fresh.

In: once a second the age of what was said, the machine's load and temperature. Out: a level 0 to
`MOST`, told to every process in `UnitHealth`. Each level keeps what the ones before shed:

1. cameras look at every second frame,
2. at every fourth,
3. at two a second (they do so at least at every level),
4. no previews,
5. the recording leaves out what only debugging needs.

Cameras come first, since their detectors are most of the load and fusion bridges a few frames;
safety messages, events, radar, signals and the uplink are never shed.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsu.config.running import ShedOptions
from rsu.schema.units import NS_PER_S, Instant

MOST = 5
LOOKS_AT_LEAST_HZ = 2.0
"""Road users at 50 km/h move 7 m between two looks: the association gate still holds them."""
NO_PREVIEWS = 4
NO_DEBUG_TOPICS = 5
DEBUG_TOPICS = frozenset({"metrics", "sim/truth", "health/unit", "v2x/report"})
"""Not needed to replay a recording, nor to say why something was (not) said."""
HYSTERESIS = 0.8
"""A step comes back when everything is below this share of its limit."""
EVERY = (1, 2, 4, 0)
"""By level, capped: every n-th frame is looked at; 0: only as many as `LOOKS_AT_LEAST_HZ`."""


class LoadShedder:
    """Decides the level. Pure: time and numbers come in."""

    def __init__(self, options: ShedOptions) -> None:
        self.options = options
        self.level = 0
        self.reason = ""
        self.steps = 0  # taken since the start, in either direction
        self._bad_since_ns: int | None = None
        self._good_since_ns: int | None = None

    def update(
        self, now: Instant, *, age_ms: float, load: float | None, temperature: float | None
    ) -> bool:
        """Take this second's numbers; whether the level changed."""
        if not self.options.enabled:
            return self.level > 0 and self._step(-self.level, "")
        worst, share = self._worst(age_ms, load, temperature)
        if share > 1.0:
            self._good_since_ns = None
            if self._bad_since_ns is None:
                self._bad_since_ns = now.mono_ns
            lasted = now.mono_ns - self._bad_since_ns >= self.options.worse_s * NS_PER_S
            if lasted and self.level < MOST:
                self._bad_since_ns = now.mono_ns
                return self._step(1, worst)
            return False
        self._bad_since_ns = None
        if share >= HYSTERESIS or self.level == 0:
            self._good_since_ns = None
            return False
        if self._good_since_ns is None:
            self._good_since_ns = now.mono_ns
        if now.mono_ns - self._good_since_ns >= self.options.better_s * NS_PER_S:
            self._good_since_ns = now.mono_ns
            return self._step(-1, self.reason if self.level > 1 else "")
        return False

    def _step(self, by: int, reason: str) -> bool:
        self.level += by
        self.steps += 1
        self.reason = reason
        return True

    def _worst(
        self, age_ms: float, load: float | None, temperature: float | None
    ) -> tuple[str, float]:
        """What exceeds its limit most, and by which factor."""
        options = self.options
        shares = {f"age {age_ms:.0f} ms": age_ms / options.age_ms}
        if options.load is not None and load is not None:
            shares[f"load {load:.1f} per core"] = load / options.load
        if options.temperature is not None and temperature is not None:
            # A limit in °C is a limit above what electronics have when idle, not above 0 °C.
            idle = 25.0
            above = (temperature - idle) / max(1.0, options.temperature - idle)
            shares[f"temperature {temperature:.0f} °C"] = above
        return max(shares.items(), key=lambda item: item[1])


class FrameRation:
    """Which frames of one camera are looked at."""

    def __init__(self) -> None:
        self.level = 0
        self._count = 0
        self._looked_ns: int | None = None

    def grants(self, now: Instant) -> bool:
        """Whether to look at the frame that has come at `now`."""
        every = EVERY[min(self.level, len(EVERY) - 1)]
        self._count += 1
        waited_ns = None if self._looked_ns is None else now.mono_ns - self._looked_ns
        # 2 % early rather than a whole frame late, as frames do not come to the millisecond.
        overdue = waited_ns is None or waited_ns >= 0.98 * NS_PER_S / LOOKS_AT_LEAST_HZ
        if not overdue and (every == 0 or self._count % every):
            return False
        self._looked_ns = now.mono_ns
        return True


def load_per_core() -> float | None:
    """Load average of the last minute over the cores that we may use."""
    try:
        return os.getloadavg()[0] / max(1, len(os.sched_getaffinity(0)))
    except OSError:
        return None


def hottest(zones: Path = Path("/sys/class/thermal")) -> float | None:
    """°C of the hottest thermal zone; None where there is none."""
    found: list[float] = []
    for zone in zones.glob("thermal_zone*/temp"):
        try:
            found.append(int(zone.read_text(encoding="ascii")) / 1000.0)
        except (OSError, ValueError):
            continue
    return max(found, default=None)
