"""How many times faster than real time `rsu sim` is, and where the time goes.

    python tools/bench_sim.py [--users 60] [--seconds 60] [--json]

Plays the demo junction with modelled cameras in lock-step, one core, recording included, with
demand for about as many road users as asked for (how many there were is printed). Time is the
process's own CPU time, so that a busy machine does not count; each part's own time is without that
of the parts it calls. Start-up (imports, models of the world, the warm-up before anyone looks) is
told apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BEGAN = time.process_time()

USERS_PER_HOUR = 1840.0 / 60.0
"""Demand per road user present: measured at the demo junction, valid from about 10 to 80."""
VEHICLES = 0.62
"""Share of vehicles in that demand."""
FIRST = "start-up"
REST = "host, order of messages"


class Clock:
    """CPU seconds by part; whoever is called interrupts the part that calls."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._parts = [FIRST]
        self._since = BEGAN

    def switch(self) -> None:
        """Book the time since the last switch to the present part."""
        now = time.process_time()
        self.spent[self._parts[-1]] += now - self._since
        self._since = now

    def begin(self, part: str) -> None:
        """From now on this runs instead of everything else: start-up is over."""
        self.switch()
        self._parts[0] = part

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens inside belongs to `name`."""
        self.switch()
        # The warm-up is the world's, but before the first second that counts.
        self._parts.append(FIRST if self._parts[0] == FIRST else name)
        try:
            yield
        finally:
            self.switch()
            self._parts.pop()

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, booked; what it yields one by one is worked out inside."""

        def booked(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                found = call(*args, **kwargs)
                return list(found) if isinstance(found, Iterator) else found

        return booked


def watch(clock: Clock) -> None:
    """Put the clock around the parts of a simulation."""
    from rsu.perception.projection import GroundProjector
    from rsu.recording.writer import McapFile
    from rsu.runtime.stage import StageGroup
    from rsu.sim.devices import CameraDevice, TruthDevice
    from rsu.sim.wired import ControllerDevice, RadarDevice
    from rsu.sim.world.world import World

    for part, owner, method in (
        ("world: steps", World, "advance"),
        ("world: scenes", World, "scene"),
        ("truth", TruthDevice, "look"),
        ("cameras: model", CameraDevice, "look"),
        ("cameras: placing on the road", GroundProjector, "place"),
        ("radar: model, CAN there and back", RadarDevice, "look"),
        ("signal controller", ControllerDevice, "look"),
        ("recording", McapFile, "write"),
        ("journal", StageGroup, "take_journal"),
    ):
        setattr(owner, method, clock.timed(part, getattr(owner, method)))
    create = StageGroup.__init__

    def watched(self: StageGroup, name: str, stages: Any, boot: Any) -> None:
        create(self, name, stages, boot)
        for stage in self.stages:
            for method in ("handle", "tick"):
                setattr(stage, method, clock.timed(f"stage {stage.name}", getattr(stage, method)))

    StageGroup.__init__ = watched  # type: ignore[method-assign]


def main() -> None:
    """Print × real time and a line per part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    measured = measure(arguments.users, arguments.seconds)
    if arguments.json:
        print(json.dumps(measured))
        return
    print(
        f"{measured['users']:.0f} road users, {arguments.seconds:g} s: "
        f"× {measured['real_time_factor']:.1f} real time "
        f"(start-up {measured['start_up_s']:.1f} s of CPU beside it)"
    )
    for part, own in measured["ms_per_second"].items():
        print(f"  {part:34} {own:7.1f} ms per simulated second")


def measure(users: int, seconds: float) -> dict[str, Any]:
    """CPU time of one run with about `users` road users, warmed up."""
    from rsu.cli.demo import example_site
    from rsu.cli.replay import Tally
    from rsu.config.base import utc_ns
    from rsu.config.check import checked_site
    from rsu.recording.writer import McapFile
    from rsu.runtime import graph
    from rsu.runtime.lockstep import LockStepHost, virtual_boot
    from rsu.schema.message import Message
    from rsu.schema.topics import TRUTH
    from rsu.schema.units import NS_PER_S
    from rsu.sim.source import simulated_messages

    clock = Clock()
    watch(clock)
    path = example_site("junction.yaml")
    config = checked_site(path)
    demand = USERS_PER_HOUR * users
    assert config.simulation is not None
    options = config.simulation.model_copy(
        update={
            "vehicles_per_hour": VEHICLES * demand,
            "pedestrians_per_hour": (1.0 - VEHICLES) * demand,
        }
    )
    config = config.model_copy(update={"simulation": options})
    start_ns = utc_ns("2025-06-16T07:00:00Z")
    # The first second still imports and fills tables.
    counted_ns = start_ns + NS_PER_S
    present: list[int] = []
    tally = Tally()
    with TemporaryDirectory() as scratch, McapFile(Path(scratch) / "run.mcap", {}) as recording:

        def keep(message: Message) -> None:
            tally.take(message)
            recording.write(message)
            if message.topic is TRUTH and message.payload.time_ns >= counted_ns:
                if not present:
                    clock.begin(REST)
                present.append(len(message.payload.objects))

        boot = virtual_boot(start_ns)
        builders = graph.replayable_builders(config, path.parent)
        host = LockStepHost(
            [build(boot) for build in builders.values()], keep, boot,
            sensors=graph.sensors_of(config),
        )  # fmt: skip
        host.run(
            simulated_messages(
                config, path.parent, 1, start_ns, round((seconds + 1.0) * NS_PER_S),
                cameras="modelled",
            )
        )  # fmt: skip
        clock.switch()
    first = clock.spent.pop(FIRST)
    spent = dict(sorted(clock.spent.items(), key=lambda part: -part[1]))
    return {
        "users": round(sum(present) / len(present), 1),
        "seconds": seconds,
        "real_time_factor": round(seconds / sum(spent.values()), 2),
        "start_up_s": round(first, 2),
        "ms_per_second": {part: round(1e3 * own / seconds, 2) for part, own in spent.items()},
        "v2x_sha256": tally.digest.hexdigest(),
    }


if __name__ == "__main__":
    main()
