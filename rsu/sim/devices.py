"""Devices of a simulated site in lock-step: each looks at the world at its own times.

A `Device` turns the world into drafts of what a real device's driver would have published, with
the arrival time of each. Cameras deliver modelled detections, or rendered pixels that go through
the real detector. Adding a kind of device is one class here and one line in `source`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from rsu.config.cameras import CameraOptions, SimSourceOptions
from rsu.config.simulation import SimulationOptions
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections, SensorKind
from rsu.schema.topics import CAMERA_DETECTIONS, SIGNAL_STATE, TRUTH
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.sim.sensors.camera import ModelledCamera
from rsu.sim.world.scene import Scene, stream
from rsu.sim.world.world import World

Arrival = tuple[int, Message]
"""(arrival, ns UTC; draft)."""

DEFAULT_CAMERA_HZ = 10.0
"""For modelled cameras whose source names no rate: the topic's usual one for fixed cameras."""
SIGNAL_PERIOD_NS = 100 * NS_PER_MS
SIGNAL_LATENCY_NS = 5 * NS_PER_MS
"""A datagram on the cabinet's own network, with the controller's own cycle of work."""
TRUTH_PERIOD_NS = 100 * NS_PER_MS
LEAST_LATENCY_NS = NS_PER_MS
"""Nothing arrives before it was captured, however the jitter falls."""
SIGNALS = "signals"
TRUTH_SOURCE = "sim"


class Device(Protocol):
    """Something that looks at the world every `period_ns`, first `phase_ns` after the start.

    `id` and `kind` are those of its health; `kind` None: it has none (the truth).
    """

    id: str
    kind: SensorKind | None
    period_ns: int
    phase_ns: int

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]: ...

    def close(self) -> None: ...


class _NothingOpen:
    """For devices that hold nothing that needs closing."""

    def close(self) -> None:
        """Nothing is open."""


class CameraDevice:
    """A camera: frames at its own phase, detections after latency and jitter, in order."""

    kind: SensorKind | None = SensorKind.CAMERA

    def __init__(
        self, camera: CameraOptions, options: SimulationOptions, seed: int, eye: Eye
    ) -> None:
        source = camera.source
        rate = source.rate_hz if isinstance(source, SimSourceOptions) else DEFAULT_CAMERA_HZ
        self.id = camera.id
        self.period_ns = round(NS_PER_S / rate)
        # Cameras are not synchronised with each other.
        self.phase_ns = int(stream(seed, f"phase/{camera.id}").integers(self.period_ns))
        self._options = options
        self._delay = stream(seed, f"latency/{camera.id}")
        self._eye = eye
        self._frame = 0
        self._last_ns = 0

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        seen = self._eye.look(world.scene(time_ns), self._frame)
        self._frame += 1
        delay = self._options.latency_s + self._options.jitter_s * self._delay.standard_normal()
        arrival = time_ns + max(round(float(delay) * NS_PER_S), LEAST_LATENCY_NS)
        self._last_ns = max(self._last_ns, arrival)  # a camera delivers its frames in order
        yield self._last_ns, Message.draft(CAMERA_DETECTIONS, self.id, time_ns, seen)

    def close(self) -> None:
        """Let the eye go."""
        self._eye.close()


class Eye(Protocol):
    """What a camera makes of the world at one moment: detections, or a look whose `result` they
    are when it is wanted (`rsu.sim.ahead`)."""

    def ready(self) -> None:
        """Wait until it can look at once."""

    def look(self, scene: Scene, frame: int) -> Any: ...

    def close(self) -> None: ...


class ModelledEye(_NothingOpen):
    """Detections without pixels."""

    def __init__(self, camera: CameraOptions, options: SimulationOptions, seed: int) -> None:
        self._camera = ModelledCamera(camera, options, stream(seed, f"camera/{camera.id}"))

    def ready(self) -> None:
        """It always is."""

    def look(self, scene: Scene, frame: int) -> CameraDetections:
        return self._camera.look(scene, frame)


class SignalDevice(_NothingOpen):
    """The signal controller of a site whose file names none: its plan, without a wire."""

    period_ns = SIGNAL_PERIOD_NS
    phase_ns = 0
    id = SIGNALS
    kind: SensorKind | None = SensorKind.SIGNAL

    def __init__(self, intersection: int) -> None:
        self._intersection = intersection

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        state = world.signal_state(time_ns, self.id, self._intersection)
        yield time_ns + SIGNAL_LATENCY_NS, Message.draft(SIGNAL_STATE, self.id, time_ns, state)


class TruthDevice(_NothingOpen):
    """What is so."""

    period_ns = TRUTH_PERIOD_NS
    phase_ns = 0
    id = TRUTH_SOURCE
    kind: SensorKind | None = None

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        yield time_ns, Message.draft(TRUTH, TRUTH_SOURCE, time_ns, world.truth(time_ns))
