"""KITTI's tracking sequences as scenes: detections in, tracks as 3-D boxes out, labels to judge by.

The folder holds `det/<Class>/<sequence>.txt.gz` (3-D detections of a lidar network) and
`gt/<sequence>.txt.gz` (labels in the layout of the KITTI tracking kit). The camera's frame (x
right, y down, z ahead) becomes ours: x ahead, y left, z up. The car that carries the sensors moves
and nothing here says how: trackers work in its frame.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Cov2, Size
from tools.tracking.ab3dmot import MOST_HIDDEN, Labelled, Moment, Tracked
from tools.tracking.frames import Found, Frame, GroundTracker

STEP_NS = 100_000_000  # lidar turns ten times a second
POSITION_STD = {"Car": 0.2, "Pedestrian": 0.08, "Cyclist": 0.2}
"""m: what trackers are told of the detections. When the car turns, everything around it swerves; a
walker's filter follows that only where it trusts what it sees."""
CLASSES = {
    "Car": ObjectClass.CAR, "Pedestrian": ObjectClass.PEDESTRIAN, "Cyclist": ObjectClass.BICYCLE,
}  # fmt: skip
_NEIGHBOURS = {"Car": ("Van",), "Pedestrian": ("Person", "Person_sitting"), "Cyclist": ()}
T = TypeVar("T")
Image = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Detection:
    """One line of a detection file; `box` as in `overlap`, `score` the network's logit."""

    frame: int
    image: Image
    score: float
    box: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """One drive: detections and truth by frame."""

    name: str
    kind: str
    detections: tuple[tuple[Detection, ...], ...]
    truth: tuple[tuple[Labelled, ...], ...]
    dont_care: tuple[tuple[Image, ...], ...]

    def frames(self) -> Iterator[Frame]:
        """The detections on the ground."""
        variance = POSITION_STD[self.kind] ** 2
        for number, some in enumerate(self.detections):
            found = tuple(
                Found(
                    x=one.box[0], y=one.box[1], cov=Cov2(variance, 0.0, variance),
                    size=Size(*one.box[3:6]), object_class=CLASSES[self.kind],
                    score=_probability(one.score), heading=one.box[6], bottom=one.box[2],
                )
                for one in some
            )  # fmt: skip
            yield Frame((number + 1) * STEP_NS, "lidar", found)

    def moments(self, tracker: GroundTracker) -> list[Moment]:
        """What a tracker makes of the sequence, beside the truth. A track without a detection in a
        frame keeps the box it had, at its new place."""
        last: dict[int, Detection] = {}
        out = []
        for number, frame in enumerate(self.frames()):
            tracks = []
            for estimate in tracker.step(frame):
                if estimate.detection is not None:
                    last[estimate.id] = self.detections[number][estimate.detection]
                known = last.get(estimate.id)
                if known is not None:
                    box = (estimate.x, estimate.y, *known.box[2:])
                    tracks.append(Tracked(estimate.id, box, known.image, known.score))
            out.append(Moment(self.truth[number], tuple(tracks), self.dont_care[number]))
        return out


def sequences(folder: Path, kind: str) -> list[Sequence]:
    """All sequences of a folder with detections of a class (`Car`, `Pedestrian`, `Cyclist`)."""
    names = sorted(path.name.split(".")[0] for path in (folder / "det" / kind).glob("*.txt.gz"))
    return [_sequence(folder, kind, name) for name in names]


def _sequence(folder: Path, kind: str, name: str) -> Sequence:
    labels = [line.split() for line in _lines(folder / "gt" / f"{name}.txt.gz")]
    found = [_detection(line) for line in _lines(folder / "det" / kind / f"{name}.txt.gz")]
    count = 1 + max(int(words[0]) for words in labels)
    detections: list[list[Detection]] = [[] for _ in range(count)]
    truth: list[list[Labelled]] = [[] for _ in range(count)]
    dont_care: list[list[Image]] = [[] for _ in range(count)]
    for one in found:
        if one.frame < count:
            detections[one.frame].append(one)
    for words in labels:
        frame, what = int(words[0]), words[2]
        if what == "DontCare":
            x1, y1, x2, y2 = map(float, words[6:10])
            dont_care[frame].append((x1, y1, x2, y2))
        elif what == kind or what in _NEIGHBOURS[kind]:
            hidden = int(words[4]) > MOST_HIDDEN or int(words[3]) > 0
            box = _box(*map(float, words[10:17]))
            truth[frame].append(Labelled(int(words[1]), box, hidden or what != kind))
    return Sequence(
        name, kind, _frozen(detections), _frozen(truth), _frozen(dont_care)
    )  # fmt: skip


def _detection(line: str) -> Detection:
    values = [float(word) for word in line.split(",")]
    x1, y1, x2, y2 = values[2:6]
    return Detection(int(values[0]), (x1, y1, x2, y2), values[6], _box(*values[7:14]))


def _box(
    height: float, width: float, length: float, x: float, y: float, z: float, rotation: float
) -> tuple[float, ...]:
    """KITTI's box (bottom centre, rotation about the camera's y axis) in our frame."""
    return (z, -x, -y, length, width, height, -rotation - math.pi / 2)


def _probability(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt") as file:
        yield from (line for line in file if line.strip())


def _frozen(rows: Iterable[Iterable[T]]) -> tuple[tuple[T, ...], ...]:
    return tuple(tuple(row) for row in rows)
