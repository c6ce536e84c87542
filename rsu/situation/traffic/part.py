"""Traffic: what is on every lane now, over each period, summary and signal cycle.

In: pictures, `health/sensor`, `signal/state`. Out, aligned to UTC: `LaneStates` every second,
`TrafficState` every `period_s` and (as a summary) every one of `summaries_s`; `CycleTraffic` when a
signal group turns green again. Every counted lane of the map is in every state; a map without such
lanes gives none.

A period is told once and a little later, so that evidence on its way still counts. A silent or
blind unit reports low coverage, not an empty road.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rsu.config.situation import TrafficOptions
from rsu.schema.health import SensorHealth
from rsu.schema.message import Message
from rsu.schema.signals import SignalState
from rsu.schema.topics import (
    LANES,
    SENSOR_HEALTH,
    SIGNAL_STATE,
    TRAFFIC,
    TRAFFIC_CYCLE,
    TRAFFIC_SUMMARY,
    Topic,
)
from rsu.schema.traffic import CycleTraffic, LaneStates
from rsu.schema.units import NS_PER_S, Instant
from rsu.site.lanes import SiteMap
from rsu.situation.picture import Picture
from rsu.situation.traffic.ledger import Ledger
from rsu.situation.traffic.lights import Lights, Turn
from rsu.situation.traffic.roads import Roads
from rsu.situation.traffic.statements import lane_states, lanes_traffic, traffic_state
from rsu.situation.traffic.sums import Floats, Row, Sums, added
from rsu.situation.traffic.watch import Watch

SOURCE = "traffic"
GRACE_NS = NS_PER_S  # ns after a period's end until it is told: detections are up to 0.5 s late
LONGEST_CYCLE_NS = 300 * NS_PER_S
"""Usual cycles are up to 180 s (HCM 2010, ch. 18); what takes longer was flashing or off."""


@dataclass(slots=True)
class _Cycle:
    """A cycle that is going on: the table at its beginning, the queues' peaks since."""

    start_ns: int
    green_ns: int
    table: Floats
    covered_s: float
    peaks: Floats


class Traffic:
    """The part of the situation stage that counts."""

    topics: tuple[Topic, ...] = (SENSOR_HEALTH, SIGNAL_STATE)
    outputs: tuple[Topic, ...] = (TRAFFIC, TRAFFIC_SUMMARY, TRAFFIC_CYCLE, LANES)

    def __init__(self, options: TrafficOptions, site_map: SiteMap, boot: Instant) -> None:
        self._period_ns = options.period_s * NS_PER_S
        self._summaries: dict[int, Sums | None] = {
            length * NS_PER_S: None for length in options.summaries_s
        }
        self._roads = Roads(site_map)
        self._width = len(site_map.lanes)
        self._watch = Watch(self._width)
        self._lights = Lights()
        self._ledger = Ledger(self._roads, self._watch, self._lights)
        self._periods: dict[int, list[Sums]] = {}
        self._cycles: dict[int, _Cycle] = {}
        self._told_ns = self._period_of(boot.utc_ns)  # end of what was told

    def follow(self, picture: Picture, now: Instant) -> Iterable[Message]:
        """Take one picture."""
        if not self._roads.counted:
            return []
        out = self._seconds(self._ledger.follow(picture, now))
        self._correct()
        return out + self._tell(now)

    def hear(self, message: Message, now: Instant) -> Iterable[Message]:
        """One sensor's health, or what a controller shows."""
        payload = message.payload
        if isinstance(payload, SensorHealth):
            self._watch.hear(payload, now)
        elif isinstance(payload, SignalState):
            turns, held = self._lights.hear(payload)
            if not held:
                self._cycles.clear()
            return [one for turn in turns for one in self._turn(turn)]
        return []

    def tick(self, now: Instant) -> Iterable[Message]:
        """Tell what is over."""
        if not self._roads.counted:
            return []
        if now.utc_ns < self._told_ns - self._period_ns:
            self._told_ns = self._period_of(now.utc_ns)  # set back before anybody was seen
        return self._tell(now)

    def begin_anew(self, now: Instant) -> Iterable[Message]:
        """The clock was set back: tell what is open as it is, and start counting anew."""
        far_ns = self._told_ns + (1 << 60)
        out = self._seconds(self._ledger.close(far_ns))
        out += self._close(sorted(self._periods))
        for length_ns in self._summaries:
            out += self._sum_up(length_ns)
        self._told_ns = self._period_of(now.utc_ns)
        self._ledger.forget()
        self._watch.forget()
        self._lights.forget()
        self._cycles.clear()
        return out

    def _period_of(self, time_ns: int) -> int:
        return time_ns // self._period_ns * self._period_ns

    def _seconds(self, done: list[Sums]) -> list[Message]:
        """Enter complete seconds into their periods and cycles; tell them where anybody looked."""
        out = []
        for second in done:
            for cycle in self._cycles.values():
                np.maximum(cycle.peaks, second.peaks, out=cycle.peaks)
            start_ns = self._period_of(second.start_ns)
            if start_ns >= self._told_ns:
                self._periods.setdefault(start_ns, []).append(second)
            if second.table[Row.WATCHED].any():
                lanes = lane_states(self._roads, second, self._ledger.queues)
                state = LaneStates(time_ns=second.end_ns, lanes=lanes)
                out.append(Message.draft(LANES, SOURCE, second.start_ns, state))
        return out

    def _correct(self) -> None:
        """Enter speeds that became known late into the periods that are not told yet."""
        for second_ns, lane, more in self._ledger.late:
            for second in self._periods.get(self._period_of(second_ns), ()):
                if second.start_ns == second_ns:
                    second.table[Row.SPEED, lane] += more
        self._ledger.late.clear()

    def _tell(self, now: Instant) -> list[Message]:
        """States of the periods that ended `GRACE_NS` ago.

        The newest of them is told even if nothing was seen, with coverage 0; earlier ones that a
        stalled host slept through are left out.
        """
        out = self._seconds(self._ledger.close(now.utc_ns - GRACE_NS))
        over_ns = self._period_of(now.utc_ns - GRACE_NS)  # end of the newest period over
        if over_ns <= self._told_ns:
            return out
        self._periods.setdefault(over_ns - self._period_ns, [])
        self._told_ns = over_ns
        return out + self._close([start for start in sorted(self._periods) if start < over_ns])

    def _close(self, starts: list[int]) -> list[Message]:
        out = []
        for start_ns in starts:
            parts = self._periods.pop(start_ns)
            sums = added(parts, start_ns, start_ns + self._period_ns, self._width)
            out.append(self._state(TRAFFIC, sums))
            for length_ns in self._summaries:
                out += self._add_up(length_ns, sums)
        return out

    def _add_up(self, length_ns: int, sums: Sums) -> list[Message]:
        """Enter a period into its summary; tell what is over."""
        out = []
        start_ns = sums.start_ns // length_ns * length_ns
        last = self._summaries[length_ns]
        if last is not None and last.start_ns != start_ns:
            out += self._sum_up(length_ns)
            last = None
        parts = [sums] if last is None else [last, sums]
        end_ns = start_ns + length_ns
        self._summaries[length_ns] = added(parts, start_ns, end_ns, self._width)
        return out + (self._sum_up(length_ns) if sums.end_ns == end_ns else [])

    def _sum_up(self, length_ns: int) -> list[Message]:
        sums, self._summaries[length_ns] = self._summaries[length_ns], None
        return [] if sums is None else [self._state(TRAFFIC_SUMMARY, sums)]

    def _state(self, topic: Topic, sums: Sums) -> Message:
        state = traffic_state(self._roads, sums)
        return Message.draft(topic, SOURCE, sums.start_ns, state)

    def _turn(self, turn: Turn) -> list[Message]:
        """A group's cycle is over and the next one begins."""
        lanes = self._roads.governed(turn.group)
        if not lanes:
            return []
        ledger = self._ledger
        last = self._cycles.get(turn.group)
        self._cycles[turn.group] = _Cycle(
            turn.time_ns, turn.green_ns, ledger.table.copy(), ledger.covered_s,
            ledger.peaks.copy(),
        )  # fmt: skip
        if last is None or not 0 < turn.time_ns - last.start_ns <= LONGEST_CYCLE_NS:
            return []
        sums = Sums(
            last.start_ns, turn.time_ns, ledger.table - last.table,
            np.maximum(last.peaks, ledger.peaks), ledger.covered_s - last.covered_s,
        )  # fmt: skip
        state = CycleTraffic(
            group=turn.group, start_ns=last.start_ns, end_ns=turn.time_ns,
            green_s=(turn.green_ns - last.green_ns) / NS_PER_S,
            lanes=lanes_traffic(self._roads, sums, lanes),
        )  # fmt: skip
        return [Message.draft(TRAFFIC_CYCLE, SOURCE, last.start_ns, state)]
