"""What a worker is: one role of a child process, and what the child loop gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rsu.config.model import SiteConfig
from rsu.runtime.bus import BusClient
from rsu.runtime.metrics import Meter
from rsu.schema.message import Message
from rsu.schema.topics import Topic
from rsu.schema.units import Instant


@dataclass
class Surroundings:
    """What the child loop gives a worker."""

    config: SiteConfig
    base: Path
    boot: Instant
    clock: Callable[[], Instant]
    bus: BusClient
    meter: Meter


class Worker(Protocol):
    """One role. `start` may raise; the child reports it and exits, the supervisor tries again.

    `topics` is what it hears on the bus, which is opened between construction and `start`. A worker
    that also has `told_of(config)` hears of changes of the configuration outside of its own part:
    those of its part start it anew (`rsu.runtime.reload`).
    """

    @property
    def topics(self) -> frozenset[Topic]: ...

    def start(self) -> None: ...

    def turn(self, timeout_s: float) -> Iterable[Message]: ...

    def stop(self) -> None: ...
