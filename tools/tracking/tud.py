"""TUD-Stadtmitte: walkers in a street, with the labels' own places on the ground.

`gt.txt` holds boxes in the picture and, in its last columns, where the walker stands (m). The
camera's calibration is not with the data: the homography from foot points to the ground is
fitted to the labels (least squares over all of them), so its error is in every number here alike. A
match is within 1 m, as in the 3-D track of the 2015 multiple object tracking challenge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Cov2, Size
from tools.tracking.frames import Found, Frame, GroundTracker

Floats = npt.NDArray[np.float64]

RATE_HZ = 25.0
STEP_NS = round(1e9 / RATE_HZ)
REACH_M = 1.0
FOOT_PX = 5.0  # 1 σ of a box's lower edge: a detector's box ends a few pixels off the feet
LEAST_SCORE = 0.5


class Street:
    """The scene: frames of detections on the ground, and who really was where."""

    def __init__(self, folder: Path) -> None:
        labels = np.loadtxt(folder / "gt.txt", delimiter=",", ndmin=2)
        found = np.loadtxt(folder / "det_frcnn.txt", delimiter=",", ndmin=2)
        feet = np.stack((labels[:, 2] + labels[:, 4] / 2, labels[:, 3] + labels[:, 5]), axis=1)
        self._to_ground = _homography(feet, labels[:, 7:9])
        self.fit_m = float(np.median(np.hypot(*(self.ground(feet) - labels[:, 7:9]).T)))
        """Median distance between the labels' places and their boxes' feet on the ground."""
        self._found = found[found[:, 6] >= LEAST_SCORE]
        self.last = int(labels[:, 0].max())
        self.truth: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
        for row in labels:
            self.truth[int(row[0])].append((int(row[1]), float(row[7]), float(row[8])))

    def ground(self, pixels: Floats) -> Floats:
        """N × 2 places (m) of N × 2 pixels."""
        lifted = np.column_stack((pixels, np.ones(len(pixels)))) @ self._to_ground.T
        placed: Floats = lifted[:, :2] / lifted[:, 2:]
        return placed

    def frames(self) -> Iterator[Frame]:
        """Detections on the ground, with the pixels' noise carried there."""
        for number in range(1, self.last + 1):
            rows = self._found[self._found[:, 0] == number]
            feet = np.stack((rows[:, 2] + rows[:, 4] / 2, rows[:, 3] + rows[:, 5]), axis=1)
            here = self.ground(feet)
            aside, below = (self.ground(feet + step) for step in np.eye(2))
            slope = FOOT_PX * np.stack((aside - here, below - here), axis=2)
            covs = slope @ slope.transpose(0, 2, 1)
            found = tuple(
                Found(
                    float(x),
                    float(y),
                    Cov2(float(c[0, 0]), float(c[0, 1]), float(c[1, 1])),
                    Size(0.5, 0.5, 1.75),
                    ObjectClass.PEDESTRIAN,
                    float(score),
                )
                for (x, y), c, score in zip(here, covs, rows[:, 6], strict=True)
            )
            yield Frame(number * STEP_NS, "camera", found)

    def judged(self, tracker: GroundTracker) -> dict[str, float]:
        """CLEAR MOT on the ground: mota, switches, recall, precision, and mean error (m)."""
        objects = hits = false = switches = 0
        errors: list[float] = []
        had: dict[int, int] = {}
        for number, frame in enumerate(self.frames(), start=1):
            told, truth = tracker.step(frame), self.truth[number]
            away = np.array(
                [[np.hypot(one.x - x, one.y - y) for one in told] for _, x, y in truth]
            ).reshape(len(truth), len(told))
            rows, columns = linear_sum_assignment(np.where(away <= REACH_M, away, 1e6))
            pairs = [(i, j) for i, j in zip(rows, columns, strict=True) if away[i, j] <= REACH_M]
            for i, j in pairs:
                person, track = truth[i][0], told[j].id
                switches += had.get(person, track) != track
                had[person] = track
                errors.append(float(away[i, j]))
            objects += len(truth)
            hits += len(pairs)
            false += len(told) - len(pairs)
        return {
            "mota": 1.0 - (objects - hits + false + switches) / objects,
            "switches": switches,
            "recall": hits / objects,
            "precision": hits / max(hits + false, 1),
            "error_m": float(np.mean(errors)) if errors else float("nan"),
        }


def _homography(pixels: Floats, places: Floats) -> Floats:
    """3 × 3, pixels → metres, by OpenCV's least squares."""
    import cv2

    found, _ = cv2.findHomography(pixels, places, 0)
    return np.asarray(found, dtype=np.float64)
