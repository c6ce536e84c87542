"""Do two sensors agree on where things are, and on when? Watches pairs; corrects nothing.

In: which track each measurement of a scan was taken for, and how fast that track goes. Out:
`SensorAlarm`s. Where two sensors measured one object shortly after each other (`pairing`), the
difference of their positions, carried to one moment, is d = b + v·τ plus noise: b the shift (m,
site frame) between the two, τ how much earlier (s) the first one stamps. Standing objects tell b,
moving ones b and τ. Recursive least squares with fading memory estimate both (Bar-Shalom, Li and
Kirubarajan 2001, ch. 3).

An estimate is judged by its own covariance, to which the sensors' stated standing errors are
carried through the same sums: that part of a calibration's error is shared by all looks, does not
average out, and is wide along a camera's view and narrow across it. Who of the two is wrong, and
what is then believed of its looks, is decided in `blame`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec
import numpy as np

from rsu.fusion.blame import suspect
from rsu.fusion.measurements import Scan
from rsu.fusion.pairing import Floats, Ids, Looks, Pairing, Pick
from rsu.schema.health import SensorAlarm, SensorAlarmKind
from rsu.schema.units import NS_PER_S, Vec2

TOGETHER_NS = 150_000_000  # ns: a sensor's newest look, at 7 Hz and more
MEMORY_S = 20.0  # s: of all that two sensors see together; a fault shows after about as long
LEAST_SAMPLES = 40.0  # fading count: who share but the edges of their views are not compared
LEAST_SHIFT = 1.0  # m: less does not move an object to the next lane
LEAST_OFFSET = 0.06  # s: a car at 50 km/h moves 0.8 m in that time
# 3 σ of a normal variable, 99.73 %. A shift has two dimensions: √χ² of that probability.
LOUD = {SensorAlarmKind.CALIBRATION: 3.44, SensorAlarmKind.CLOCK: 3.0}
QUIET = 0.7  # of what begins an alarm ends it; stated standing errors alone exceed it at 6 %
CORRELATED = 3.0  # looks 0.5 s apart share a third of their error and tracks their velocity
SHIFT_PRIOR, OFFSET_PRIOR = 5.0, 1.0  # 1 σ, m and s: next to no information
LOOK_NS = 100_000_000  # ns: a pair is looked at ten times a second; a track tells less often
SPEED_STD = 0.5  # m/s: of a track's own velocity, which carries one look to the other
RETELL_NS = 10 * NS_PER_S  # ns: an alarm that stands is told again, with its newest numbers

SensorPair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one kind of disagreement amounts to: its size (m or s), its deviation in that
    direction, and how many deviations it is."""

    size: float
    std: float
    score: float

    def loud(self, kind: SensorAlarmKind) -> bool:
        return self.score > LOUD[kind] and self.size > _LEAST[kind]

    def quiet(self, kind: SensorAlarmKind) -> bool:
        return self.score < QUIET * LOUD[kind] or self.size < QUIET * _LEAST[kind]


_LEAST = {SensorAlarmKind.CALIBRATION: LEAST_SHIFT, SensorAlarmKind.CLOCK: LEAST_OFFSET}


@dataclass(slots=True)
class _Pair:
    """Sums over the samples of one pair, and what was found: `lasting` are the sums by which the
    standing error of either sensor enters."""

    time_ns: int
    looked_ns: int = -LOOK_NS
    pairing: Pairing = field(default_factory=Pairing)
    information: Floats = field(default_factory=lambda: np.zeros((3, 3)))
    vector: Floats = field(default_factory=lambda: np.zeros(3))
    lasting: Floats = field(default_factory=lambda: np.zeros((2, 3, 2)))
    count: float = 0.0
    mean: Floats = field(default_factory=lambda: np.zeros(3))
    findings: dict[SensorAlarmKind, _Finding] = field(default_factory=dict)
    alarms: dict[SensorAlarmKind, SensorAlarm] = field(default_factory=dict)
    told_ns: dict[SensorAlarmKind, int] = field(default_factory=dict)


class Consistency:
    """Watches every pair of sensors. Deterministic; knows no clock but capture times."""

    def __init__(self) -> None:
        self._newest: dict[str, Looks] = {}
        self._pairs: dict[SensorPair, _Pair] = {}

    def take(self, scan: Scan, ids: Ids, which: Pick, velocity: Floats) -> list[SensorAlarm]:
        """Measurements `which` of the scan were taken for tracks `ids`, of `velocity` N×2.

        Returns the alarms that begin, end, have another suspect, or were not told for a while. The
        scan's covariances must be its sensor's own: with doubts on top an alarm would end itself.
        """
        looks = Looks(
            scan.capture_ns, ids, scan.position.take(which, 0), scan.position_cov.take(which, 0),
            scan.constant_cov.take(which, 0), velocity,
        )  # fmt: skip
        touched = []
        for name, other in sorted(self._newest.items()):
            if name == scan.sensor or abs(scan.capture_ns - other.time_ns) > TOGETHER_NS:
                continue
            first = scan.sensor < name
            key = (scan.sensor, name) if first else (name, scan.sensor)
            pair = self._pairs.setdefault(key, _Pair(looks.time_ns))
            if 0 <= looks.time_ns - pair.looked_ns < LOOK_NS:
                continue
            pair.looked_ns = looks.time_ns
            if _sample(pair, *((looks, other) if first else (other, looks))):
                touched.append(key)
        self._newest[scan.sensor] = looks
        return self._judged(touched)

    def standing(self) -> list[SensorAlarm]:
        """The alarms that stand, with their newest numbers."""
        return [alarm for _, pair in sorted(self._pairs.items()) for alarm in pair.alarms.values()]

    def estimate(self, one: str, other: str) -> tuple[float, float, float, float] | None:
        """(shift x, shift y in m, offset in s, its σ) of the first against the second sensor, which
        come in order of name; None while too little is known."""
        pair = self._pairs.get((one, other))
        if pair is None or not pair.findings:
            return None
        x, y, offset = pair.mean.tolist()
        return x, y, offset, pair.findings[SensorAlarmKind.CLOCK].std

    def _judged(self, touched: list[SensorPair]) -> list[SensorAlarm]:
        told = []
        for key in touched:
            if self._pairs[key].count >= LEAST_SAMPLES:
                told += _verdicts(key, self._pairs[key])
        if touched:
            for kind in SensorAlarmKind:
                told += self._standing_of(kind)
        return told

    def _standing_of(self, kind: SensorAlarmKind) -> list[SensorAlarm]:
        """Alarms of a kind that must be told (again)."""
        contradicting = [key for key, pair in self._pairs.items() if kind in pair.alarms]
        blamed = suspect(contradicting)
        told = []
        for key in sorted(contradicting):
            pair = self._pairs[key]
            known = kind in pair.told_ns and pair.alarms[kind].suspect == blamed
            pair.alarms[kind] = msgspec.structs.replace(pair.alarms[kind], suspect=blamed)
            if not known or abs(pair.time_ns - pair.told_ns[kind]) >= RETELL_NS:
                pair.told_ns[kind] = pair.time_ns
                told.append(pair.alarms[kind])
        return told


def _sample(pair: _Pair, one: Looks, two: Looks) -> bool:
    """Add what both see; whether there was anything."""
    first, second, extra = pair.pairing.same(one, two)
    if not len(first):
        return False
    now_ns = max(one.time_ns, two.time_ns)
    kept = math.exp(-max(now_ns - pair.time_ns, 0) / NS_PER_S / MEMORY_S)
    pair.time_ns = max(pair.time_ns, now_ns)
    dt = (one.time_ns - two.time_ns) / NS_PER_S
    velocity = 0.5 * (one.velocity[first] + two.velocity[second])
    difference = one.position[first] - two.position[second] - velocity * dt
    more = (extra + (SPEED_STD * dt) ** 2)[:, None, None] * np.eye(2)
    weight = np.linalg.inv(CORRELATED * (one.cov[first] + two.cov[second] + more))
    slope = np.zeros((len(first), 2, 3))
    slope[:, 0, 0] = slope[:, 1, 1] = 1.0
    slope[:, :, 2] = velocity
    gain = slope.swapaxes(1, 2) @ weight
    lasting = np.stack((_root(one.constant[first]), _root(two.constant[second])))
    pair.information = kept * pair.information + (gain @ slope).sum(axis=0)
    pair.vector = kept * pair.vector + (gain @ difference[:, :, None]).sum(axis=0)[:, 0]
    pair.lasting = kept * pair.lasting + (gain @ lasting).sum(axis=1)
    pair.count = kept * pair.count + len(first)
    return True


def _verdicts(key: SensorPair, pair: _Pair) -> list[SensorAlarm]:
    """Estimate anew; begin and refresh alarms, and return those that end."""
    cov = _estimate(pair)
    pair.findings = {
        SensorAlarmKind.CALIBRATION: _shift(pair.mean[:2], cov[:2, :2]),
        SensorAlarmKind.CLOCK: _offset(float(pair.mean[2]), math.sqrt(float(cov[2, 2]))),
    }
    ended = []
    for kind, found in pair.findings.items():
        standing = pair.alarms.get(kind)
        # One alarm a pair: a camera that was turned puts things off by more the farther they are,
        # which moving traffic makes look like an offset, and the other way round.
        if standing is None and (pair.alarms or not found.loud(kind)):
            continue
        alarm = SensorAlarm(
            kind=kind, sensor=key[0], against=key[1], active=True,
            since_ns=standing.since_ns if standing else pair.time_ns, time_ns=pair.time_ns,
            shift=Vec2(*pair.mean[:2].tolist()),
            shift_std=pair.findings[SensorAlarmKind.CALIBRATION].std,
            offset=float(pair.mean[2]), offset_std=pair.findings[SensorAlarmKind.CLOCK].std,
            suspect=standing.suspect if standing else None,
        )  # fmt: skip
        if found.quiet(kind):
            ended.append(msgspec.structs.replace(alarm, active=False))
            del pair.alarms[kind]
            pair.told_ns.pop(kind, None)
        else:
            pair.alarms[kind] = alarm
    return ended


def _estimate(pair: _Pair) -> Floats:
    """Set the mean of (shift x, y, offset); return its covariance 3×3, standing errors included."""
    prior = np.diag((SHIFT_PRIOR**-2, SHIFT_PRIOR**-2, OFFSET_PRIOR**-2))
    noise = np.linalg.inv(pair.information + prior)
    pair.mean = noise @ pair.vector
    lasting = noise @ pair.lasting  # what both state as their standing errors is no news
    return np.asarray(noise + (lasting @ lasting.swapaxes(1, 2)).sum(axis=0))


def _shift(mean: Floats, cov: Floats) -> _Finding:
    size = math.hypot(*mean.tolist())
    direction = mean / size if size > 0.0 else np.array((1.0, 0.0))
    return _Finding(
        size=size,
        std=math.sqrt(float(direction @ cov @ direction)),
        score=math.sqrt(float(mean @ np.linalg.solve(cov, mean))),
    )


def _offset(mean: float, std: float) -> _Finding:
    return _Finding(abs(mean), std, abs(mean) / std)


def _root(cov: Floats) -> Floats:
    """Symmetric square roots of covariances N×2×2, singular ones too (Cayley and Hamilton)."""
    determinant = cov[:, 0, 0] * cov[:, 1, 1] - cov[:, 0, 1] ** 2
    root = np.sqrt(np.maximum(determinant, 0.0))
    trace = np.sqrt(np.maximum(cov[:, 0, 0] + cov[:, 1, 1] + 2.0 * root, 1e-12))
    return np.asarray((cov + root[:, None, None] * np.eye(2)) / trace[:, None, None])
