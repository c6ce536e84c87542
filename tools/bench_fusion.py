"""How long one fusion update takes: tracks × detections, p50 and p99 in milliseconds.

    python tools/bench_fusion.py [--json]

Feeds `FusionStage` frames of one camera with as many slowly moving cars as asked for, on a grid
wide enough to keep them apart, and times `handle` once all are confirmed.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from rsu.config.fusion import FusionOptions
from rsu.fusion.stage import FusionStage
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetection, CameraDetections, ObjectClass
from rsu.schema.topics import CAMERA_DETECTIONS
from rsu.schema.units import NS_PER_S, Box, Cov2, Instant, Size, Vec2

START_NS = 1_735_689_600 * NS_PER_S
SPACING = 12.0  # m
STD = 0.7  # m


def frame_message(number: int, count: int, rng: np.random.Generator) -> Message:
    """Frame `number` of a 12.5 Hz camera that sees `count` cars."""
    side = int(np.ceil(np.sqrt(count)))
    noise = STD * rng.standard_normal((count, 2))
    capture_ns = START_NS + number * 80_000_000
    detections = tuple(
        CameraDetection(
            object_class=ObjectClass.CAR,
            score=0.8,
            box=Box(0.0, 0.0, 10.0, 10.0),
            position=Vec2(
                SPACING * (index % side) + 0.08 * 5.0 * number + float(noise[index, 0]),
                SPACING * (index // side) + float(noise[index, 1]),
            ),
            position_cov=Cov2(STD**2, 0.0, STD**2),
            size=Size(4.5, 1.8, 1.5),
        )
        for index in range(count)
    )
    payload = CameraDetections(
        sensor="bench", frame=number, capture_ns=capture_ns, image_width=1920, image_height=1080,
        detections=detections,
    )  # fmt: skip
    return Message.draft(CAMERA_DETECTIONS, "bench", capture_ns, payload)


def measure(count: int, frames: int) -> dict[str, float]:
    """Milliseconds per update with `count` tracks and detections, publishing included."""
    rng = np.random.default_rng(0)
    stage = FusionStage(FusionOptions(), Instant(START_NS, 0))
    times = []
    published = 0
    for number in range(frames + 20):
        message = frame_message(number, count, rng)
        elapsed = number * 80_000_000 + 45_000_000
        now = Instant(START_NS + elapsed, elapsed)
        begin = time.perf_counter()
        for out in stage.handle(message, now):
            published = len(getattr(out.payload, "tracks", ()))
        if number >= 20:
            times.append(1e3 * (time.perf_counter() - begin))
    p50, p99 = np.percentile(times, [50, 99])
    return {"tracks": published, "p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for count in (1, 10, 50, 100, 200):
        result = measure(count, arguments.frames)
        if arguments.json:
            print(json.dumps({"detections": count, **result}))
        else:
            print(
                f"{count:4d} detections, {result['tracks']:4d} tracks: "
                f"p50 {result['p50_ms']:6.2f} ms, p99 {result['p99_ms']:6.2f} ms"
            )


if __name__ == "__main__":
    main()
