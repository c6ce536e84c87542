"""The pictures that decide: scenarios, places and cameras that training never saw, fixed for good.

Half are the simulator's own traffic at the example junction, through cameras, styles and seeds
drawn apart from training's; the two cameras of configs/junction.yaml are among them. The other
half are invented places from streams of their own with the placing of training. Changing this list
changes what the numbers of a card mean: then measure all models again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.config.simulation import SimulationOptions
from rsu.schema.units import NS_PER_S
from rsu.sim.render.renderer import Renderer
from rsu.sim.render.style import Style
from rsu.sim.world.scene import CLEAR_DAY, Light, Weather, stream
from rsu.sim.world.world import World
from tools.detector.dataset import Labels, example_junction, labels_of
from tools.detector.maps import drawn_map
from tools.detector.scenes import camera_at, drawn_camera, drawn_scene

SEED = 774_411
"""Of everything here; training refuses it."""
_START_NS = 1_735_689_600 * NS_PER_S
_WARM_UP_NS, _BETWEEN_NS = 90 * NS_PER_S, 7 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Scenario:
    """`place`: demo (its own camera), junction (a drawn camera) or invented. `traffic` is vehicles
    and walkers per hour, for the first two."""

    name: str
    place: str
    weather: Weather
    traffic: tuple[int, int] = (1200, 500)


_NIGHT, _DUSK, _DAY = Light.NIGHT, Light.DUSK, Light.DAY
SCENARIOS = (
    Scenario("demo camera, day", "demo", CLEAR_DAY, (900, 240)),
    Scenario("demo camera, rush hour", "demo", CLEAR_DAY, (2200, 900)),
    Scenario("demo camera, dusk", "demo", Weather(_DUSK), (1200, 500)),
    Scenario("demo camera, night rain", "demo", Weather(_NIGHT, 0.6), (900, 300)),
    Scenario("junction, day", "junction", CLEAR_DAY),
    Scenario("junction, crowd", "junction", CLEAR_DAY, (1800, 2500)),
    Scenario("junction, day rain", "junction", Weather(_DAY, 0.7)),
    Scenario("junction, fog", "junction", Weather(_DAY, 0.0, 250.0)),
    Scenario("junction, dusk", "junction", Weather(_DUSK)),
    Scenario("junction, night", "junction", Weather(_NIGHT)),
    Scenario("invented, day 1", "invented", CLEAR_DAY),
    Scenario("invented, day 2", "invented", CLEAR_DAY),
    Scenario("invented, day 3", "invented", CLEAR_DAY),
    Scenario("invented, day 4", "invented", CLEAR_DAY),
    Scenario("invented, day 5", "invented", CLEAR_DAY),
    Scenario("invented, day rain", "invented", Weather(_DAY, 0.5)),
    Scenario("invented, fog", "invented", Weather(_DAY, 0.0, 400.0)),
    Scenario("invented, dusk 1", "invented", Weather(_DUSK)),
    Scenario("invented, dusk 2", "invented", Weather(_DUSK, 0.4)),
    Scenario("invented, night 1", "invented", Weather(_NIGHT)),
    Scenario("invented, night 2", "invented", Weather(_NIGHT, 0.4)),
)


def held_out(
    each: int, scenarios: tuple[Scenario, ...] = SCENARIOS
) -> Iterator[tuple[Scenario, npt.NDArray[np.uint8], Labels]]:
    """`each` pictures of every scenario with their labels, in order."""
    for scenario in scenarios:
        pictures = _placed if scenario.place == "invented" else _simulated
        for image, labels in pictures(scenario, each):
            yield scenario, image, labels


def _simulated(scenario: Scenario, count: int) -> Iterator[tuple[npt.NDArray[np.uint8], Labels]]:
    """The world's own traffic, every seven seconds; of two demo cameras in turn."""
    rng = stream(SEED, f"held-out/{scenario.name}")
    site_map = example_junction()
    vehicles, walkers = scenario.traffic
    options = SimulationOptions(vehicles_per_hour=vehicles, pedestrians_per_hour=walkers)
    world = World(site_map, options, int(rng.integers(1 << 30)), _START_NS)
    seed = int(rng.integers(1 << 30))
    if scenario.place == "demo":
        # configs/junction.yaml: fx 320, 16 m out on two corners, 8 m up, 20° down.
        renderers = [
            Renderer(
                camera_at(x=s * 16.0, y=s * 16.0, z=8.0, azimuth=azimuth, tilt=20.0, roll=0.0,
                          focal=320.0),
                site_map, seed, style=Style(),
            )
            for s, azimuth in ((1, math.radians(225.0)), (-1, math.radians(45.0)))
        ]  # fmt: skip
    else:
        style = Style.drawn(rng)
        cameras = [drawn_camera(rng, site_map) for _ in range(2)]
        renderers = [Renderer(camera, site_map, seed, style=style) for camera in cameras]
    for index in range(count):
        now = _START_NS + _WARM_UP_NS + index * _BETWEEN_NS
        world.advance(now)
        picture = renderers[index % len(renderers)].render(world.scene(now), scenario.weather)
        yield picture.image, labels_of(picture)


def _placed(scenario: Scenario, count: int) -> Iterator[tuple[npt.NDArray[np.uint8], Labels]]:
    """Road users placed as in training, at a place, by a camera and with seeds it never saw."""
    rng = stream(SEED, f"held-out/{scenario.name}")
    site_map = drawn_map(rng)
    camera, style = drawn_camera(rng, site_map), Style.drawn(rng)
    renderer = Renderer(camera, site_map, int(rng.integers(1 << 30)), style=style)
    for index in range(count):
        scene = drawn_scene(rng, site_map, camera, index * _BETWEEN_NS)
        picture = renderer.render(scene, scenario.weather)
        yield picture.image, labels_of(picture)
