"""How long one frame takes, from detections to tracks and to what they mean, in milliseconds.

    python tools/bench_fusion.py [--frames N] [--repeat N] [--json]

One camera sees as many cars as asked for, 6 m and more apart, driving slowly along the lanes of the
example junction. `fusion` times `FusionStage.handle`; `situation` what the situation stage does
with the track list that comes out (every frame is looked at, though it may pass over some);
`together` is the sum by frame. Timing starts when all are confirmed. With `--repeat` the same
frames are played so often, and each counts with its shortest time: what it costs where nothing else
wants the core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from rsu.config.load import load_site
from rsu.config.model import SiteConfig
from rsu.fusion.stage import FusionStage
from rsu.runtime.graph import load_map, viewpoints
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetection, CameraDetections, ObjectClass
from rsu.schema.topics import CAMERA_DETECTIONS
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_S, Box, Cov2, Instant, Size, Vec2
from rsu.site.lanes import LaneKind, SiteMap
from rsu.situation.assembly import situation_stage

SITE = Path(__file__).resolve().parents[1] / "configs" / "junction.yaml"
START_NS = 1_735_689_600 * NS_PER_S
PERIOD_NS = 80_000_000  # a camera of 12.5 Hz
WARM_UP = 20  # frames until everyone is confirmed
SPACING = 6.0  # m between cars of a lane, at least
SPEED = 1.0  # m/s
STD = 0.3  # m


def places(site: SiteMap, count: int) -> list[tuple[str, float]]:
    """(lane, station) of `count` cars, as evenly over the vehicle lanes as their lengths allow."""
    lanes = [lane for lane in site.lanes_of(kind=LaneKind.VEHICLE) if lane.length > 40.0]
    room = sum(lane.length - 20.0 for lane in lanes)
    gap = max(room / count * 0.95, SPACING)
    spots = [
        (lane.id, float(station))
        for lane in lanes
        for station in np.arange(2.0, lane.length - 18.0, gap)
    ]
    if len(spots) < count:
        raise SystemExit(f"{count} cars do not fit: {len(spots)} places of {SPACING:g} m")
    return spots[:count]


def frame_message(
    number: int, cars: list[tuple[str, float]], site: SiteMap, rng: np.random.Generator
) -> Message:
    """Frame `number`: every car `SPEED` further along its lane."""
    capture_ns = START_NS + number * PERIOD_NS
    noise = STD * rng.standard_normal((len(cars), 2))
    detections = []
    for (lane, station), (dx, dy) in zip(cars, noise.tolist(), strict=True):
        x, y, _ = site.lane(lane).at(station + SPEED * number * PERIOD_NS / NS_PER_S)
        detections.append(
            CameraDetection(
                object_class=ObjectClass.CAR, score=0.8, box=Box(0.0, 0.0, 10.0, 10.0),
                position=Vec2(x + dx, y + dy), position_cov=Cov2(STD**2, 0.0, STD**2),
                size=Size(4.5, 1.8, 1.5),
            )
        )  # fmt: skip
    payload = CameraDetections(
        sensor="bench", frame=number, capture_ns=capture_ns, image_width=1920, image_height=1080,
        detections=tuple(detections),
    )  # fmt: skip
    return Message.draft(CAMERA_DETECTIONS, "bench", capture_ns, payload)


def measure(count: int, frames: int, repeat: int) -> dict[str, float]:
    """Milliseconds per frame with `count` cars, by stage."""
    config = load_site(SITE)
    site = load_map(config, SITE.parent)
    cars = places(site, count)
    rng = np.random.default_rng(0)
    messages = [frame_message(number, cars, site, rng) for number in range(frames + WARM_UP)]
    played = [play(config, site, messages) for _ in range(repeat)]
    spent = 1e3 * np.min([times for times, _ in played], axis=0)
    result: dict[str, float] = {"detections": count, "tracks": played[0][1]}
    for name, column in zip(("fusion", "situation", "together"), spent.T, strict=True):
        p50, p99 = np.percentile(column, [50, 99])
        result[f"{name}_p50_ms"] = round(float(p50), 2)
        result[f"{name}_p99_ms"] = round(float(p99), 2)
    return result


def play(
    config: SiteConfig, site: SiteMap, messages: list[Message]
) -> tuple[list[tuple[float, float, float]], int]:
    """Seconds by frame (fusion, situation, together), and how many tracks were published."""
    boot = Instant(START_NS, 0)
    fusion = FusionStage(config.fusion, boot, viewpoints(config), site)
    situation = situation_stage(config.situation, site, boot)
    times = []
    published = 0
    for number, message in enumerate(messages):
        elapsed = number * PERIOD_NS + 45_000_000
        now = Instant(START_NS + elapsed, elapsed)
        begin = time.perf_counter()
        out = list(fusion.handle(message, now))
        between = time.perf_counter()
        for one in out:
            list(situation.handle(one, now))
        list(situation.tick(now))
        end = time.perf_counter()
        published = max(
            (len(one.payload.tracks) for one in out if isinstance(one.payload, TrackList)),
            default=published,
        )
        if number >= WARM_UP:
            times.append((between - begin, end - between, end - begin))
    return times, published


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object per line")
    arguments = parser.parse_args()
    if not arguments.json:
        print("  cars  tracks     fusion p50   p99   situation p50   p99   together p50   p99 (ms)")
    for count in (1, 10, 50, 100, 200):
        if sys.stderr.isatty():
            print(f"{count} cars …", end="\r", file=sys.stderr)
        result = measure(count, arguments.frames, arguments.repeat)
        if arguments.json:
            print(json.dumps(result))
            continue
        print(
            f"{count:6d}  {result['tracks']:6.0f}"
            f"{result['fusion_p50_ms']:15.2f}{result['fusion_p99_ms']:6.2f}"
            f"{result['situation_p50_ms']:16.2f}{result['situation_p99_ms']:6.2f}"
            f"{result['together_p50_ms']:15.2f}{result['together_p99_ms']:6.2f}"
        )


if __name__ == "__main__":
    main()
