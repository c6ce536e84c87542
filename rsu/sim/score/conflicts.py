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

Nobody can warn before there is anything to see: a conflict is *foreseen* from the first moment at
which both, moving on as they then do, would meet although the driver reacts and brakes. It is
foreseeable where that is early enough for a warning in time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace

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
LOOKS_S = 0.4
"""s: two looks at 5 Hz, the least that tells who walks from who stands."""
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
    """Two in conflict: when they would have met (`meets_ns`), where, when it was last so, and from
    when on that could be foreseen (None: never)."""

    kind: str
    objects: frozenset[int]
    meets_ns: int
    last_ns: int
    place: tuple[float, float]
    lanes: tuple[str, ...] = ()
    foreseen_ns: int | None = None

    @property
    def foreseeable(self) -> bool:
        """Whether whoever sees everything at once can warn in time."""
        if self.foreseen_ns is None:
            return False
        return self.meets_ns - self.foreseen_ns >= (IN_TIME_S + LOOKS_S) * NS_PER_S

    def see(self, time_ns: int, meets_ns: int, *, foreseen: bool) -> None:
        """They would still meet. Before it is foreseen only the future tells when."""
        if foreseen and self.foreseen_ns is None:
            self.foreseen_ns, self.meets_ns = time_ns, meets_ns
        self.meets_ns = min(self.meets_ns, meets_ns)
        self.last_ns = time_ns


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
    _meetings: dict[frozenset[int], Encounter] = field(default_factory=dict)
    _staged: dict[int, tuple[TruthEvent, int]] = field(default_factory=dict)
    _runs: dict[int, int | None] = field(default_factory=dict)
    _told: dict[int, tuple[int, RoadEvent]] = field(default_factory=dict)
    _first_ns: int | None = None
    _last_ns: int = 0

    def truth(self, truth: Truth) -> None:
        """The world at one moment; judged once its future is known."""
        for event in truth.events:
            if event.kind in ("conflict", "red-light-running"):
                if event.kind == "red-light-running" and event.id not in self._staged:
                    self._runs[event.id] = self._cannot_stop_since(event)
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
                              event.lanes, self._runs[event.id])
                )  # fmt: skip
                continue
            pair = frozenset(event.objects)
            meeting = self._meetings.get(pair)
            known = any(one.objects == pair for one in found)
            if meeting is not None and not known:
                found.append(replace(meeting, last_ns=last_ns))
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
        """`conflicts.count`, `.recall`, `.in_time`, `.foreseeable`, `.foreseeable_in_time`,
        `.lead_s`, `.warnings`, `.false`, `.false_per_hour`."""
        outcomes, false = self.outcomes()
        leads = [lead for _, lead in outcomes if lead is not None]
        foreseeable = [lead or 0.0 for one, lead in outcomes if one.foreseeable]
        hours = max((self._last_ns - (self._first_ns or 0)) / NS_PER_S / 3600.0, 1e-9)
        return {
            "conflicts.count": len(outcomes),
            "conflicts.recall": share(len(leads), len(outcomes)),
            "conflicts.in_time": share(sum(lead >= IN_TIME_S for lead in leads), len(outcomes)),
            "conflicts.foreseeable": len(foreseeable),
            "conflicts.foreseeable_in_time": share(
                sum(lead >= IN_TIME_S for lead in foreseeable), len(foreseeable)
            ),
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
        kept = _courses(now.rows[egos], future[:, egos], taus)
        persons = np.array([one.is_vru and one not in EGOS for one in now.classes])
        meet = _first_meeting(kept, egos, future, now.rows, persons)
        some = np.flatnonzero((meet >= 0).any(axis=1))
        if not len(some):
            return
        egos, kept, meet = [egos[row] for row in some], kept[some], meet[some]
        rows, ways = now.rows[egos], future[:, egos]
        braked = _courses(rows, ways, taus, COMFORTABLE)
        still = _first_meeting(braked, egos, future, now.rows, persons)
        # As it looks at this moment: everybody else moves on straight.
        onward = _onward(now.rows, taus)
        late = _courses(rows, ways, taus, COMFORTABLE, IN_TIME_S)
        looks = (_first_meeting(kept, egos, onward, now.rows, persons) > 0) & (
            _first_meeting(late, egos, onward, now.rows, persons) > 0
        )
        for row, column in np.argwhere(meet > 0).tolist():  # at 0 they touch already
            step = int(meet[row, column])
            pair = frozenset((ids[egos[row]], ids[column]))
            meets_ns = now.time_ns + round(float(taus[step]) * NS_PER_S)
            place = (float(kept[row, step, 0]), float(kept[row, step, 1]))
            one = self._meetings.get(pair)
            if one is None or now.time_ns > one.meets_ns:
                one = Encounter("staged", pair, meets_ns, now.time_ns, place)
                self._meetings[pair] = one
            one.see(now.time_ns, meets_ns, foreseen=bool(looks[row, column]))
            if still[row, column] > 0:
                self._note(one)

    def _note(self, meeting: Encounter) -> None:
        """Braking from now on would not prevent it."""
        pair = meeting.objects
        one = self._open.get(pair)
        if one is not None and meeting.last_ns - one.last_ns > PAUSE_S * NS_PER_S:
            self._found.append(self._open.pop(pair))
            one = None
        if one is None:
            self._open[pair] = replace(meeting, kind="measured")
            return
        if one.foreseen_ns is None and meeting.foreseen_ns is not None:
            one.foreseen_ns, one.meets_ns = meeting.foreseen_ns, meeting.meets_ns
        one.meets_ns = min(one.meets_ns, meeting.meets_ns)
        one.last_ns = meeting.last_ns

    def _cannot_stop_since(self, event: TruthEvent) -> int | None:
        """When the runner who crosses the line now could last have stopped before it: the first
        moment of the window from which on braking at `COMFORTABLE` was not enough."""
        (runner,) = event.objects[:1] or (None,)
        past = [
            (one.time_ns, one.rows[one.index[runner], [0, 1, 3]])
            for one in self._window
            if runner in one.index
        ]
        since, left = None, 0.0
        there = (event.position.x, event.position.y)
        for time_ns, (x, y, speed) in reversed(past):
            left += math.dist((x, y), there)
            there = (x, y)
            if speed**2 / (2.0 * COMFORTABLE) < left:
                break
            since = time_ns
        return since

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


def _onward(rows: Floats, taus: Floats) -> Floats:
    """Everybody straight on at the speed of now, T×N×3."""
    way = rows[:, 3, None] * np.stack((np.cos(rows[:, 2]), np.sin(rows[:, 2])), axis=1)
    out = np.repeat(rows[None, :, :3], len(taus), axis=0)
    out[..., :2] += taus[:, None, None] * way
    return out


def _courses(
    rows: Floats, future: Floats, taus: Floats, braking: float = 0.0, reaction_s: float = 0.0
) -> Floats:
    """M egos on their real ways, M×T×3, at their speed of now, or braking after a while."""
    speed = rows[:, 3]
    arcs = speed[:, None] * taus[None]
    if braking > 0.0:
        after = np.maximum(taus - reaction_s, 0.0)[None]
        held = np.minimum(after, speed[:, None] / braking)
        arcs = arcs - speed[:, None] * (after - held) - 0.5 * braking * held**2
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
