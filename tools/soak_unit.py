"""The unit that `tools/soak.py` watches: one life after another in lock-step, until SIGTERM.

In: a folder, the broker's port, a seed. Each life is a start of the whole pipeline (simulator →
core → reports → outbox → MQTT, and a recorder) with some minutes of traffic in which sensors fail,
clocks step, lights fall silent and garbage is received. Out: a JSON line of numbers about every
second and one at the end of each life. Raises on anything that the unit does not survive.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from rsu.config.load import load_site
from rsu.config.model import SiteConfig
from rsu.config.running import RecordingOptions
from rsu.config.uplink import OutboxOptions, UplinkOptions
from rsu.recording.recorder import Recorder
from rsu.runtime import graph
from rsu.runtime.lockstep import LockStepHost, TimedMessage, virtual_boot
from rsu.schema.message import Message
from rsu.schema.topics import UPLINK_REPORT, V2X_RX, V2X_TX
from rsu.schema.units import NS_PER_S
from rsu.schema.v2x import ReceivedV2x
from rsu.sim.outages import clock_steps
from rsu.sim.scenario.model import Scenario
from rsu.sim.source import Commands, overheard, simulated_messages
from rsu.uplink.client import UplinkClient
from rsu.uplink.session import Backoff

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
START_NS = 1_750_000_000 * NS_PER_S
SENSORS = ("north-east", "south-west", "west", "cabinet", "receiver", "west-mast")
LOOKERS = ("north-east", "south-west", "west")
LIFE_S = (20.0, 90.0)
"""Simulated; long enough for tracks, reports and every fault, short enough for many lives."""
QUOTA_BYTES = 2_000_000
GARBAGE_EVERY_S = 2.0


@dataclass
class Books:
    """Totals over all lives."""

    sim_s: float = 0.0
    lives: int = 0
    offered: int = 0
    garbage: int = 0
    frames: int = 0
    received: int = 0  # by the recorder
    kept: int = 0
    kept_not: dict[str, int] = field(default_factory=dict)


class UnitUnderSoak:
    """Lives one life after another."""

    def __init__(self, folder: Path, port: int, seed: int, vehicles: Sequence[int]) -> None:
        self._folder, self._vehicles = folder, vehicles
        self._dice = random.Random(seed)
        self._uplink = UplinkOptions(
            host="127.0.0.1", port=port, keepalive_s=5,
            outbox=OutboxOptions(path=folder / "outbox.db", max_bytes=QUOTA_BYTES),
        )  # fmt: skip
        self._keep = RecordingOptions(
            folder=folder / "recordings", split_s=10.0, keep_bytes=5_000_000
        )
        site = load_site(CONFIGS / "junction.yaml")
        self._config: SiteConfig = site.model_copy(update={"uplink": self._uplink})
        self._books = Books()
        self._ending = threading.Event()
        self._spoken = 0.0
        signal.signal(signal.SIGTERM, lambda *_: self._ending.set())

    def run(self) -> None:
        """Live until SIGTERM."""
        while not self._ending.is_set():
            last = self._life()
            # Memory is compared between ends of lives, when everything of the life is gone.
            gc.collect()
            self._tell("life", last)

    def _life(self) -> dict[str, Any]:
        config, dice, books = self._config, self._dice, self._books
        seconds = dice.uniform(*LIFE_S)
        scenario = _scenario(dice, seconds, self._vehicles)
        start_ns = START_NS + round(books.sim_s * NS_PER_S)
        boot = virtual_boot(start_ns)
        client = UplinkClient(
            self._uplink, config.site.id, CONFIGS, boot_ns=start_ns, backoff=Backoff(0.1, 2.0)
        )
        recorder = Recorder(self._keep, CONFIGS, {"site": config.site.id}, sync=False)
        commands = Commands()

        def sink(message: Message) -> None:
            recorder.write(message)
            if message.topic == UPLINK_REPORT:
                books.offered += 1
                client.offer(message.payload)
            elif message.topic == V2X_TX:
                books.frames += 1

        host = LockStepHost(
            [build(boot) for build in graph.replayable_builders(config, CONFIGS).values()],
            overheard(sink, commands), boot, sensors=graph.sensors_of(config),
            clock_steps=clock_steps(scenario.script, start_ns),
        )  # fmt: skip
        source = simulated_messages(
            config, CONFIGS, dice.randrange(2**31), start_ns, round(seconds * NS_PER_S),
            scenario=scenario, cameras="modelled", commands=commands,
        )  # fmt: skip
        client.start()
        try:
            host.run(self._disturbed(source, start_ns, client), stop=self._ending.is_set)
        finally:
            ended = client.stop(10.0)
            recorder.close()
        books.lives += 1
        stats = recorder.stats()
        books.received += stats.received
        books.kept += stats.written
        for reason, count in stats.dropped.items():
            books.kept_not[reason] = books.kept_not.get(reason, 0) + count
        return _numbers(client) | {"ended": ended}

    def _disturbed(
        self, source: Iterable[TimedMessage], start_ns: int, client: UplinkClient
    ) -> Iterator[TimedMessage]:
        """The simulated world, with garbage on the air; numbers are told on the way."""
        dice, books, before = self._dice, self._books, self._books.sim_s
        due = start_ns
        for arrival, message in source:
            while due < arrival:
                yield due, _garbage(dice, due)
                books.garbage += 1
                due += round(dice.uniform(0.1, 2 * GARBAGE_EVERY_S) * NS_PER_S)
            books.sim_s = before + (arrival - start_ns) / NS_PER_S
            if time.monotonic() - self._spoken >= 1.0:
                self._tell("now", _numbers(client))
            yield arrival, message

    def _tell(self, what: str, uplink: dict[str, Any]) -> None:
        self._spoken = time.monotonic()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        line = {
            "what": what,
            "rss": pages * os.sysconf("SC_PAGE_SIZE"),
            "fds": len(list(Path("/proc/self/fd").iterdir())),
            "threads": threading.active_count(),
            "cpu_s": time.process_time(),
            "uplink": uplink,
            **{name: getattr(self._books, name) for name in Books.__dataclass_fields__},
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def _scenario(dice: random.Random, seconds: float, vehicles: Sequence[int]) -> Scenario:
    """Traffic of one of the densities (`vehicles` per hour) and about one fault in 20 s."""
    script: list[dict[str, Any]] = []
    for _ in range(max(1, round(seconds / 20.0))):
        lasting = {"duration_s": dice.uniform(1.0, 40.0)}
        kind = dice.choice(("fail", "fail", "skew", "move", "silence", "clock"))
        at = {"at_s": round(dice.uniform(5.0, seconds - 5.0), 1)}
        if kind == "fail":
            how = dice.choice(("gone", "frozen", "black", "late"))
            script.append(
                at | lasting | {"do": "fail-sensor", "sensor": dice.choice(SENSORS), "how": how}
            )
        elif kind == "skew":
            skew = {"sensor": dice.choice(LOOKERS), "by_s": dice.uniform(-0.5, 0.5)}
            script.append(at | lasting | {"do": "skew-sensor"} | skew)
        elif kind == "move":
            move = {"sensor": dice.choice(LOOKERS), "turn": dice.uniform(-5.0, 5.0)}
            script.append(at | lasting | {"do": "move-sensor"} | move)
        elif kind == "silence":
            script.append(at | lasting | {"do": "silence-controller"})
        else:
            script.append(at | {"do": "step-clock", "by_s": dice.choice((-3600, -1, 0.2, 3600))})
    return Scenario.model_validate(
        {
            "title": "Soak",
            "site": CONFIGS / "junction.yaml",
            "duration_s": seconds,
            "vehicles_per_hour": dice.choice(vehicles),
            "script": sorted(script, key=lambda action: action["at_s"]),
            "expect": [  # one there must be; it is not looked at
                {"expect": "message", "message": "RSM", "rate_hz": [0, 100], "during_s": [0, 1]}
            ],
        }
    )


def _garbage(dice: random.Random, at_ns: int) -> Message:
    """Octets that no unit would send."""
    payload = dice.randbytes(dice.choice((0, 1, 30, 300, 2000)))
    heard = ReceivedV2x(radio="frames", capture_ns=at_ns, payload=payload)
    return Message.draft(V2X_RX, "frames", at_ns, heard)


def _numbers(client: UplinkClient) -> dict[str, Any]:
    stats = client.stats()
    return {
        "produced": stats.produced, "delivered": stats.delivered, "queued": stats.queued,
        "dropped": stats.dropped, "degraded": stats.degraded, "connected": stats.connected,
        "quarantined": len(stats.quarantined),
    }  # fmt: skip


def main() -> None:
    """`soak_unit.py FOLDER PORT SEED VEHICLES_PER_HOUR...`."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    port, seed, *vehicles = map(int, sys.argv[2:])
    UnitUnderSoak(Path(sys.argv[1]), port, seed, vehicles).run()


if __name__ == "__main__":
    main()
