"""A signal controller without a line to us, whose fixed-time plan stands in the site file.

There is no wire: what is claimed is what the file claims, at the moment the clock shows. It is true
only as long as the controller keeps the plan and both clocks keep UTC; V2X withholds it, as all
else, when ours does not. `Plans` is pure: time → `SignalState`; the driver around it waits for the
next tick of the clock.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import msgspec

from rsu.config.base import utc_ns
from rsu.config.place import PlaceOptions
from rsu.config.signals import WEEK, FixedPlanOptions, PlanGroup, SignalPlanOptions
from rsu.hal.errors import DeviceError
from rsu.hal.stamps import NON_MONOTONE, SET_CLOCK_NS
from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_S, Instant

_WEEK_NS = 7 * 86_400 * NS_PER_S
_MONDAY_NS = 4 * 86_400 * NS_PER_S
"""1970-01-05, the first Monday of the epoch."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A plan and since and until when the table has it; None: for ever."""

    plan: SignalPlanOptions | None
    since_ns: int | None
    until_ns: int | None


class Plans:
    """What the lights show at any time."""

    def __init__(self, options: FixedPlanOptions, site_intersection: int) -> None:
        self._options = options
        asked = options.intersection
        self._intersection = site_intersection if asked is None else asked
        self._reference_ns = utc_ns(options.reference_utc)
        self._plans = {plan.name: plan for plan in options.plans}
        self._offset_ns = round(options.utc_offset_h * 3600) * NS_PER_S
        self._transition_ns = round(options.transition_s * NS_PER_S)
        self._changes = self._weekly()

    def state(self, time_ns: int) -> SignalState | None:
        """All groups at `time_ns`, None where the table says that it is not known what runs."""
        running = self._running(time_ns)
        plan = running.plan
        if plan is None:
            return None
        settled_ns = None if running.since_ns is None else running.since_ns + self._transition_ns
        if settled_ns is not None and time_ns < settled_ns:
            groups = [SignalGroup(group=g.group, light=LightState.UNAVAILABLE) for g in plan.groups]
        else:
            origin_ns = self._reference_ns + round(plan.offset_s * NS_PER_S)
            cycle_ns = round(plan.cycle_s * NS_PER_S)
            groups = [
                _shown(entry, origin_ns, cycle_ns, time_ns, settled_ns, running.until_ns)
                for entry in plan.groups
            ]
        return SignalState(
            controller=self._options.id,
            intersection=self._intersection,
            capture_ns=time_ns,
            groups=tuple(groups),
            flags=(ControllerFlag.FIXED_TIME,),
        )

    def _weekly(self) -> list[tuple[int, str | None]]:
        """(ns into the local week, plan), sorted; only where the plan changes."""
        entries = sorted(
            (((WEEK.index(day) * 24 + int(entry.at[:2])) * 60 + int(entry.at[3:])), entry.plan)
            for entry in self._options.table
            for day in entry.days
        )
        return [
            (minute * 60 * NS_PER_S, plan)
            for i, (minute, plan) in enumerate(entries)
            if plan != entries[i - 1][1]  # of the first: what runs on from the last week
        ]

    def _running(self, time_ns: int) -> _Running:
        changes = self._changes
        if not changes:  # no table, or one that has a single plan
            name = self._options.table[0].plan if self._options.table else next(iter(self._plans))
            return _Running(None if name is None else self._plans[name], None, None)
        weeks, into = divmod(time_ns + self._offset_ns - _MONDAY_NS, _WEEK_NS)
        week_ns = weeks * _WEEK_NS + _MONDAY_NS - self._offset_ns
        i = bisect_right(changes, into, key=lambda change: change[0]) - 1
        since_ns = week_ns + (changes[i][0] if i >= 0 else changes[-1][0] - _WEEK_NS)
        following = changes[i + 1][0] if i + 1 < len(changes) else changes[0][0] + _WEEK_NS
        name = changes[i][1]
        plan = None if name is None else self._plans[name]
        return _Running(plan, since_ns, week_ns + following)


def _shown(
    entry: PlanGroup,
    origin_ns: int,
    cycle_ns: int,
    time_ns: int,
    settled_ns: int | None,
    until_ns: int | None,
) -> SignalGroup:
    """A group's light; starts before `settled_ns` and ends after `until_ns` are not known."""
    if len(entry.lights) == 1:
        return SignalGroup(group=entry.group, light=entry.lights[0].light)
    bounds = [round(end * NS_PER_S) for end in accumulate(one.seconds for one in entry.lights)]
    bounds[-1] = cycle_ns
    starts_ns = origin_ns + round(entry.starts_s * NS_PER_S)
    cycles, into = divmod(time_ns - starts_ns, cycle_ns)
    begun_ns = starts_ns + cycles * cycle_ns
    i = bisect_right(bounds, into)
    start_ns: int | None = begun_ns + (bounds[i - 1] if i else 0)
    end_ns: int | None = begun_ns + bounds[i]
    if start_ns is not None and settled_ns is not None and start_ns < settled_ns:
        start_ns = None
    if end_ns is not None and until_ns is not None and end_ns > until_ns:
        end_ns = None
    return SignalGroup(
        group=entry.group,
        light=entry.lights[i].light,
        start_ns=start_ns,
        min_end_ns=end_ns,
        max_end_ns=end_ns,
        likely_end_ns=end_ns,
    )


class FixedPlanController:
    """Gives `SignalState` at every tick of the clock; one that comes late is not made up for."""

    def __init__(
        self,
        options: FixedPlanOptions,
        base: Path,  # noqa: ARG002 - the options name no files
        clock: Callable[[], Instant],
        place: PlaceOptions,
    ) -> None:
        self._name = options.id
        self._plans = Plans(options, place.intersection)
        self._period_ns = round(NS_PER_S / options.rate_hz)
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self.dropped = self._counts
        self._closed = threading.Event()
        self._closed.set()
        self._last_ns: int | None = None
        self._behind = False

    def open(self) -> None:
        self._closed.clear()

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        deadline_s = time.monotonic() + timeout_s
        while True:
            if self._closed.is_set():
                raise DeviceError(f"plan {self._name!r} is not open", "open it first")
            now_ns = self._clock().utc_ns
            tick_ns = now_ns // self._period_ns * self._period_ns
            if self._is_news(tick_ns):
                state = self._plans.state(tick_ns)
                if state is not None:
                    return (state,)
            left_s = deadline_s - time.monotonic()
            if left_s <= 0.0:
                return ()
            self._closed.wait(min(left_s, (tick_ns + self._period_ns - now_ns) / NS_PER_S))

    def close(self) -> None:
        self._closed.set()

    def _is_news(self, tick_ns: int) -> bool:
        last_ns = self._last_ns
        if last_ns is not None and tick_ns == last_ns:
            return False
        if last_ns is not None and last_ns - SET_CLOCK_NS <= tick_ns < last_ns:
            # A clock that was put back by a little: one drop, then the ticks until it has caught up
            # have been told before.
            self._counts[NON_MONOTONE] += not self._behind
            self._behind = True
            return False
        self._last_ns, self._behind = tick_ns, False
        return True
