"""What fusion knows about each road user class: how it moves and what it is mistaken for.

In: a class; out: array constants indexed by the class's place in `CLASSES`. Every table here is
indexed the same way, so a batch of tracks looks its parameters up with one fancy index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rsu.config.fusion import MotionOptions
from rsu.schema.sensing import ObjectClass

CLASSES: tuple[ObjectClass, ...] = tuple(ObjectClass)
"""Order of classes in every array of this package: declaration order, fixed by the schema."""

CLASS_INDEX: dict[ObjectClass, int] = {c: i for i, c in enumerate(CLASSES)}
UNKNOWN = CLASS_INDEX[ObjectClass.UNKNOWN]

MOTOR: npt.NDArray[np.bool_] = np.array([c.is_motor for c in CLASSES])
"""Classes that follow constant turn rate and velocity once they move; the rest walk or roll freely
and follow constant velocity."""

_C = ObjectClass

# 1 σ of the speed of an object seen for the first time, m/s. Urban speeds: 10 m/s covers 30 m/s
# at 3 σ; 1.5 m/s covers a runner; 4 m/s covers a fast cyclist.
_FIRST_SPEED = {
    _C.UNKNOWN: 8.0, _C.PEDESTRIAN: 1.5, _C.BICYCLE: 4.0, _C.MOTORCYCLE: 10.0, _C.CAR: 10.0,
    _C.VAN: 10.0, _C.TRUCK: 8.0, _C.BUS: 8.0, _C.ANIMAL: 3.0, _C.OBSTACLE: 0.5,
}  # fmt: skip

# Power spectral density of white acceleration, m²/s³: its root is the 1 σ change of speed in one
# second. Cars brake with 2-3 m/s² but rarely for long; people change by about 0.3 m/s.
_ACCELERATION = {
    _C.UNKNOWN: 1.0, _C.PEDESTRIAN: 0.08, _C.BICYCLE: 0.5, _C.MOTORCYCLE: 2.5, _C.CAR: 2.0,
    _C.VAN: 2.0, _C.TRUCK: 1.0, _C.BUS: 1.0, _C.ANIMAL: 0.8, _C.OBSTACLE: 0.05,
}  # fmt: skip

# Slowest speed that counts as motion, m/s: slow walking for free movers; for vehicles above the
# apparent motion that box jitter gives a parked car.
_LEAST_SPEED = {c: (1.0 if c.is_motor else 0.4) for c in CLASSES}

# Outer size assumed until a sensor gives one, m (length, width, height): common design vehicles.
_SIZE = {
    _C.UNKNOWN: (2.0, 1.5, 1.5), _C.PEDESTRIAN: (0.5, 0.5, 1.7), _C.BICYCLE: (1.8, 0.6, 1.7),
    _C.MOTORCYCLE: (2.2, 0.8, 1.6), _C.CAR: (4.5, 1.8, 1.5), _C.VAN: (5.5, 2.0, 2.3),
    _C.TRUCK: (9.0, 2.5, 3.5), _C.BUS: (12.0, 2.55, 3.2), _C.ANIMAL: (1.0, 0.5, 0.8),
    _C.OBSTACLE: (0.5, 0.5, 0.5),
}  # fmt: skip


def _table(values: dict[ObjectClass, float]) -> npt.NDArray[np.float64]:
    return np.array([values[c] for c in CLASSES])


LEAST_SPEED = _table(_LEAST_SPEED)


class Motion(NamedTuple):
    """How each class moves: `first_speed_std` m/s and `acceleration_psd` m²/s³, as tabled here."""

    first_speed_std: npt.NDArray[np.float64] = _table(_FIRST_SPEED)
    acceleration_psd: npt.NDArray[np.float64] = _table(_ACCELERATION)


def motion_of(differing: Mapping[ObjectClass, MotionOptions]) -> Motion:
    """The tables with what a site says of its own road users."""
    motion = Motion(*(column.copy() for column in Motion()))
    for name, options in differing.items():
        if options.first_speed_std is not None:
            motion.first_speed_std[CLASS_INDEX[name]] = options.first_speed_std
        if options.acceleration is not None:
            motion.acceleration_psd[CLASS_INDEX[name]] = options.acceleration**2
    return motion


DEFAULT_SIZE: npt.NDArray[np.float64] = np.array([_SIZE[c] for c in CLASSES])


def _confusion() -> npt.NDArray[np.float64]:
    """Penalty −2·ln(likelihood of the confusion) between two classes, added to the distance.

    Detectors mix up vehicle types freely and riders with walkers sometimes; a walker taken for a
    car is rare (about e⁻⁴). Unknown, animal and obstacle say too little to forbid anything.
    """
    group = {
        _C.UNKNOWN: 0, _C.ANIMAL: 0, _C.OBSTACLE: 0, _C.PEDESTRIAN: 1, _C.BICYCLE: 2,
        _C.MOTORCYCLE: 2, _C.CAR: 3, _C.VAN: 3, _C.TRUCK: 3, _C.BUS: 3,
    }  # fmt: skip
    between = np.array(
        [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 8.0], [0.0, 2.0, 0.0, 4.0], [0.0, 8.0, 4.0, 0.0]]
    )
    index = np.array([group[c] for c in CLASSES])
    return np.asarray(between[np.ix_(index, index)])


CONFUSION = _confusion()
