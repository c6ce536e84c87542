"""How long it takes to put one frame's boxes on the ground: ms per frame, by number of boxes.

    python tools/bench_projection.py [--frames N] [--json] [--against EARLIER.json]

Boxes of cars, vans, buses and walkers at 15–60 m of a camera 8 m high, every size and heading
drawn from a fixed seed, go through `GroundProjector.place`. Times are medians of processor time;
beside them stands their share of a detector's 25 ms per frame (nano model, one core) and, with
`--against` what `--json` printed before a change, how many times faster it has become.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np

from rsu.config.cameras import CameraOptions
from rsu.perception.projection import GroundProjector
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.units import Box

COUNTS = (1, 3, 10, 30)
DETECTOR_MS = 25.0
WIDTH, HEIGHT, FOCAL = 1280, 768, 640.0
KINDS = (
    (ObjectClass.CAR, 4.4, 1.8, 1.5),
    (ObjectClass.VAN, 5.1, 2.0, 2.2),
    (ObjectClass.BUS, 11.5, 2.55, 3.2),
    (ObjectClass.PEDESTRIAN, 0.7, 0.6, 1.75),
)


def camera(*, lens: bool) -> CameraOptions:
    """8 m above the origin, looking north and 20° down; with or without distortion."""
    distortion = (-0.05, 0.01) if lens else ()
    return CameraOptions.model_validate(
        {
            "id": "bench",
            "source": {"driver": "sim"},
            "calibration": {
                "kind": "pose",
                "image_width": WIDTH,
                "image_height": HEIGHT,
                "lens": {
                    "fx": FOCAL, "fy": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2,
                    "distortion": distortion,
                },
                "pose": {"x": 0, "y": 0, "z": 8, "heading": 0, "tilt": 20},
            },
            "detector": {"driver": "motion"},
        }
    )  # fmt: skip


def boxes(projector: GroundProjector, count: int) -> list[ImageDetection]:
    """Image boxes of `count` blocks that lie wholly inside the image."""
    rng = np.random.default_rng(1)
    found: list[ImageDetection] = []
    while len(found) < count:
        object_class, *size = KINDS[int(rng.integers(len(KINDS)))]
        corners = np.array(np.meshgrid((-0.5, 0.5), (-0.5, 0.5), (0, 1))).reshape(3, -1).T * size
        turn, range_, bearing = rng.uniform((0, 15, -0.5), (math.tau, 60, 0.5))
        x = corners[:, 0] * math.cos(turn) - corners[:, 1] * math.sin(turn)
        y = corners[:, 0] * math.sin(turn) + corners[:, 1] * math.cos(turn)
        foot = range_ * math.sin(bearing), range_ * math.cos(bearing)
        points = np.column_stack((x + foot[0], y + foot[1], corners[:, 2]))
        pixels, _ = projector.camera.project(points)
        (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
        if left > 40 and top > 40 and right < WIDTH - 40 and bottom < HEIGHT - 40:
            box = Box(float(left), float(top), float(right - left), float(bottom - top))
            found.append(ImageDetection(object_class=object_class, score=0.9, box=box))
    return found


def measure(projector: GroundProjector, seen: list[ImageDetection], frames: int) -> float:
    """Median milliseconds of processor time per frame."""
    projector.place(seen, WIDTH, HEIGHT)
    times = []
    for _ in range(frames):
        begin = time.process_time_ns()
        projector.place(seen, WIDTH, HEIGHT)
        times.append(time.process_time_ns() - begin)
    return float(np.median(times)) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--against", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    before = json.loads(arguments.against.read_text("utf-8")) if arguments.against else []
    earlier = {(row["lens"], row["boxes"]): row["ms"] for row in before}
    rows = []
    for lens in (False, True):
        projector = GroundProjector(camera(lens=lens))
        for count in COUNTS:
            spent = measure(projector, boxes(projector, count), arguments.frames)
            rows.append({"lens": lens, "boxes": count, "ms": spent, "share": spent / DETECTOR_MS})
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{'lens':9} {'boxes':>5} {'ms/frame':>9} {'ms/box':>7} {'of 25 ms':>9} {'faster':>7}")
    for row in rows:
        name = "distorts" if row["lens"] else "ideal"
        each = row["ms"] / row["boxes"]
        old = earlier.get((row["lens"], row["boxes"]))
        ratio = f"{old / row['ms']:6.1f}×" if old else "      –"
        print(f"{name:9} {row['boxes']:5} {row['ms']:9.2f} {each:7.3f} {row['share']:9.1%} {ratio}")


if __name__ == "__main__":
    main()
