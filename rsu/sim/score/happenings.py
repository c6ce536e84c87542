"""Road events: what happened against what was reported.

True events and reports go in as they come; which report means which event, with its delay, and
recall, precision and delay by kind come out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.reports import Truth, TruthEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S
from rsu.sim.score.distribution import Distribution
from rsu.sim.score.tracking import Numbers, share

LATE_S, NEAR_M = 30.0, 40.0
"""A report later than this after an event's end, or this far away on no common lane, is of
something else (congestion needs the time; a queue's middle is some cars from its head)."""
ELSEWHERE = frozenset({"conflict"})
"""True events that no report is of: warnings of them are scored as `conflicts.…`."""
EARLY_S = {"congestion": 30.0}
"""A report before the event is chance, but for a second, the grain of a script. Congestion begins
where means over a minute pass their bounds: who finds that earlier errs as who finds it later."""
HELD_UP_BY = frozenset({"obstacle", "stopped-vehicle", "illegal-parking", "water-on-road"})
"""True events that make others stand."""
STANDS, HERE_M = 0.5, 5.0
"""m/s below which, m from a report within which, a true vehicle is the one that stands there."""


@dataclass(frozen=True)
class Outcome:
    """One true event, in ns, and when it was reported; None: never."""

    kind: str
    start_ns: int
    end_ns: int
    told_ns: int | None
    id: int = 0


@dataclass(frozen=True)
class FalseReport:
    """A report of something that did not happen, or that another report had told."""

    kind: str
    told_ns: int


class Happenings:
    """Takes truth and reports, gives outcomes and numbers."""

    def __init__(self) -> None:
        self._now: Truth | None = None
        self._held_up: set[int] = set()
        self._true: dict[int, tuple[TruthEvent, int]] = {}
        self._told: dict[int, tuple[int, RoadEvent]] = {}

    def truth(self, truth: Truth) -> None:
        """What is going on now."""
        self._now = truth
        for event in truth.events:
            if event.kind in ELSEWHERE:
                continue
            first, _ = self._true.get(event.id, (event, 0))
            self._true[event.id] = first, truth.time_ns

    def report(self, event: RoadEvent, publish_ns: int) -> None:
        """What is said of it; the first word of each event counts."""
        if event.phase is not EventPhase.END and event.id not in self._told:
            self._told[event.id] = publish_ns, event
            if event.kind == "stopped-vehicle" and self._is_held_up(event):
                self._held_up.add(event.id)

    def outcomes(self) -> tuple[list[Outcome], list[FalseReport]]:
        """Every true event in order of beginning; each report means at most one, the earliest that
        fits. What is left of the reports is false, but for those of a vehicle that truly stands
        because of a true event on its lane: it is no event of its own, and no false alarm."""
        free, found = dict(self._told), []
        for event, last_ns in sorted(self._true.values(), key=lambda one: one[0].start_ns):
            told = min(_candidates(event, last_ns, free.items()), default=None)
            if told is not None:
                del free[told[1]]
            told_ns = None if told is None else told[0]
            found.append(Outcome(event.kind, event.start_ns, last_ns, told_ns, event.id))
        return found, [
            FalseReport(event.kind, told_ns)
            for number, (told_ns, event) in free.items()
            if number not in self._held_up
        ]

    def _is_held_up(self, report: RoadEvent) -> bool:
        """Whether the report is of a vehicle that stands behind what is true of its lane."""
        if self._now is None:
            return False
        here = report.position
        stands = any(
            math.hypot(one.position.x - here.x, one.position.y - here.y) <= HERE_M
            and one.speed < STANDS
            for one in self._now.objects
            if one.object_class is not ObjectClass.OBSTACLE
        )
        return stands and any(
            event.kind in HELD_UP_BY
            and bool(set(event.lanes) & set(report.lanes))
            and math.hypot(event.position.x - here.x, event.position.y - here.y) <= NEAR_M
            for event in self._now.events
        )

    def numbers(self) -> Numbers:
        """`events.recall` … over all, `event.K.recall` … by kind."""
        outcomes, false = self.outcomes()
        kinds = sorted({one.kind for one in outcomes} | {one.kind for one in false})
        out = _numbers("events", outcomes, len(false))
        wrong = Counter(one.kind for one in false)
        for kind in kinds:
            some = [one for one in outcomes if one.kind == kind]
            out |= _numbers(f"event.{kind}", some, wrong[kind])
        return out


def _numbers(name: str, outcomes: list[Outcome], false: int) -> Numbers:
    delays = [
        (one.told_ns - one.start_ns) / NS_PER_S for one in outcomes if one.told_ns is not None
    ]
    return {
        f"{name}.count": len(outcomes),
        f"{name}.recall": share(len(delays), len(outcomes)),
        f"{name}.precision": share(len(delays), len(delays) + false),
        f"{name}.delay_s": Distribution(delays).mean,
    }


def _candidates(
    event: TruthEvent, last_ns: int, told: Iterable[tuple[int, tuple[int, RoadEvent]]]
) -> Iterator[tuple[int, int]]:
    """(when told, id) of reports that may mean an event."""
    first = event.start_ns - EARLY_S.get(event.kind, 1.0) * NS_PER_S
    last = last_ns + LATE_S * NS_PER_S
    for number, (publish_ns, report) in told:
        here, there = report.position, event.position
        away = math.hypot(here.x - there.x, here.y - there.y)
        same_place = away <= NEAR_M or bool(set(report.lanes) & set(event.lanes))
        if report.kind == event.kind and first <= publish_ns <= last and same_place:
            yield publish_ns, number
