"""A fixed-time signal plan made from the map: which groups run together, and when.

`Roads` and the cycle go in (`actuated` makes the same stages answer to demand). Groups whose
movements do not cross share a stage; stages follow each other in a ring, each with green, yellow
and all-red. Out come the light of a group at any time (for drivers and walkers) and the
`SignalState` a controller would report. A turn that has a group of its own is protected; a turn
that shares its group with traffic going straight on yields.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rsu.schema.priority import SignalCommand
from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.world.roads import Roads
from rsu.site.lanes import Maneuver

YELLOW_S = 3.0
"""GB 14886-2016: yellow lasts 3 s to 5 s."""
ALL_RED_S = 2.0
"""About the time to clear a junction of 25 m at 50 km/h."""
LEAST_GREEN_S = 5.0
"""Shorter greens serve nobody: two vehicles' headways and the first one's start."""
LEAST_WALK_S = 4.0
"""FHWA MUTCD 2009, 4E.06: at least 4 s in which walkers may start."""
CLEARING_SPEED = 1.2
"""m/s of a walker who has just started when the walk ends: between MUTCD's 1.07 (3.5 ft/s, 4E.06)
and the mean of free walkers; who is slower hurries."""

GREENS = frozenset({LightState.PROTECTED_GREEN, LightState.PERMISSIVE_GREEN})


@dataclass(frozen=True, slots=True)
class Indication:
    """One light and how far into the cycle it begins, ns."""

    start_ns: int
    light: LightState


class Approach(NamedTuple):
    """Somebody before a stop line: the group that governs it, how far away (m) and fast (m/s)."""

    group: int
    left_m: float
    speed: float


class Signals(Protocol):
    """What people on the road, sensors and the controller's wire need of any plan. `groups` are
    the lights of one cycle as planned; what is shown is `light`'s answer only."""

    @property
    def origin_ns(self) -> int: ...

    @property
    def groups(self) -> Mapping[int, tuple[Indication, ...]]: ...

    def light(self, group: int | None, time_ns: int) -> LightState: ...

    def state(self, controller: str, intersection: int, time_ns: int) -> SignalState: ...

    def decide(self, now_ns: int, approaching: Iterable[Approach]) -> None: ...

    def command(self, command: SignalCommand, heard_ns: int) -> None:
        """What a roadside unit wishes, heard then; a plan may take no notice."""


@dataclass(frozen=True, eq=False)
class Ring:
    """Stages (groups that run together) in order, with their greens in the fixed plan and least, s.

    `clearing`: s that walkers of a group need; `shared`: groups that govern turns and straight on.
    """

    stages: tuple[tuple[int, ...], ...]
    greens: tuple[float, ...]
    least: tuple[float, ...]
    clearing: Mapping[int, float]
    shared: frozenset[int]

    def green(self, group: int) -> LightState:
        """The kind of green that a group shows."""
        shared = group in self.shared
        return LightState.PERMISSIVE_GREEN if shared else LightState.PROTECTED_GREEN


@dataclass(frozen=True, eq=False)
class SignalPlan:
    """What every group shows over one cycle, counted from `origin_ns`."""

    origin_ns: int
    cycle_ns: int
    groups: Mapping[int, tuple[Indication, ...]]
    _last: dict[int, tuple[LightState, int, int]] = field(default_factory=dict, repr=False)

    def light(self, group: int | None, time_ns: int) -> LightState:
        """The light of a group; no group is never held up: protected green."""
        if group is None:
            return LightState.PROTECTED_GREEN
        return self._spell(group, time_ns)[0]

    def until(self, group: int, time_ns: int) -> int:
        """When the present light of a group ends, ns UTC."""
        return self._spell(group, time_ns)[2]

    def state(self, controller: str, intersection: int, time_ns: int) -> SignalState:
        """What the controller reports; a fixed plan knows every end time."""
        groups = []
        for group in self.groups:
            light, start, end = self._spell(group, time_ns)
            groups.append(
                SignalGroup(
                    group=group,
                    light=light,
                    start_ns=start,
                    min_end_ns=end,
                    max_end_ns=end,
                    likely_end_ns=end,
                )
            )
        return SignalState(
            controller=controller,
            intersection=intersection,
            capture_ns=time_ns,
            groups=tuple(groups),
            flags=(ControllerFlag.FIXED_TIME,),
        )

    def decide(self, now_ns: int, approaching: Iterable[Approach]) -> None:
        """Nobody changes a fixed plan."""

    def command(self, command: SignalCommand, heard_ns: int) -> None:
        """Neither does a roadside unit."""

    def _spell(self, group: int, time_ns: int) -> tuple[LightState, int, int]:
        """The light and from when to when (ns UTC) it shows; mostly it is that of last time."""
        last = self._last.get(group)
        if last is None or not last[1] <= time_ns < last[2]:
            last = self._last[group] = self._found(group, time_ns)
        return last

    def _found(self, group: int, time_ns: int) -> tuple[LightState, int, int]:
        spells = self.groups[group]
        cycles, phase = divmod(time_ns - self.origin_ns, self.cycle_ns)
        base = self.origin_ns + cycles * self.cycle_ns
        i = bisect_right(spells, phase, key=lambda spell: spell.start_ns) - 1
        if len(spells) == 1:  # never changes: it began with the world and has no end but a cycle's
            return spells[0].light, base, base + self.cycle_ns
        # The last spell of a cycle runs on into the next one until the first begins.
        start = spells[i].start_ns if i >= 0 else spells[-1].start_ns - self.cycle_ns
        end = spells[i + 1].start_ns if i + 1 < len(spells) else (
            spells[0].start_ns + self.cycle_ns
        )  # fmt: skip
        return spells[i].light, base + start, base + end


def build_plan(roads: Roads, cycle_s: float, origin_ns: int) -> SignalPlan:
    """A ring of stages over all groups of the map; an empty plan where nothing is signalised.

    Raises SimulationError when the cycle is too short for everyone's least green.
    """
    ring = build_ring(roads, cycle_s)
    return SignalPlan(origin_ns, round(cycle_s * NS_PER_S), _timing(ring, cycle_s))


def build_ring(roads: Roads, cycle_s: float) -> Ring:
    """The stages of the map and their greens within a cycle; raises as `build_plan` does."""
    drive = {lane.signal_group for lane in roads.connections.values() if lane.signal_group}
    walk = {lane.signal_group for lane in roads.crosswalks.values() if lane.signal_group}
    if both := sorted(walk & drive):
        raise SimulationError(f"signal group {both[0]} governs both a lane and a crosswalk")
    stages = _stages(roads, sorted(drive), sorted(walk))
    clearing = {
        group: max(
            lane.length / CLEARING_SPEED
            for lane in roads.crosswalks.values()
            if lane.signal_group == group
        )
        for group in walk
    }
    turns: dict[int | None, set[bool]] = {}
    for lane in roads.connections.values():
        turns.setdefault(lane.signal_group, set()).add(lane.maneuver is not Maneuver.STRAIGHT)
    least = _least(stages, clearing)
    return Ring(
        stages=tuple(map(tuple, stages)),
        greens=tuple(_greens(least, cycle_s)),
        least=tuple(least),
        clearing=clearing,
        shared=frozenset(g for g, kinds in turns.items() if g is not None and len(kinds) == 2),
    )


def _stages(roads: Roads, drive: Sequence[int], walk: Sequence[int]) -> list[list[int]]:
    against = _incompatible(roads)
    stages: list[list[int]] = []
    left = list(drive)
    while left:
        stage = [left.pop(0)]
        for group in [*left, *(g for g in walk if not any(g in done for done in stages))]:
            if not any((group, other) in against for other in stage):
                stage.append(group)
        left = [group for group in left if group not in stage]
        stages.append(stage)
    alone = [g for g in walk if not any(g in stage for stage in stages)]
    return [*stages, alone] if alone else stages


def _incompatible(roads: Roads) -> set[tuple[int, int]]:
    """Pairs of groups, both ways round, that may never be green together."""
    lanes = roads.connections
    straight = {lane.signal_group for lane in lanes.values() if lane.maneuver is Maneuver.STRAIGHT}

    def yielding(name: str) -> bool:
        lane = lanes[name]
        return lane.maneuver is not Maneuver.STRAIGHT and lane.signal_group in straight

    pairs: set[tuple[int, int]] = set()

    def forbid(one: int | None, other: int | None) -> None:
        if one is not None and other is not None and one != other:
            pairs.update(((one, other), (other, one)))

    for (mine, other), conflict in roads.conflicts.items():
        opposed = _opposed(roads, mine, other)
        if not conflict.diverging and not (opposed and (yielding(mine) or yielding(other))):
            forbid(lanes[mine].signal_group, lanes[other].signal_group)
    for route in roads.routes:
        if route.connection is None:
            continue
        for crossing in route.crossings:
            # A turn may run into walkers where it leaves the junction, never where it enters.
            leaving = crossing.enter > (route.connection_start + route.connection_end) / 2
            if not (leaving and yielding(route.connection)):
                forbid(route.group, roads.crosswalks[crossing.crosswalk].signal_group)
    return pairs


def _opposed(roads: Roads, mine: str, other: str) -> bool:
    """Whether two connections enter the junction head-on (within 45°)."""
    one, two = (roads.connections[name].centreline for name in (mine, other))
    a, b = one[1] - one[0], two[1] - two[0]
    return bool(a @ b < -0.7 * ((a @ a) * (b @ b)) ** 0.5)


def _least(stages: list[list[int]], clearing: Mapping[int, float]) -> list[float]:
    between = YELLOW_S + ALL_RED_S
    return [
        max(
            [LEAST_GREEN_S]
            + [LEAST_WALK_S + clearing[group] - between for group in stage if group in clearing]
        )
        for stage in stages
    ]


def _greens(least: list[float], cycle_s: float) -> list[float]:
    if not least:
        return []
    spare = cycle_s - sum(least) - (YELLOW_S + ALL_RED_S) * len(least)
    if spare < 0.0:
        raise SimulationError(
            f"cycle_s {cycle_s:g} is too short: the map's {len(least)} signal stages need "
            f"{cycle_s - spare:.1f} s"
        )
    return [green + spare * green / sum(least) for green in least]


def _timing(ring: Ring, cycle_s: float) -> dict[int, tuple[Indication, ...]]:
    cycle_ns = round(cycle_s * NS_PER_S)
    clearing = ring.clearing
    spells: dict[int, tuple[Indication, ...]] = {}
    start = 0.0
    for stage, green in zip(ring.stages, ring.greens, strict=True):
        end = start + green
        for group in stage:
            light = ring.green(group)
            if group in clearing:
                change = end + YELLOW_S + ALL_RED_S - clearing[group]
                times = ((start, light), (min(change, end), LightState.FLASHING_GREEN),
                         (min(change, end) + clearing[group], LightState.RED))  # fmt: skip
            else:
                times = ((start, light), (end, LightState.YELLOW), (end + YELLOW_S, LightState.RED))
            spells[group] = tuple(
                sorted(
                    (Indication(round(at * NS_PER_S) % cycle_ns, light) for at, light in times),
                    key=lambda spell: spell.start_ns,
                )
            )
        start = end + YELLOW_S + ALL_RED_S
    return dict(sorted(spells.items()))
