"""The stage contract and the group that runs stages one call at a time.

A stage is a deterministic state machine without I/O: messages and ticks in, messages out, time
only through `now`. A `StageGroup` holds the stages that share a process, routes what they produce
among themselves, completes message headers and writes the journal of its inputs. Both hosts
(`rsu.runtime.lockstep`, `rsu.runtime.process_host`) drive the very same class, which is why a
recording of a live run can be replayed byte for byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from rsu.schema.journal import Journal, Step, StepKind
from rsu.schema.message import Message
from rsu.schema.topics import JOURNAL, Topic
from rsu.schema.units import Instant


class Stage(Protocol):
    """A deterministic state machine without I/O.

    `handle` takes one message of `inputs`; `tick` is called every `period_ns` of monotonic time
    (None: never). Both return drafts (`Message.draft`) on `outputs`. No stage reads a clock, a
    file, a socket, the environment or an unseeded random source.
    """

    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> tuple[Topic, ...]: ...

    @property
    def outputs(self) -> tuple[Topic, ...]: ...

    @property
    def period_ns(self) -> int | None: ...

    def handle(self, message: Message, now: Instant) -> Iterable[Message]: ...

    def tick(self, now: Instant) -> Iterable[Message]: ...


class Stamp:
    """Completes drafts: numbers them per topic and source from 0, counted since `boot`."""

    def __init__(self, boot: Instant) -> None:
        self._boot_ns = boot.utc_ns
        self._next: dict[tuple[str, str], int] = {}

    def complete(self, message: Message, now: Instant) -> Message:
        """The message with its identity; one that has it already is returned as it is."""
        header = message.header
        if header.seq >= 0:
            return message
        key = (header.topic, header.source)
        seq = self._next.get(key, 0)
        self._next[key] = seq + 1
        return message.stamped(self._boot_ns, seq, now.utc_ns)


class StageGroup:
    """Stages of one process, called strictly one after another.

    `boot` seeds message identity and everything the stages randomise: the same boot and the same
    steps give the same output. The journal grows until `take_journal` empties it; the host calls
    that after every step.
    """

    def __init__(self, name: str, stages: Sequence[Stage], boot: Instant) -> None:
        self.name = name
        self.stages = tuple(stages)
        self.boot = boot
        self._stamp = Stamp(boot)
        self._due: list[int | None] = [
            None if stage.period_ns is None else boot.mono_ns + stage.period_ns
            for stage in self.stages
        ]
        self._steps: list[Step] = [Step(StepKind.START, boot)]
        self._journaled = 0
        wanted = frozenset(topic for stage in self.stages for topic in stage.inputs)
        self.outputs: frozenset[Topic] = frozenset(
            topic for stage in self.stages for topic in stage.outputs
        )
        """Topics that this group publishes."""
        self.inputs: frozenset[Topic] = wanted - self.outputs
        """Topics that must come from outside: wanted by a stage and made by none in the group."""
        self._takers = {
            topic.name: tuple(stage for stage in self.stages if topic in stage.inputs)
            for topic in wanted
        }

    def handle(self, message: Message, now: Instant) -> list[Message]:
        """Give one outside message to every stage that wants it; return all that it led to."""
        header = message.header
        self._steps.append(
            Step(
                StepKind.MESSAGE, now, header.topic, header.source, header.boot_ns, header.seq
            )
        )  # fmt: skip
        return self._cascade(deque((message,)), now, published=[])

    def next_tick(self) -> tuple[int, int] | None:
        """(monotonic ns, stage index) of the earliest tick, None when no stage ticks."""
        due = [(when, index) for index, when in enumerate(self._due) if when is not None]
        return min(due, default=None)

    def tick(self, index: int, now: Instant) -> list[Message]:
        """Tick one stage and set its next tick a whole number of periods after `boot`.

        A host that was held up thus skips the ticks it missed instead of running them in a burst.
        """
        stage = self.stages[index]
        if stage.period_ns is None:
            raise ValueError(f"stage {stage.name!r} does not tick")
        missed = (now.mono_ns - self.boot.mono_ns) // stage.period_ns
        self._due[index] = self.boot.mono_ns + (missed + 1) * stage.period_ns
        self._steps.append(Step(StepKind.TICK, now, stage=index))
        published = [self._stamp.complete(draft, now) for draft in stage.tick(now)]
        return self._cascade(deque(published), now, published=published)

    def take_journal(self, now: Instant) -> Message:
        """The steps since the last call as a message, to be published before their output."""
        steps = tuple(self._steps)
        self._steps.clear()
        journal = Journal(
            group=self.name, boot_ns=self.boot.utc_ns, first=self._journaled, steps=steps
        )
        self._journaled += len(steps)
        return self._stamp.complete(Message.draft(JOURNAL, self.name, now.utc_ns, journal), now)

    def _cascade(
        self, queue: deque[Message], now: Instant, *, published: list[Message]
    ) -> list[Message]:
        # Breadth first, stages in their declared order: one fixed order, live and in replay.
        while queue:
            message = queue.popleft()
            for stage in self._takers.get(message.topic.name, ()):
                for draft in stage.handle(message, now):
                    stamped = self._stamp.complete(draft, now)
                    published.append(stamped)
                    queue.append(stamped)
        return published
