"""Measures the camera renderer: the demo junction's first camera with a full scene, one core.

    python tools/bench_render.py [--objects 30] [--frames 200]

Prints p50 and p99 of a frame in ms and frames/s per light and weather, and what setting up costs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from rsu.config.load import load_site
from rsu.config.simulation import SimulationOptions
from rsu.schema.units import NS_PER_S
from rsu.sim.render.renderer import Renderer
from rsu.sim.source import simulated_map
from rsu.sim.world.scene import Light, Scene, Weather
from rsu.sim.world.world import World

SITE = Path(__file__).parent.parent / "configs" / "junction.yaml"
WEATHERS = {
    "day": Weather(),
    "dusk": Weather(light=Light.DUSK),
    "night, rain": Weather(light=Light.NIGHT, rain=0.7),
    "fog": Weather(visibility=200.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=30, help="in the picture (default 30)")
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    config = load_site(SITE)
    site_map = simulated_map(config, SITE.parent)
    begin = time.process_time()
    renderer = Renderer(config.cameras[0], site_map, seed=1)
    print(f"set-up                {time.process_time() - begin:8.2f} s")
    scenes = crowded(renderer, site_map, options.objects)
    for name, weather in WEATHERS.items():
        begin = time.process_time()
        seen = len(renderer.render(scenes[0], weather).ids)
        first = time.process_time() - begin
        spans = []
        for index in range(options.frames):
            begin = time.process_time()
            renderer.render(scenes[index % len(scenes)], weather)
            spans.append(time.process_time() - begin)
        ms = np.array(spans) * 1e3
        print(
            f"{name:12} {seen:3} objects: first {first * 1e3:6.0f} ms, then p50 "
            f"{np.percentile(ms, 50):6.2f} ms, p99 {np.percentile(ms, 99):6.2f} ms, "
            f"{1e3 / ms.mean():6.1f} frames/s"
        )


def crowded(renderer: Renderer, site_map, objects: int) -> list[Scene]:
    """A second of scenes at 10 Hz with that many objects in the picture."""
    traffic = SimulationOptions(vehicles_per_hour=3000, pedestrians_per_hour=1500)
    start = 1_700_000_000 * NS_PER_S
    world = World(site_map, traffic, 7, start)
    result = []
    now = start + 180 * NS_PER_S
    for _ in range(10):
        now += NS_PER_S // 10
        world.advance(now)
        scene = world.scene(now)
        seen = set(renderer.render(scene).ids[:objects])
        rows = [row for row, identity in enumerate(scene.ids) if identity in seen]
        result.append(
            Scene(
                time_ns=scene.time_ns,
                ids=tuple(scene.ids[row] for row in rows),
                classes=tuple(scene.classes[row] for row in rows),
                position=scene.position[rows],
                heading=scene.heading[rows],
                speed=scene.speed[rows],
                size=scene.size[rows],
            )
        )
    return result


if __name__ == "__main__":
    main()
