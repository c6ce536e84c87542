"""Does the object exist? A Bernoulli recursion in log-odds for every track.

Each look of a sensor multiplies the odds of existence: up by a measurement, down by a miss, and
between looks they decay with the survival time (Musicki & Evans, "Joint integrated probabilistic
data association", 2004, the single-track case). Two corrections keep it honest with real
detectors, whose errors repeat from frame to frame while theory assumes fresh ones: the gain of one
look is bounded, and looks that follow each other closely count as fractions of a look.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsu.fusion.motion import clip
from rsu.fusion.table import FRESH_NS, NEVER, Rows

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LARGEST_GAIN = 1.6  # one look multiplies the odds by at most 5: confirmation takes four looks
LOOK_S = 0.08  # s: looks of one sensor closer than this see partly the same noise (12.5 Hz)
OCCLUSION_S = 0.25  # s: a confirmed object missed once is probably still hidden so much later
CERTAIN = 0.999  # existence is never surer than this, so that it can come down again


def decay(dt: float, survival_s: float) -> float:
    """Share of existence left after `dt` seconds in which the object may have left."""
    return math.exp(-dt / survival_s)


def after_hit(
    existence: Floats, likelihood: Floats, score: Floats, look_s: float | Floats,
    detection_probability: float, clutter_density: float,
) -> Floats:  # fmt: skip
    """Existence after a measurement.

    `likelihood` (1/m²) of the position given the track, against `clutter_density` (1/m² per look);
    `score` is the detector's own probability that the detection is real and weighs as prior odds.
    """
    evidence = (
        np.log(detection_probability / clutter_density)
        + np.log(np.maximum(likelihood, 1e-300))
        + _log_odds(score)
    )
    gain = clip(evidence, -LARGEST_GAIN, LARGEST_GAIN)
    return _shift(existence, gain * np.minimum(1.0, look_s / LOOK_S))


def after_miss(
    existence: Floats, confirmed: Bools, look_s: float, detection_probability: float | Floats
) -> Floats:
    """Existence after a responsible sensor looked and did not see it.

    A young track pays the full price, so clutter dies at once; a confirmed one is more often
    hidden than gone, and hiding lasts, so its misses weigh by the time between looks.
    """
    loss = np.log1p(-np.minimum(detection_probability, 0.99))
    young, old = min(1.0, look_s / LOOK_S), min(1.0, look_s / OCCLUSION_S)
    return _shift(existence, loss * np.where(confirmed, old, young))


def responsible(rows: Rows, column: int) -> Bools:
    """Tracks that a silent look of sensor `column` counts against.

    Fields of view are not known here, so a sensor may only miss what it was seeing: it measured
    the track, and within `FRESH_NS` of the newest measurement by anyone. A camera that an
    object has left thus stays silent about it while another still sees it, and a camera that never
    saw it has no say.
    """
    seen = rows.last_seen[:, column]
    return np.asarray((seen != NEVER) & (seen >= rows.updated_ns - FRESH_NS))


def _shift(existence: Floats, step: Floats) -> Floats:
    shifted = 1.0 / (1.0 + np.exp(-(_log_odds(existence) + step)))
    return np.asarray(np.minimum(shifted, CERTAIN))


def _log_odds(probability: Floats) -> Floats:
    safe = clip(probability, 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(safe / (1.0 - safe)))
