"""The conversation with a GB/T 20999 controller: what to ask next, what its frames mean. Pure.

Questions go out as frames, datagrams come in, `SignalState` and answers to heartbeats come out; all
times are given. First the number of lamp groups (unless the options map them), then every period
their states, in one frame with running mode, current stage and remaining times, so that all hold
for one moment; beside them, once, the tables of stages. A state is as old as its question: nothing
in the answer can be older than that.

What is claimed of ends: a steady green of a phase that belongs to the current stage and to no
other *likely* ends when the stage's remaining time is over, less the phase's early end and the
options' `after_green_s`. The standard counts whole seconds. Minimum and maximum are not claimed:
what extends or cuts a stage short is not told. Reds have no end here: what follows is not told.

A command sets the software demand of the first stage in which the group's lamp is green, and takes
it back when its time is over or another takes its place. It is the softest of what the standard
lets a centre set: the controller keeps its order, its least greens and its intergreens. That
controllers answer demand of a green stage by holding it is an assumption.

Assumptions where the facts are silent: reports (0x60) and broadcasts (0x50) carry items as replies
do and count with a sequence of their own; they need no answer. A heartbeat is answered without
items under its sequence number. A value asked for all its elements may come as one item whose data
are all of them in order. A controller that refuses the long question is asked for lamps only.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from rsu.config.signals import Gbt20999Options, LampGroup
from rsu.hal.signal import gbt20999_values as values
from rsu.hal.signal.gbt20999_frame import (
    Frame,
    FrameError,
    FrameType,
    Item,
    read_frame,
    write_frame,
)
from rsu.hal.signal.sequence import SequenceGuard
from rsu.schema.priority import SignalAction, SignalCommand
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_S, Instant

ITEMS_PER_TABLE = 12
"""Table questions per frame: twelve early-end lists of 70 octets stay within 1,000."""
TABLE_TRIES = 3
"""How often a table question is asked before greens go without ends."""
LONGEST_DEMAND_NS = 10 * NS_PER_S
"""Longest that one command holds, however late its own end."""
LONGEST_STAGE_S = 3600
"""Remaining times beyond this are no times (all ones, say)."""


@dataclass(slots=True)
class _Asked:
    items: tuple[Item, ...]
    at: Instant
    table: bool


@dataclass(slots=True)
class _Demand:
    """A stage that is asked for, until then (monotonic)."""

    stage: int
    until_ns: int


@dataclass(slots=True)
class _Tables:
    lamp_of: dict[int, int] = field(default_factory=dict)  # phase → lamp
    phases: dict[int, frozenset[int]] = field(default_factory=dict)  # stage → phases
    early_s: dict[int, bytes] = field(default_factory=dict)  # stage → s by phase - 1


@dataclass(slots=True)
class Heard:
    """What one datagram led to."""

    state: SignalState | None = None
    answer: bytes | None = None


class Dialogue:
    """One controller. `dropped` counts what was thrown away."""

    def __init__(
        self, options: Gbt20999Options, site_intersection: int, dropped: Counter[str]
    ) -> None:
        self._options = options
        asked = options.intersection
        self._intersection = site_intersection if asked is None else asked
        self._dropped = dropped
        self._lamp_key = (*values.LAMP_STATE_OBJECT, options.lamp_attribute)
        self._reports = SequenceGuard()
        self._sequence = 0
        self.restart()

    def restart(self) -> None:
        """Nothing is known of the controller any more; it may be another one."""
        self._groups: tuple[LampGroup, ...] = self._options.groups
        self._asked: dict[int, _Asked] = {}
        self._tables = _Tables()
        self._stages = 0
        self._demand: _Demand | None = None
        self._set: set[int] = set()
        self._plain = not self._options.countdown
        self._pending: deque[tuple[tuple[Item, ...], int]] = deque()
        if not self._plain:
            self._pending.append(((_all(values.STAGE_COUNT), _all(values.PHASE_COUNT)), 0))

    def questions(self, now: Instant) -> list[bytes]:
        """The datagrams to send now."""
        timeout_ns = round(self._options.timeout_s * NS_PER_S)
        for sequence, asked in list(self._asked.items()):
            if now.mono_ns - asked.at.mono_ns > timeout_ns:
                del self._asked[sequence]
        if self._demand is not None and now.mono_ns >= self._demand.until_ns:
            # The unit has stopped wishing: the controller is let go before anything is asked.
            return [self._ask_for(None), *self.questions(now)]
        if not self._groups:
            return [self._question((_all(values.LAMP_COUNT),), now, table=False)]
        lamps = tuple(Item(*self._lamp_key, entry.lamp) for entry in self._groups)
        if self._plain:
            return [self._question(lamps, now, table=False)]
        road = self._options.road_id
        running = (Item(*values.MODE, road), Item(*values.CURRENT_STAGE, road))
        remaining = tuple(Item(*values.STAGE_REMAINING, n + 1) for n in range(self._stages))
        questions = [self._question((*lamps, *running, *remaining), now, table=False)]
        if self._pending:
            items, tries = self._pending.popleft()
            if tries < TABLE_TRIES:
                questions.append(self._question(items, now, table=True))
                self._pending.append((items, tries + 1))
            else:
                self._give_up()
        return questions

    def command(self, command: SignalCommand, now: Instant) -> bytes | None:
        """The datagram that tells the controller; None where it cannot be told: not configured, no
        stage of that group, or the stages are not known yet."""
        if self._options.commands == "none":
            return None
        stage = None
        if command.action is not SignalAction.CANCEL:
            stage = self._stage_of(command.group)
            if stage is None:
                return None
        holds_ns = min(max(command.until_ns - command.time_ns, 0), LONGEST_DEMAND_NS)
        return self._ask_for(None if stage is None else _Demand(stage, now.mono_ns + holds_ns))

    def let_go(self) -> bytes | None:
        """The datagram that takes back what still holds, None where nothing does."""
        return None if self._demand is None else self._ask_for(None)

    def _stage_of(self, group: int) -> int | None:
        lamp = next((one.lamp for one in self._groups if one.group == group), None)
        phases = {phase for phase, shown in self._tables.lamp_of.items() if shown == lamp}
        stages = (n for n, among in sorted(self._tables.phases.items()) if phases & among)
        return None if self._pending or lamp is None else next(stages, None)

    def _ask_for(self, demand: _Demand | None) -> bytes:
        """Set the demand of one stage, and take back that of another."""
        old, self._demand = self._demand, demand
        items = []
        if old is not None and (demand is None or demand.stage != old.stage):
            items.append(Item(*values.STAGE_DEMAND, old.stage, b"\0"))
        if demand is not None:
            items.append(Item(*values.STAGE_DEMAND, demand.stage, b"\1"))
        self._sequence = self._sequence % 255 + 1
        self._set.add(self._sequence)
        return self._written(FrameType.SET, self._sequence, tuple(items))

    def hear(self, octets: bytes, now: Instant) -> Heard:
        """What a datagram that came `now` means."""
        try:
            frame = read_frame(octets, escaped=self._options.escaped)
            return self._meaning(frame, octets, now)
        except FrameError as reason:
            self._dropped[str(reason)] += 1
            return Heard()

    def _meaning(self, frame: Frame, octets: bytes, now: Instant) -> Heard:
        options = self._options
        if (frame.controller, frame.road) != (options.controller_id, options.road_id):
            raise FrameError("other_controller")
        if frame.type == FrameType.HEARTBEAT:
            return Heard(answer=self._written(FrameType.HEARTBEAT_REPLY, frame.sequence, ()))
        if frame.type in (FrameType.REPORT, FrameType.BROADCAST):
            if not any(item.key == self._lamp_key for item in frame.items):
                return Heard()  # of alarms, faults and counts, which are nobody's here
            # Only a report that is one may move the sequence on.
            state = self._state(frame.items, now.utc_ns)
            reason = self._reports.refusal(frame.sequence, octets, now)
            if reason is not None:
                raise FrameError(reason)
            return Heard(state)
        if frame.type in (FrameType.SET_REPLY, FrameType.SET_ERROR):
            if frame.sequence not in self._set:
                raise FrameError("unexpected_reply")
            self._set.discard(frame.sequence)
            if frame.type == FrameType.SET_ERROR:
                raise FrameError("refused_by_controller")
            return Heard()
        if frame.type not in (FrameType.REPLY, FrameType.QUERY_ERROR):
            raise FrameError("unexpected_type")
        asked = self._asked.get(frame.sequence)
        late_ns = round(options.timeout_s * NS_PER_S)
        if asked is None or now.mono_ns - asked.at.mono_ns > late_ns:
            raise FrameError("unexpected_reply")
        del self._asked[frame.sequence]
        if frame.type == FrameType.QUERY_ERROR:
            self._refused(asked)
            raise FrameError("refused_by_controller")
        return self._answered(asked, frame.items)

    def _answered(self, asked: _Asked, items: tuple[Item, ...]) -> Heard:
        if not asked.table and any(item.key == self._lamp_key for item in asked.items):
            return Heard(self._state(items, asked.at.utc_ns))
        found = _elements(items, self._lamp_key)
        if asked.table:
            self._learn(asked, found)
        elif lamps := found.get((*values.LAMP_COUNT, 0)):
            count = min(lamps[0], values.LAMPS_MAX)
            self._groups = tuple(LampGroup(group=n, lamp=n) for n in range(1, count + 1))
        else:
            raise FrameError("incomplete")
        return Heard()

    def _refused(self, asked: _Asked) -> None:
        if asked.table:
            self._give_up()
        else:
            self._plain = True

    def _give_up(self) -> None:
        """Greens go without ends: with a part of the tables they might be wrong."""
        self._pending.clear()
        self._stages = 0

    def _learn(self, asked: _Asked, found: dict[tuple[int, ...], bytes]) -> None:
        if any((*item.key, item.element) not in found for item in asked.items):
            raise FrameError("incomplete")
        self._pending = deque(entry for entry in self._pending if entry[0] != asked.items)
        for (*key, element), data in found.items():
            if tuple(key) == values.PHASE_LAMP:
                self._tables.lamp_of[element] = data[0]
            elif tuple(key) == values.STAGE_PHASES:
                mask = int.from_bytes(data, "big")
                phases = (bit + 1 for bit in range(values.PHASES_MAX) if mask >> bit & 1)
                self._tables.phases[element] = frozenset(phases)
            elif tuple(key) == values.STAGE_EARLY_ENDS:
                self._tables.early_s[element] = data
        counts = found.get((*values.STAGE_COUNT, 0)), found.get((*values.PHASE_COUNT, 0))
        if counts[0] is not None and counts[1] is not None:
            self._stages = min(counts[0][0], values.STAGES_MAX)
            self._ask_tables(min(counts[1][0], values.PHASES_MAX))

    def _ask_tables(self, phases: int) -> None:
        wanted = [Item(*values.PHASE_LAMP, n + 1) for n in range(phases)]
        for stage in range(1, self._stages + 1):
            wanted += [Item(*values.STAGE_PHASES, stage), Item(*values.STAGE_EARLY_ENDS, stage)]
        for at in range(0, len(wanted), ITEMS_PER_TABLE):
            self._pending.append((tuple(wanted[at : at + ITEMS_PER_TABLE]), 0))

    def _state(self, items: Iterable[Item], capture_ns: int) -> SignalState:
        found = _elements(items, self._lamp_key)
        if not self._groups or any(
            (*self._lamp_key, entry.lamp) not in found for entry in self._groups
        ):
            raise FrameError("incomplete")
        ends_s = self._ends(found)
        flag = values.FLAGS.get(_octet(found, (*values.MODE, self._options.road_id)))
        groups = []
        for entry in self._groups:
            code = found[(*self._lamp_key, entry.lamp)][0]
            light = values.LIGHTS.get(code, LightState.UNAVAILABLE)
            if code == values.GREEN and entry.protected:
                light = LightState.PROTECTED_GREEN
            end_s = ends_s.get(entry.lamp) if code == values.GREEN else None
            end_ns = None if end_s is None else capture_ns + round(end_s * NS_PER_S)
            groups.append(SignalGroup(group=entry.group, light=light, likely_end_ns=end_ns))
        return SignalState(
            controller=self._options.id,
            intersection=self._intersection,
            capture_ns=capture_ns,
            groups=tuple(groups),
            flags=() if flag is None else (flag,),
        )

    def _ends(self, found: dict[tuple[int, ...], bytes]) -> dict[int, float]:
        """Lamp → s until its green is likely to end."""
        if self._pending or not self._stages:
            return {}
        tables = self._tables
        stage = _octet(found, (*values.CURRENT_STAGE, self._options.road_id))
        left = found.get((*values.STAGE_REMAINING, stage))
        if left is None or stage not in tables.phases or stage not in tables.early_s:
            return {}
        left_s = int.from_bytes(left, "big")
        if left_s > LONGEST_STAGE_S:
            return {}
        others = [phases for number, phases in tables.phases.items() if number != stage]
        ends: dict[int, float] = {}
        for phase in tables.phases[stage]:
            lamp = tables.lamp_of.get(phase)
            if lamp is None or any(phase in phases for phases in others):
                continue
            end_s = left_s - tables.early_s[stage][phase - 1] - self._options.after_green_s
            if end_s >= 0.0:
                ends[lamp] = end_s
        return ends

    def _question(self, items: tuple[Item, ...], now: Instant, *, table: bool) -> bytes:
        self._sequence = self._sequence % 255 + 1
        self._set.discard(self._sequence)
        self._asked[self._sequence] = _Asked(items, now, table)
        return self._written(FrameType.QUERY, self._sequence, items)

    def _written(self, type_: FrameType, sequence: int, items: tuple[Item, ...]) -> bytes:
        options = self._options
        frame = Frame(
            type_, sequence, items, options.centre_id, options.controller_id, options.road_id
        )
        return write_frame(frame, escaped=options.escaped)


def _all(key: values.Key) -> Item:
    return Item(*key)


def _octet(found: dict[tuple[int, ...], bytes], at: tuple[int, ...]) -> int:
    data = found.get(at)
    return data[0] if data else 0


def _elements(items: Iterable[Item], lamp_key: tuple[int, ...]) -> dict[tuple[int, ...], bytes]:
    """Values by class, object, attribute and element; FrameError bad_value for a wrong size."""
    found: dict[tuple[int, ...], bytes] = {}
    for item in items:
        size = 1 if item.key == lamp_key else values.SIZES.get(item.key)
        if size is None:
            continue
        if item.element == 0 and item.attribute != 0:
            if not item.data or len(item.data) % size:
                raise FrameError("bad_value")
            for n in range(len(item.data) // size):
                found[(*item.key, n + 1)] = item.data[n * size : (n + 1) * size]
        elif len(item.data) != size:
            raise FrameError("bad_value")
        else:
            found[(*item.key, item.element)] = item.data
    return found
