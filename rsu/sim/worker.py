"""The simulated site as a process of a live unit: `rsu run` on a site whose cameras are modelled.

In: the site, the present, and what the unit commands its signal controllers. Out: drafts of what
the simulated devices publish, each when it would have arrived. The process host loads this class by
name, so that the runtime does not depend on the simulator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Protocol

from rsu.config.model import SiteConfig
from rsu.schema.message import Message
from rsu.schema.topics import SIGNAL_COMMAND, Topic
from rsu.schema.units import NS_PER_S, Instant
from rsu.sim.source import Arrival, Commands, open_eyes, simulated_messages


class Bus(Protocol):
    """What is heard of the unit (`rsu.runtime.bus.BusClient`)."""

    def receive(self, timeout_s: float) -> list[Message]: ...


class Surroundings(Protocol):
    """What a worker is given (`rsu.runtime.worker.Surroundings`)."""

    config: SiteConfig
    base: Path
    boot: Instant
    clock: Callable[[], Instant]

    @property
    def bus(self) -> Bus: ...


class SimulationWorker:
    """Publishes the simulated devices' messages in real time."""

    topics: frozenset[Topic] = frozenset((SIGNAL_COMMAND,))

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._arrivals: Generator[Arrival] = _nothing()
        self._next: Arrival | None = None
        self._commands: Commands = deque()

    def start(self) -> None:
        """Let the world begin now; raises SimulationError for a site that cannot be simulated."""
        config, now = self._around.config, self._around.clock()
        seed = config.simulation.seed if config.simulation else 0
        eyes = open_eyes(config, self._around.base, seed, "configured", render=False)
        self._arrivals = simulated_messages(
            config, self._around.base, seed, now.utc_ns, None, eyes=eyes,
            commands=self._commands,
        )  # fmt: skip
        self._next = next(self._arrivals, None)

    def turn(self, timeout_s: float) -> Iterable[Message]:
        """What has arrived, waiting at most `timeout_s` for the first."""
        ahead_s = timeout_s
        if self._next is not None:
            ahead_s = (self._next[0] - self._around.clock().utc_ns) / NS_PER_S
        for message in self._around.bus.receive(min(max(ahead_s, 0.0), timeout_s)):
            self._commands.append(message.payload)
        now_ns = self._around.clock().utc_ns
        while self._next is not None and self._next[0] <= now_ns:
            yield self._next[1]
            self._next = next(self._arrivals, None)

    def stop(self) -> None:
        """Let the devices' wires go."""
        self._arrivals.close()
        self._next = None


def _nothing() -> Generator[Arrival]:
    yield from ()
