"""The lock-step host: one process, virtual time, exactly reproducible.

In: timed messages from a source (recorded frames, a simulated world, a recording) or the journal of
an earlier run. Out: every message in the order it arose, handed to `sink`. The same source and
the same boot give the same bytes; `rate` paces virtual time against the wall clock without
changing anything else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rsu.runtime.capability import Alarms, capability_of
from rsu.runtime.stage import StageGroup, Stamp
from rsu.schema.health import Capability, ClockQuality, SensorHealth, UnitHealth
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import SENSOR_ALARM, SENSOR_HEALTH, UNIT_HEALTH, Topic
from rsu.schema.units import NS_PER_S, Instant

Sink = Callable[[Message], None]
TimedMessage = tuple[int, Message]
"""(arrival time, UTC ns; the message, stamped or draft)."""
ClockStep = tuple[int, int]
"""(true time, UTC ns; by how much the wall clock jumps, ns)."""


class LockStepHost:
    """Runs stage groups in virtual time.

    Messages that one group publishes reach the other groups that want them at the same instant.
    Groups in `journaled` publish their journal, so that the recording replays without the
    messages the others took (camera frames are never recorded).
    """

    def __init__(
        self,
        groups: Sequence[StageGroup],
        sink: Sink,
        boot: Instant,
        *,
        journaled: Iterable[str] = ("core",),
        sensors: Mapping[str, SensorKind] | None = None,
        clock_steps: Sequence[ClockStep] = (),
    ) -> None:
        """`sensors` are those that the unit's capability follows from; None: it is always full.
        `clock_steps` are jumps of the unit's wall clock, in true time."""
        self._groups = tuple(groups)
        self._sensors = sensors
        self._clock_steps = tuple(sorted(clock_steps))
        self._sink = sink
        self._boot = boot
        self._journaled = frozenset(journaled)
        self._stamp = Stamp(boot)
        self._alarms = Alarms()
        inputs = {topic for group in self._groups for topic in group.inputs}
        self._takers = {
            topic.name: tuple(group for group in self._groups if topic in group.inputs)
            for topic in inputs
        }

    def run(
        self,
        source: Iterable[TimedMessage],
        *,
        rate: float = 0.0,
        began_mono_ns: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Feed the source to the end; return the virtual time reached (UTC ns).

        `rate` 0: as fast as possible; 1: as the recording went. `began_mono_ns` is the real
        monotonic time that stands for the boot instant (default: now). `stop` is asked before
        each message.
        """
        pace = _Pace(self._boot.utc_ns, rate, began_mono_ns or time.monotonic_ns())
        reached = self._boot.utc_ns
        for arrival, message in self._with_unit_health(source):
            if stop():
                break
            pace.wait_until(arrival, stop)
            self._run_ticks(arrival)
            reached = max(arrival, reached)
            now = self._instant(reached)
            self._deliver(self._stamp.complete(message, now), now)
        return reached

    def _instant(self, true_ns: int) -> Instant:
        """What the unit's clocks show at a true time, ns UTC."""
        stepped = 0
        if self._clock_steps:
            stepped = sum(by_ns for at_ns, by_ns in self._clock_steps if at_ns <= true_ns)
        return Instant(true_ns + stepped, self._boot.mono_ns + true_ns - self._boot.utc_ns)

    def _run_ticks(self, until_true_ns: int) -> None:
        until = self._boot.mono_ns + until_true_ns - self._boot.utc_ns
        while True:
            due = [
                (tick[0], index, tick[1])
                for index, group in enumerate(self._groups)
                if (tick := group.next_tick()) is not None and tick[0] <= until
            ]
            if not due:
                return
            when, index, stage = min(due)
            now = self._instant(self._boot.utc_ns + when - self._boot.mono_ns)
            group = self._groups[index]
            self._publish(group, group.tick(stage, now), now)

    def _with_unit_health(self, source: Iterable[TimedMessage]) -> Iterator[TimedMessage]:
        # In virtual time the clock is exact by definition; say so once a second like a live unit.
        # A recorded source brings its own unit health and is passed through as it is.
        own = False
        due = self._boot.utc_ns
        reports: dict[str, SensorHealth] = {}
        for arrival, message in source:
            own = own or (message.topic is UNIT_HEALTH)
            while not own and due <= arrival:
                yield due, self._virtual_health(due, reports)
                due += NS_PER_S
            if message.topic is SENSOR_HEALTH:
                reports[message.payload.sensor] = message.payload
            yield arrival, message

    def _virtual_health(self, true_ns: int, reports: Mapping[str, SensorHealth]) -> Message:
        capability, alarms = Capability.FULL, self._alarms.standing(true_ns)
        # In the first second nobody has reported yet, and nothing is wrong.
        if self._sensors and reports:
            capability = capability_of(self._sensors, reports, true_ns, alarms)
        time_ns = self._instant(true_ns).utc_ns
        health = UnitHealth(
            time_ns=time_ns, clock=ClockQuality.LOCKED, capability=capability, alarms=alarms
        )
        return Message.draft(UNIT_HEALTH, "unit", time_ns, health)

    def _deliver(self, message: Message, now: Instant) -> None:
        self._sink(message)
        for group in self._takers.get(message.topic.name, ()):
            self._publish(group, group.handle(message, now), now)

    def _publish(self, group: StageGroup, messages: Sequence[Message], now: Instant) -> None:
        journal = group.take_journal(now)
        if group.name in self._journaled:
            self._sink(journal)
        waiting = deque(messages)
        for message in messages:
            self._sink(message)
            if message.topic is SENSOR_ALARM:
                self._alarms.take(message.payload)
        while waiting:
            message = waiting.popleft()
            for other in self._takers.get(message.topic.name, ()):
                if other is not group:
                    self._publish(other, other.handle(message, now), now)


def virtual_boot(start_utc_ns: int) -> Instant:
    """Boot instant of a run in virtual time: the monotonic clock starts at 1 s."""
    return Instant(start_utc_ns, NS_PER_S)


class _Pace:
    """Holds virtual time back to `rate` times the wall clock."""

    def __init__(self, start_ns: int, rate: float, began_mono_ns: int) -> None:
        self._start_ns = start_ns
        self._rate = rate
        self._began_s = began_mono_ns / NS_PER_S

    def wait_until(self, virtual_ns: int, stop: Callable[[], bool]) -> None:
        if self._rate <= 0:
            return
        due = self._began_s + (virtual_ns - self._start_ns) / NS_PER_S / self._rate
        while (left := due - time.monotonic()) > 0 and not stop():
            time.sleep(min(left, 0.1))


def wanted_topics(groups: Sequence[StageGroup]) -> frozenset[Topic]:
    """Topics that must come from the source because no group makes them."""
    made = frozenset(topic for group in groups for topic in group.outputs)
    return frozenset(topic for group in groups for topic in group.inputs) - made
