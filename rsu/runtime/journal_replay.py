"""Replay by journal: repeat, step by step, what a group did in an earlier run.

In: the messages of a recording in the order they were written. Out: the inputs as they were and
the outputs as the stages make them now — the same bytes when neither code nor configuration
changed. This is the project's main regression test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from rsu.runtime.stage import StageGroup
from rsu.schema.journal import Journal, Step, StepKind
from rsu.schema.message import Header, Message
from rsu.schema.topics import JOURNAL
from rsu.schema.units import Instant

GroupBuilder = Callable[[Instant], StageGroup]
Identity = tuple[str, str, int, int]
REMEMBERED_NS = 120_000_000_000
"""How long an input waits for the step that took it. A group that lags further behind than this
has long been restarted by its supervisor (heartbeat_s ≤ minutes)."""


@dataclass
class ReplayResult:
    """How exact a replay was."""

    steps: int = 0
    starts: int = 0
    missing: list[Step] = field(default_factory=list)
    orphans: int = 0

    @property
    def exact(self) -> bool:
        """Whether every step of the journal could be repeated from its first START on."""
        return not self.missing and self.orphans == 0


class JournalReplay:
    """Repeats the steps of the groups named in `builders`.

    `builders` maps a group's name to a function that builds it anew for a boot instant. Recorded
    outputs of those groups (stages of the core publish under their own name) are left out and made
    again; all else is passed through to `sink`.
    """

    def __init__(
        self, builders: Mapping[str, GroupBuilder], sink: Callable[[Message], None]
    ) -> None:
        self._builders = builders
        self._sink = sink
        self._groups: dict[str, StageGroup] = {}
        self._inputs: dict[Identity, Message] = {}
        self._newest_ns = 0
        self._made = frozenset(
            (topic.name, stage.name)
            for build in builders.values()
            for stage in build(Instant(0, 0)).stages
            for topic in stage.outputs
        )
        self.result = ReplayResult()

    def run(self, recording: Iterable[Message]) -> ReplayResult:
        """Replay the whole recording."""
        for message in recording:
            self.feed(message)
        return self.result

    def feed(self, message: Message) -> None:
        """Take the next message of the recording."""
        if message.topic == JOURNAL:
            journal: Journal = message.payload
            if journal.group in self._builders:
                self._repeat(journal)
                return
        elif (message.header.topic, message.header.source) in self._made:
            return
        self._remember(message)
        self._sink(message)

    def _repeat(self, journal: Journal) -> None:
        for step in journal.steps:
            group = self._groups.get(journal.group)
            if step.kind is StepKind.START:
                self._groups[journal.group] = self._builders[journal.group](step.now)
                self.result.starts += 1
                continue
            if group is None or group.boot.utc_ns != journal.boot_ns:
                self.result.orphans += 1  # its START is not in this recording
                continue
            self.result.steps += 1
            if step.kind is StepKind.TICK:
                self._emit(group, group.tick(step.stage, step.now), step.now)
                continue
            message = self._inputs.get((step.topic, step.source, step.boot_ns, step.seq))
            if message is None:
                self.result.missing.append(step)
                continue
            self._emit(group, group.handle(message, step.now), step.now)

    def _emit(self, group: StageGroup, messages: list[Message], now: Instant) -> None:
        self._sink(group.take_journal(now))
        for message in messages:
            self._remember(message)
            self._sink(message)

    def _remember(self, message: Message) -> None:
        self._inputs[identity_of(message.header)] = message
        self._newest_ns = max(self._newest_ns, message.header.publish_ns)
        while self._inputs:
            oldest = next(iter(self._inputs))
            if self._newest_ns - self._inputs[oldest].header.publish_ns <= REMEMBERED_NS:
                break
            del self._inputs[oldest]


def identity_of(header: Header) -> Identity:
    """What names a message for ever."""
    return (header.topic, header.source, header.boot_ns, header.seq)
