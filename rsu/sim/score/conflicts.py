"""Conflicts: who was about to collide in the truth, against what was warned of.

Truth and road events go in as they come; recall, lead and false alarms come out. The measure looks
at what really happened afterwards, which the unit could not, and shares nothing with it. A pair is
in conflict where, at some moment, a vehicle that had kept its speed on the way that it really took
would have met the other on the way that the other really took, and braking at `COMFORTABLE` from
that moment on would not have prevented it. Whoever is run into from behind has done nothing: only
hits with the front half count. Arriving less than `PET_S` after a person has left counts as meeting
them. So whoever gives way as drivers do is in no conflict, and neither is
a driver for whom a walker really waited. What a script stages as `conflict`, and who runs a red
light, count as well.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.reports import Truth, TruthEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S
from rsu.sim.score.distribution import Distribution
from rsu.sim.score.tracking import Numbers, share

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

COMFORTABLE = 3.4
"""m/s²: what nine of ten drivers exceed only in an emergency (AASHTO Green Book, 3.2.2)."""
IN_TIME_S = 1.5
"""What a driver needs to perceive and react (AASHTO 2.5 s for everyone, 1.5 s when warned)."""
STEP_S, HORIZON_S = 0.2, 5.0
PET_S = 1.0
"""s: who arrives this shortly after a person has left the place has nearly hit them
(post-encroachment time below 1 s: a serious conflict, Allen, Shin, Cooper 1978)."""
MOVES = 1.0  # m/s: slower than this nobody is about to hit anybody
NEAR_M = 20.0
"""m between what was said and what happened; as far as a car drives in the 1.5 s."""
EARLIEST_S, LATEST_S = 6.0, 1.0
"""A warning so long before a conflict, or after its last moment, is of something else."""
PAUSE_S = 3.0  # the same two in conflict again after this: another conflict
SUFFIX = "-warning"
RED_LIGHT = "red-light"
EGOS = frozenset(
    {ObjectClass.CAR, ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.MOTORCYCLE}
)


@dataclass
class Encounter:
    """Two in conflict: when they would have met (`meets_ns`), where, and when it was last so."""

    kind: str
    objects: frozenset[int]
    meets_ns: int
    last_ns: int
    place: tuple[float, float]
    lanes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Snapshot:
    time_ns: int
    index: dict[int, int]
    classes: tuple[ObjectClass, ...]
    rows: Floats  # x, y, heading, speed, length, width


@dataclass(eq=False)
class Conflicts:
    """Takes truth and warnings, gives numbers."""

    _window: deque[_Snapshot] = field(default_factory=deque)
    _open: dict[frozenset[int], Encounter] = field(default_factory=dict)
    _found: list[Encounter] = field(default_factory=list)
    _meetings: dict[frozenset[int], tuple[int, tuple[float, float]]] = field(default_factory=dict)
    _staged: dict[int, tuple[TruthEvent, int]] = field(default_factory=dict)
    _told: dict[int, tuple[int, RoadEvent]] = field(default_factory=dict)
    _first_ns: int | None = None
    _last_ns: int = 0

    def truth(self, truth: Truth) -> None:
        """The world at one moment; judged once its future is known."""
        for event in truth.events:
            if event.kind in ("conflict", "red-light-running"):
                first, _ = self._staged.get(event.id, (event, 0))
                self._staged[event.id] = first, truth.time_ns
        if self._first_ns is None:
            self._first_ns = truth.time_ns
        self._last_ns = truth.time_ns
        if self._window and truth.time_ns - self._window[-1].time_ns < STEP_S * NS_PER_S * 0.9:
            return
        self._window.append(_snapshot(truth))
        if truth.time_ns - self._window[0].time_ns >= HORIZON_S * NS_PER_S:
            self._judge()
            self._window.popleft()

    def report(self, event: RoadEvent, publish_ns: int) -> None:
        """A warning; the first word of each counts."""
        if event.kind.endswith(SUFFIX) and event.phase is not EventPhase.END:
            self._told.setdefault(event.id, (publish_ns, event))

    def encounters(self) -> list[Encounter]:
        """All conflicts in order of time: measured ones, staged ones, red lights run."""
        found = [*self._found, *self._open.values()]
        for event, last_ns in self._staged.values():
            place = (event.position.x, event.position.y)
            if event.kind == "red-light-running":
                found.append(
                    Encounter(RED_LIGHT, frozenset(event.objects), event.start_ns, last_ns, place,
                              event.lanes)
                )  # fmt: skip
                continue
            pair = frozenset(event.objects)
            meeting = self._meetings.get(pair)
            known = any(one.objects == pair for one in found)
            if meeting is not None and not known:
                found.append(Encounter("staged", pair, meeting[0], last_ns, meeting[1]))
        return sorted(found, key=lambda one: one.meets_ns)

    def outcomes(self) -> tuple[list[tuple[Encounter, float | None]], list[RoadEvent]]:
        """Every conflict with its lead (s from the first warning of it to the meeting; None: no
        warning), and the warnings that meant none."""
        meant: set[int] = set()
        found: list[tuple[Encounter, float | None]] = []
        for one in self.encounters():
            fits = [(when, id_) for id_, (when, event) in self._told.items()
                    if _means(one, when, event)]  # fmt: skip
            meant |= {id_ for _, id_ in fits}
            lead = (one.meets_ns - min(fits)[0]) / NS_PER_S if fits else None
            found.append((one, lead))
        return found, [event for id_, (_, event) in self._told.items() if id_ not in meant]

    def numbers(self) -> Numbers:
        """`conflicts.count`, `.recall`, `.in_time`, `.lead_s`, `.warnings`, `.false`,
        `.false_per_hour`."""
        outcomes, false = self.outcomes()
        leads = [lead for _, lead in outcomes if lead is not None]
        hours = max((self._last_ns - (self._first_ns or 0)) / NS_PER_S / 3600.0, 1e-9)
        return {
            "conflicts.count": len(outcomes),
            "conflicts.recall": share(len(leads), len(outcomes)),
            "conflicts.in_time": share(sum(lead >= IN_TIME_S for lead in leads), len(outcomes)),
            "conflicts.lead_s": Distribution(leads).mean,
            "conflicts.warnings": len(self._told),
            "conflicts.false": len(false),
            "conflicts.false_per_hour": len(false) / hours,
        }

    def _judge(self) -> None:
        """The oldest moment of the window, against what followed it."""
        now, *_ = self._window
        egos = [
            row for row, one in enumerate(now.classes) if one in EGOS and now.rows[row, 3] > MOVES
        ]
        if not egos:
            return
        future, taus = self._future(now)
        ids = list(now.index)
        kept = _courses(now.rows[egos], future[:, egos], taus, 0.0)
        persons = np.array([one.is_vru and one not in EGOS for one in now.classes])
        meet = _first_meeting(kept, egos, future, now.rows, persons)
        rows, columns = np.nonzero(meet >= 0)
        if not len(rows):
            return
        braked = _courses(now.rows[egos], future[:, egos], taus, COMFORTABLE)
        still = _first_meeting(braked, egos, future, now.rows, persons)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            step = int(meet[row, column])
            if step == 0:  # they touch already: nothing is ahead of them
                continue
            pair = frozenset((ids[egos[row]], ids[column]))
            meets_ns = now.time_ns + round(float(taus[step]) * NS_PER_S)
            place = (float(kept[row, step, 0]), float(kept[row, step, 1]))
            earlier = self._meetings.get(pair)
            if earlier is None or meets_ns < earlier[0] or now.time_ns > earlier[0]:
                self._meetings[pair] = (meets_ns, place)
            if still[row, column] > 0:
                self._note(pair, meets_ns, now.time_ns, place)

    def _note(
        self, pair: frozenset[int], meets_ns: int, time_ns: int, place: tuple[float, float]
    ) -> None:
        one = self._open.get(pair)
        if one is not None and time_ns - one.last_ns > PAUSE_S * NS_PER_S:
            self._found.append(self._open.pop(pair))
            one = None
        if one is None:
            self._open[pair] = Encounter("measured", pair, meets_ns, time_ns, place)
        else:
            one.meets_ns, one.last_ns = min(one.meets_ns, meets_ns), time_ns

    def _future(self, now: _Snapshot) -> tuple[Floats, Floats]:
        """Where everybody of now really was at each moment of the window (T×N×3: x, y, heading),
        NaN once they were gone; and the moments, s."""
        future = np.full((len(self._window), len(now.index), 3), np.nan)
        for step, later in enumerate(self._window):
            pairs = [
                (row, later.index[id_]) for id_, row in now.index.items() if id_ in later.index
            ]
            if pairs:
                mine, theirs = np.array(pairs).T
                future[step, mine] = later.rows[theirs, :3]
        taus = np.array([(later.time_ns - now.time_ns) / NS_PER_S for later in self._window])
        return future, taus


def _snapshot(truth: Truth) -> _Snapshot:
    rows = np.array(
        [(o.position.x, o.position.y, o.heading, o.speed, o.size.length, o.size.width)
         for o in truth.objects], dtype=np.float64,
    ).reshape(-1, 6)  # fmt: skip
    index = {one.id: row for row, one in enumerate(truth.objects)}
    return _Snapshot(truth.time_ns, index, tuple(o.object_class for o in truth.objects), rows)


def _courses(rows: Floats, future: Floats, taus: Floats, braking: float) -> Floats:
    """M egos on their real ways, M×T×3, at their speed of now or braking from now on."""
    speed = rows[:, 3]
    if braking > 0.0:
        held = np.minimum(taus[None], speed[:, None] / braking)
        arcs = speed[:, None] * held - 0.5 * braking * held**2
    else:
        arcs = speed[:, None] * taus[None]
    out = np.empty((len(rows), len(taus), 3))
    for row in range(len(rows)):
        way = future[:, row]
        way = way[np.isfinite(way[:, 0])]
        along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(way[:, :2], axis=0).T))))
        heading = np.unwrap(way[:, 2])
        arc = arcs[row]
        # Beyond where it really got to: straight on.
        over = np.maximum(arc - along[-1], 0.0)
        out[row, :, 0] = np.interp(arc, along, way[:, 0]) + over * math.cos(heading[-1])
        out[row, :, 1] = np.interp(arc, along, way[:, 1]) + over * math.sin(heading[-1])
        out[row, :, 2] = np.interp(arc, along, heading)
    return out


def _first_meeting(
    course: Floats, egos: list[int], future: Floats, rows: Floats, persons: Bools
) -> npt.NDArray[np.intp]:
    """Step at which each ego first meets each other one with its front half, M×N; -1: never.
    It meets a person also where that person was up to `PET_S` before."""
    theirs = future.transpose(1, 0, 2)  # N×T×3
    touch, front = _contacts(course, egos, theirs, rows)
    some = np.flatnonzero(persons)
    if len(some):
        rest = egos + some.tolist()
        index = list(range(len(egos)))
        for lag in range(1, round(PET_S / STEP_S) + 1):
            was = theirs[rest]
            later, before = _contacts(course[:, lag:], index, was[:, :-lag], rows[rest])
            touch[:, some, lag:] |= later[:, len(egos) :]
            front[:, some, lag:] |= later[:, len(egos) :] & before[:, len(egos) :]
    first = np.argmax(touch, axis=2)
    hit = np.take_along_axis(touch & front, first[..., None], axis=2)[..., 0]
    return np.where(hit, first, -1)


def _contacts(course: Floats, egos: list[int], theirs: Floats, rows: Floats) -> tuple[Bools, Bools]:
    """Whether each of M egos (rows `egos`) touches each of N others at each of T steps, and whether
    the other's centre is ahead of its own then."""
    half = rows[:, 4:6] / 2
    reach = np.hypot(half[:, 0], half[:, 1])
    offset = theirs[None, :, :, :2] - course[:, None, :, :2]
    near = np.hypot(offset[..., 0], offset[..., 1]) < (reach[egos][:, None] + reach)[..., None]
    near[np.arange(len(egos)), egos] = False
    ego, other, step = np.nonzero(near)
    mine, gap = course[ego, step], offset[ego, other, step]
    touch = np.zeros(near.shape, dtype=np.bool_)
    front = touch.copy()
    touch[ego, other, step] = _touch(
        mine, half[np.asarray(egos)[ego]], theirs[other, step], half[other]
    )
    front[ego, other, step] = gap[:, 0] * np.cos(mine[:, 2]) + gap[:, 1] * np.sin(mine[:, 2]) > 0.0
    return touch, front


def _touch(a: Floats, half_a: Floats, b: Floats, half_b: Floats) -> Bools:
    """Whether K pairs of rectangles (x, y, heading; half length, half width) overlap: no side of
    either separates them (separating axis theorem)."""
    offset = b[:, :2] - a[:, :2]
    turn = b[:, 2] - a[:, 2]
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    apart = np.zeros(len(a), dtype=np.bool_)
    for heading, own, other in ((a[:, 2], half_a, half_b), (b[:, 2], half_b, half_a)):
        ahead = offset[:, 0] * np.cos(heading) + offset[:, 1] * np.sin(heading)
        aside = offset[:, 1] * np.cos(heading) - offset[:, 0] * np.sin(heading)
        apart |= np.abs(ahead) > own[:, 0] + other[:, 0] * cos + other[:, 1] * sin
        apart |= np.abs(aside) > own[:, 1] + other[:, 0] * sin + other[:, 1] * cos
    return ~apart


def _means(one: Encounter, told_ns: int, event: RoadEvent) -> bool:
    if not one.meets_ns - EARLIEST_S * NS_PER_S <= told_ns <= one.last_ns + LATEST_S * NS_PER_S:
        return False
    if one.kind == RED_LIGHT:
        return event.kind == RED_LIGHT + SUFFIX and bool(set(event.lanes) & set(one.lanes))
    return math.dist((event.position.x, event.position.y), one.place) <= NEAR_M
