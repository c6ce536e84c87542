"""Do two sensors agree on where things are, and on when? Watches pairs; corrects nothing.

In: which track each measurement of a scan was taken for, and how fast that track goes. Out:
`SensorAlarm`s. Where two sensors measured one track shortly after each other, the difference of
their positions, carried to one moment, is d = b + v·τ plus noise: b the shift (m, site frame)
between the two, τ how much earlier (s) the first one stamps. Standing objects
tell b, moving ones b and τ. Recursive least squares with fading memory estimate both (Bar-Shalom,
Li and Kirubarajan 2001, ch. 3). Which of the two is wrong is for a person to find out: nothing here
reaches back into the filter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rsu.fusion.measurements import Scan
from rsu.schema.health import SensorAlarm, SensorAlarmKind
from rsu.schema.units import NS_PER_S, Vec2

Floats = npt.NDArray[np.float64]

TOGETHER_NS = 150_000_000  # ns: a sensor's newest look, at 7 Hz and more
APART_NS = NS_PER_S // 2  # ns between samples of one track and pair: errors last for some looks
MEMORY_S = 60.0  # s: one signal cycle brings traffic of every approach
LEAST_SAMPLES = 40.0  # fading count: below it nothing is said
LEAST_SHIFT = 1.0  # m: less does not move an object to the next lane
LEAST_OFFSET = 0.06  # s: a car at 50 km/h moves 0.8 m in that time
LOUD, QUIET = 2.5, 1.25  # σ from which an alarm begins, and below which it ends: no flicker
CORRELATED = 3.0  # looks 0.5 s apart share a third of their error and tracks their velocity
SHIFT_PRIOR, OFFSET_PRIOR = 5.0, 1.0  # 1 σ, m and s: next to no information
FORGET_NS = 2 * NS_PER_S
MOST_TRACKS = 2048
SPEED_STD = 0.5  # m/s: of a track's own velocity, which carries one look to the other


@dataclass(slots=True)
class _Look:
    time_ns: int
    position: tuple[float, float]
    variance: float
    constant: float


@dataclass(slots=True)
class _Pair:
    """Sums over the samples of one pair; `told` are the alarms that stand."""

    information: Floats = field(default_factory=lambda: np.zeros((3, 3)))
    vector: Floats = field(default_factory=lambda: np.zeros(3))
    count: float = 0.0
    constant: float = 0.0
    time_ns: int = 0
    told: dict[SensorAlarmKind, int] = field(default_factory=dict)


class Consistency:
    """Watches every pair of sensors. Deterministic; knows no clock but capture times."""

    def __init__(self) -> None:
        self._looks: dict[int, dict[str, _Look]] = {}
        self._sampled: dict[tuple[int, str, str], int] = {}
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._swept_ns = 0

    def take(
        self, scan: Scan, ids: npt.NDArray[np.int64], which: npt.NDArray[np.intp], velocity: Floats
    ) -> list[SensorAlarm]:
        """Measurements `which` of the scan were taken for tracks `ids`, of `velocity` N×2."""
        touched: set[tuple[str, str]] = set()
        cov, constant = scan.position_cov[which], scan.constant_cov[which]
        rows = zip(
            ids.tolist(), scan.position[which].tolist(), velocity.tolist(),
            (0.5 * (cov[:, 0, 0] + cov[:, 1, 1])).tolist(),
            (0.5 * (constant[:, 0, 0] + constant[:, 1, 1])).tolist(), strict=True,
        )  # fmt: skip
        for number, (x, y), (vx, vy), variance, lasting in rows:
            look = _Look(scan.capture_ns, (x, y), variance, lasting)
            others = self._looks.setdefault(number, {})
            for name, other in others.items():
                if name != scan.sensor and abs(scan.capture_ns - other.time_ns) <= TOGETHER_NS:
                    key = (scan.sensor, name) if scan.sensor < name else (name, scan.sensor)
                    if self._sample(key, number, scan.sensor, look, other, (vx, vy)):
                        touched.add(key)
            others[scan.sensor] = look
        self._sweep(scan.capture_ns)
        return [alarm for key in sorted(touched) for alarm in self._judge(key)]

    def estimate(self, one: str, other: str) -> tuple[float, float, float, float] | None:
        """(shift x, shift y in m, offset in s, its σ) of the first against the second sensor, which
        come in order of name; None while too little is known."""
        pair = self._pairs.get((one, other))
        if pair is None or pair.count < LEAST_SAMPLES:
            return None
        mean, cov = _solve(pair)
        return float(mean[0]), float(mean[1]), float(mean[2]), math.sqrt(float(cov[2, 2]))

    def _sample(
        self, key: tuple[str, str], number: int, sensor: str, new: _Look, old: _Look,
        velocity: tuple[float, float],
    ) -> bool:  # fmt: skip
        if abs(new.time_ns - self._sampled.get((number, *key), -APART_NS)) < APART_NS:
            return False
        self._sampled[(number, *key)] = new.time_ns
        dt = (new.time_ns - old.time_ns) / NS_PER_S
        vx, vy = velocity
        sign = 1.0 if sensor == key[0] else -1.0
        dx = sign * (new.position[0] - old.position[0] - vx * dt)
        dy = sign * (new.position[1] - old.position[1] - vy * dt)
        variance = CORRELATED * (new.variance + old.variance + (SPEED_STD * dt) ** 2)
        pair = self._pairs.setdefault(key, _Pair(time_ns=new.time_ns))
        kept = math.exp(-max(new.time_ns - pair.time_ns, 0) / NS_PER_S / MEMORY_S)
        pair.time_ns = max(pair.time_ns, new.time_ns)
        slope = np.array(((1.0, 0.0, vx), (0.0, 1.0, vy)))
        pair.information = kept * pair.information + slope.T @ slope / variance
        pair.vector = kept * pair.vector + np.array((dx, dy)) @ slope / variance
        pair.count = kept * pair.count + 1.0
        pair.constant += (new.constant + old.constant - pair.constant) / max(pair.count, 1.0)
        return True

    def _judge(self, key: tuple[str, str]) -> list[SensorAlarm]:
        pair = self._pairs[key]
        if pair.count < LEAST_SAMPLES:
            return []
        mean, cov = _solve(pair)
        shift = math.hypot(mean[0], mean[1])
        # What both state as their standing errors is no news.
        shift_std = math.sqrt(0.5 * (cov[0, 0] + cov[1, 1]) + pair.constant)
        offset, offset_std = abs(float(mean[2])), math.sqrt(float(cov[2, 2]))
        found = (
            (SensorAlarmKind.CALIBRATION, shift, shift_std, LEAST_SHIFT),
            (SensorAlarmKind.CLOCK, offset, offset_std, LEAST_OFFSET),
        )
        out = []
        for kind, size, std, least in found:
            stands = kind in pair.told
            loud = size > LOUD * std and size > least
            quiet = size < QUIET * std or size < 0.5 * least
            if not stands and loud:
                pair.told[kind] = pair.time_ns
            elif not (stands and quiet):
                continue
            out.append(
                SensorAlarm(
                    kind=kind, sensor=key[0], against=key[1], active=not stands,
                    since_ns=pair.told[kind], time_ns=pair.time_ns,
                    shift=Vec2(float(mean[0]), float(mean[1])), shift_std=shift_std,
                    offset=float(mean[2]), offset_std=offset_std,
                )
            )  # fmt: skip
            if stands:
                del pair.told[kind]
        return out

    def _sweep(self, time_ns: int) -> None:
        if 0 <= time_ns - self._swept_ns < FORGET_NS and len(self._looks) < MOST_TRACKS:
            return
        self._swept_ns = time_ns
        self._looks = {
            number: looks
            for number, looks in self._looks.items()
            if any(abs(time_ns - look.time_ns) < FORGET_NS for look in looks.values())
        }
        self._sampled = {
            key: sampled for key, sampled in self._sampled.items() if key[0] in self._looks
        }


def _solve(pair: _Pair) -> tuple[Floats, Floats]:
    """Estimate (shift x, y, offset) and its covariance 3×3."""
    prior = np.diag((SHIFT_PRIOR**-2, SHIFT_PRIOR**-2, OFFSET_PRIOR**-2))
    cov = np.asarray(np.linalg.inv(pair.information + prior), dtype=np.float64)
    return cov @ pair.vector, cov
