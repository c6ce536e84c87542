"""One turn of a stage group that lives on the bus, for every worker that runs one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rsu.runtime.stage import StageGroup
from rsu.runtime.worker import Surroundings
from rsu.schema.message import Message
from rsu.schema.units import NS_PER_S, Instant


def group_turn(group: StageGroup, around: Surroundings, timeout_s: float) -> Iterator[Message]:
    """What arrived, then the ticks that are due."""
    wait_s = until_tick(group, around.clock(), timeout_s)
    yield from group_messages(group, around, around.bus.receive(wait_s))
    yield from due_ticks(group, around.clock)


def group_messages(
    group: StageGroup, around: Surroundings, messages: Iterable[Message]
) -> Iterator[Message]:
    """Take messages that have arrived; what they led to, each with its journal entry before it."""
    clock = around.clock
    for message in messages:
        began = clock()
        outputs = group.handle(message, began)
        took_s = (clock().mono_ns - began.mono_ns) / NS_PER_S
        around.meter.observe("stage_seconds", took_s, group=group.name)
        yield group.take_journal(began)
        yield from outputs


def due_ticks(group: StageGroup, clock: Callable[[], Instant]) -> list[Message]:
    """Run the ticks that are due; their journal entries and what they led to."""
    published: list[Message] = []
    while (tick := group.next_tick()) is not None and tick[0] <= clock().mono_ns:
        now = clock()
        outputs = group.tick(tick[1], now)
        published += [group.take_journal(now), *outputs]
    return published


def until_tick(group: StageGroup, now: Instant, longest_s: float) -> float:
    """Seconds until a tick is due, at most `longest_s`."""
    tick = group.next_tick()
    if tick is None:
        return longest_s
    return min(longest_s, max(0.0, (tick[0] - now.mono_ns) / NS_PER_S))
