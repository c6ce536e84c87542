"""Signals that answer demand: greens end when nobody comes any more, or later, or for priority.

A `Ring` of stages, at every step of the world who approaches, and a roadside unit's commands go in;
out come the same answers that the fixed plan gives: lights, and `SignalState`s whose least and
latest ends hold whatever happens. The order of the stages never changes, and every change goes
through yellow and all-red, so neither demand nor a command can bring two conflicting groups
together. Walkers are served at the beginning of their stage for a time that is fixed; only
vehicles' greens are extended. Who wants priority is known here by the unit's command only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rsu.schema.priority import PriorityLevel, SignalAction, SignalCommand
from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_S
from rsu.sim.world.signals import ALL_RED_S, YELLOW_S, Approach, Indication, Ring, SignalPlan

ZONE_M = 35.0
"""m before the stop line in which a vehicle is demand: about 3 s at 40 km/h."""
GAP_NS = 2 * NS_PER_S
"""Without demand for so long a green has gapped out (FHWA Signal Timing Manual 2008, 5.4: passage
times of 1 to 4 s, short with long detection zones)."""
STRETCH = 1.5
"""Longest green as a multiple of the fixed plan's (FHWA, 5.3: 1.25 to 1.5)."""
EXTRA_S = {PriorityLevel.TRANSIT: 10.0, PriorityLevel.EMERGENCY: 20.0}
"""s beyond the longest green that priority may hold it (assumed; bus priority is usually 10 s)."""
HOLDS_NS = 10 * NS_PER_S
"""Longest that one command holds, however late its own end: a unit that has died is not obeyed."""
KEPT = 12
"""Lights remembered per group: more than two cycles, as devices look back over a step only."""


class _Bounds(NamedTuple):
    least: int
    likely: int
    latest: int


class _Wish(NamedTuple):
    """A command that was heard, in true time."""

    group: int
    level: PriorityLevel
    from_ns: int
    until_ns: int


class ActuatedPlan:
    """One controller. `decide` must be called at every step, `step_ns` apart."""

    def __init__(self, ring: Ring, fixed: SignalPlan, step_ns: int) -> None:
        """`fixed` is the plan of the same ring: its origin and its `groups` are this one's."""
        self.origin_ns = fixed.origin_ns
        self.groups: Mapping[int, tuple[Indication, ...]] = fixed.groups
        self._ring = ring
        self._step_ns = step_ns
        self._driven = [any(group not in ring.clearing for group in stage) for stage in ring.stages]
        self._least = [self._up(green) for green in ring.least]
        self._most = [
            max(self._up(green * STRETCH), least) if driven else least
            for green, least, driven in zip(ring.greens, self._least, self._driven, strict=True)
        ]
        self._usual = [
            min(max(self._up(green), least), most)
            for green, least, most in zip(ring.greens, self._least, self._most, strict=True)
        ]
        self._between = self._up(YELLOW_S + ALL_RED_S)
        self._lights: dict[int, list[tuple[int, LightState]]] = {
            group: [(fixed.origin_ns, LightState.RED)] for group in fixed.groups
        }
        self._decided_ns = fixed.origin_ns
        self._wanted_ns = fixed.origin_ns
        self._waiting: list[_Wish] = []
        self._wish: _Wish | None = None
        self._open(0, fixed.origin_ns)

    def decide(self, now_ns: int, approaching: Iterable[Approach]) -> None:
        """Go on or change, knowing who approaches now."""
        self._decided_ns = now_ns
        coming = list(approaching)
        self._obey(now_ns)
        if now_ns < self._start_ns:
            return
        groups = self._ring.stages[self._stage]
        if any(one.group in groups and one.left_m <= ZONE_M for one in coming):
            self._wanted_ns = now_ns
        if self._over(now_ns):
            self._close(now_ns)

    def command(self, command: SignalCommand, heard_ns: int) -> None:
        """Favour a group from the next step on, until the command's time is over. One that names no
        group of vehicles is not for us."""
        if command.action is SignalAction.CANCEL:
            self._waiting.append(_Wish(command.group, command.level, heard_ns, heard_ns))
        elif command.group in self.groups and command.group not in self._ring.clearing:
            # The clocks of both boxes may differ: only how long it is meant to hold counts.
            holds_ns = min(max(command.until_ns - command.time_ns, 0), HOLDS_NS)
            wish = _Wish(command.group, command.level, heard_ns, heard_ns + holds_ns)
            self._waiting.append(wish)

    def _obey(self, now_ns: int) -> None:
        """The newest command heard before now, as long as it holds."""
        while self._waiting and self._waiting[0].from_ns <= now_ns:
            self._wish = self._waiting.pop(0)
        if self._wish is not None and self._wish.until_ns <= now_ns:
            self._wish = None

    def light(self, group: int | None, time_ns: int) -> LightState:
        """The light of a group; no group is never held up: protected green."""
        if group is None:
            return LightState.PROTECTED_GREEN
        shown = self._lights[group]
        return shown[self._index(group, time_ns)][1]

    def state(self, controller: str, intersection: int, time_ns: int) -> SignalState:
        """What the controller reports: exact ends where they are decided, bounds where not."""
        flags = [ControllerFlag.TRAFFIC_DEPENDENT]
        if self._wish is not None:
            emergency = self._wish.level is PriorityLevel.EMERGENCY
            flags.append(ControllerFlag.PREEMPT if emergency else ControllerFlag.PRIORITY)
        groups = []
        for group, shown in self._lights.items():
            i = self._index(group, time_ns)
            start, light = shown[i]
            if i + 1 < len(shown):
                end = _Bounds(*(shown[i + 1][0],) * 3)
            elif light is LightState.RED:
                end = self._opens(group)
            else:
                end = self._ends()
            groups.append(
                SignalGroup(
                    group=group, light=light, start_ns=start, min_end_ns=end.least,
                    likely_end_ns=end.likely, max_end_ns=end.latest,
                )
            )  # fmt: skip
        return SignalState(
            controller=controller, intersection=intersection, capture_ns=time_ns,
            groups=tuple(groups), flags=tuple(flags),
        )  # fmt: skip

    # --- changing ---------------------------------------------------------------------------------

    def _over(self, now_ns: int) -> bool:
        shown = now_ns - self._start_ns
        if shown < self._least[self._stage]:
            return False
        if self._wish is not None and self._driven[self._stage]:
            if self._wish.group not in self._ring.stages[self._stage]:
                return True  # the sooner this ends, the sooner its turn comes
            return shown >= self._most[self._stage] + self._up(EXTRA_S[self._wish.level])
        return shown >= self._most[self._stage] or now_ns - self._wanted_ns >= GAP_NS

    def _close(self, now_ns: int) -> None:
        stage = self._stage
        self._usual[stage] = (self._usual[stage] + now_ns - self._start_ns) // 2
        for group in self._ring.stages[stage]:
            if group not in self._ring.clearing:
                self._show(group, now_ns, LightState.YELLOW)
                self._show(group, now_ns + round(YELLOW_S * NS_PER_S), LightState.RED)
        self._open((stage + 1) % len(self._ring.stages), now_ns + self._between)

    def _open(self, stage: int, at_ns: int) -> None:
        self._stage, self._start_ns = stage, at_ns
        self._wanted_ns = at_ns
        for group in self._ring.stages[stage]:
            self._show(group, at_ns, self._ring.green(group))
            clearing = self._ring.clearing.get(group)
            if clearing is not None:
                least = self._least[stage] / NS_PER_S
                walk = min(least + YELLOW_S + ALL_RED_S - clearing, least)
                self._show(group, at_ns + round(walk * NS_PER_S), LightState.FLASHING_GREEN)
                self._show(group, at_ns + round((walk + clearing) * NS_PER_S), LightState.RED)

    def _show(self, group: int, start_ns: int, light: LightState) -> None:
        shown = self._lights[group]
        if shown[-1][0] == start_ns:
            shown.pop()
        shown.append((start_ns, light))
        del shown[:-KEPT]

    def _index(self, group: int, time_ns: int) -> int:
        return max(bisect_right(self._lights[group], time_ns, key=lambda one: one[0]) - 1, 0)

    # --- what can be promised ---------------------------------------------------------------------

    def _ends(self) -> _Bounds:
        """When the present stage's green ends, at the earliest, probably and at the latest."""
        stage, start = self._stage, self._start_ns
        if not self._driven[stage]:
            end = start + self._least[stage]
            return _Bounds(end, end, end)
        soonest = max(start + self._least[stage], self._decided_ns + self._step_ns)
        latest = start + self._longest(stage)
        if self._wish is not None and self._wish.group not in self._ring.stages[stage]:
            likely = soonest
        elif self._wish is not None:
            likely = self._wish.until_ns + GAP_NS  # as far as we were told
        else:
            likely = self._wanted_ns + GAP_NS
            if self._wanted_ns >= self._decided_ns:  # somebody is still coming
                likely = max(likely, start + self._usual[stage])
            likely = min(likely, start + self._most[stage])
        return _Bounds(soonest, min(max(likely, soonest), latest), latest)

    def _opens(self, group: int) -> _Bounds:
        """When a red group's stage comes next."""
        count = len(self._ring.stages)
        wanted = next(i for i, stage in enumerate(self._ring.stages) if group in stage)
        least, likely, latest = (end + self._between for end in self._ends())
        i = (self._stage + 1) % count
        while i != wanted:
            least += self._least[i] + self._between
            likely += self._usual[i] + self._between
            latest += self._longest(i) + self._between
            i = (i + 1) % count
        return _Bounds(least, likely, latest)

    def _longest(self, stage: int) -> int:
        return self._most[stage] + (
            self._up(max(EXTRA_S.values())) if self._driven[stage] else 0
        )  # fmt: skip

    def _up(self, seconds: float) -> int:
        """ns, rounded up to whole steps: decisions fall on steps only."""
        return -(-round(seconds * NS_PER_S) // self._step_ns) * self._step_ns
