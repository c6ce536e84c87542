"""From an image box to an object's footprint: which class, and where its centre stands.

A box's lower edge is where the object's near side meets the road, not its centre; how far the
centre lies behind it depends on the object's size and heading, which one image does not tell. So
every candidate (class × heading) is set on the road as a body such that its projection meets the
box's visible edges, and is weighed by how well the projected width and height agree with the box.
The published centre is the mean over the headings of the likeliest class; the spread over all
candidates goes into the covariance. All arrays: D detections, K candidates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.perception.camera_model import CameraModel
from rsu.perception.sizes import TYPICAL
from rsu.schema.sensing import ObjectClass

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CLASSES: tuple[ObjectClass, ...] = tuple(TYPICAL)
_DIMENSIONS: Floats = np.array(
    [(t.size.length, t.size.width, t.size.height) for t in TYPICAL.values()]
)
_ENDS: Floats = np.array([t.ends for t in TYPICAL.values()])
_SIGMA: Floats = np.array([t.sigma for t in TYPICAL.values()])
_SHARE: Floats = np.array([t.share for t in TYPICAL.values()])

# A body looks the same turned by 180°; 22.5° steps put the centre of a car within 7 cm of what
# steps of 3.75° give (cars at 30–100 m, six headings).
_HEADINGS: Floats = np.arange(8) * math.pi / 8

# Probability that a detector names a road user rightly once it has found it: a judgement; with it
# a label yields to size only when size is 70 times likelier under another class.
_LABEL_TRUST = 0.9

# Relative misfit between a real vehicle's box and its body's: rounded ends, mirrors, the detector's
# own error. On the parking-aisle clip 6 % in width and 7 % in height (30 whole cars, together with
# their differences in size); twice that, because other views were not measured.
_SHAPE = 0.12

# Share of boxes that are cut short by something in front of the object: such a box is smaller than
# its class, by any amount.
_OCCLUDED = 0.2

# Least likelihood, so that a box that fits nothing keeps its label instead of dividing by zero.
_FLOOR = 1e-9

# An unknown object takes a class only if more likely than not, and if the box is within 3 σ of it.
_NAME_FROM = 0.5
_NAME_WITHIN = 3.0

_ITERATIONS = 3  # Newton steps: within 4 cm of six steps for cars at 30–100 m, mostly < 1 mm
_LONGEST_STEP = 30.0  # m per Newton step: keeps a candidate near the horizon from leaping beyond it
_NUDGE = 0.05  # relative change of size for its numeric derivative

# A body's outline over its length, width and height: foot, ends (lowered by the class's `ends`),
# roof. Cabins are about half as long as the car and a fifth narrower than it.
_SIGNS = [(x, y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
_OUTLINE: Floats = np.array(
    [(x / 2, y / 2, 0.0) for x, y in _SIGNS]
    + [(x / 2, y / 2, 1.0) for x, y in _SIGNS]
    + [(x / 4, y * 0.4, 1.0) for x, y in _SIGNS]
)
_IS_END: Bools = np.array([False] * 4 + [True] * 4 + [False] * 4)


@dataclass(frozen=True)
class Observed:
    """Boxes in ideal pixels: `edges` (D, 4) left, top, right, bottom; `cut` (D, 4) says which of
    them are not the object's own but the image's (or crop's) border; `sigma` px, 1 σ;
    `start` (D, 2) ground point under the middle of the lower edge."""

    edges: Floats
    cut: Bools
    sigma: float
    start: Floats


@dataclass(frozen=True)
class Footprints:
    """`class_index` (D,) into CLASSES or −1: unknown; `centre` (D, 2); `spread` (D, 2, 2) variance
    from unknown heading, class and size; `breadth` (D,) how wide the box is on the road, m; `valid`
    (D,) false where no candidate is in front of the camera."""

    class_index: npt.NDArray[np.int64]
    centre: Floats
    spread: Floats
    breadth: Floats
    valid: Bools


def footprints(
    camera: CameraModel, seen: Observed, labels: npt.NDArray[np.int64], expected: Bools
) -> Footprints:
    """Classes and footprint centres.

    `labels` (D,) index CLASSES, −1 where the label is unknown. `expected` (C,) says which classes
    occur here at all: only these can name an unknown object.
    """
    count = len(labels)
    headings = len(_HEADINGS)
    dimensions = np.tile(np.repeat(_DIMENSIONS, headings, axis=0), (count, 1, 1))
    ends = np.repeat(_ENDS, headings)
    heading = np.tile(_HEADINGS, len(CLASSES))
    centre, misfit, fits = _stand(camera, seen, _Bodies(dimensions, ends, heading))
    sigma = np.repeat(_SIGMA, headings)
    likelihood, deviation = _likelihood(seen, misfit, sigma)
    likelihood = np.where(fits, likelihood, 0.0).reshape(count, len(CLASSES), headings)
    weight = likelihood * _prior(labels, expected)[:, :, np.newaxis]
    total = weight.sum(axis=(1, 2))
    valid = total > 0
    weight /= np.where(valid, total, 1.0)[:, np.newaxis, np.newaxis]

    by_class = weight.sum(axis=2)
    best = by_class.argmax(axis=1)
    rows = np.arange(count)
    centres = centre.reshape(count, len(CLASSES), headings, 2)
    chosen = weight[rows, best] / np.maximum(by_class[rows, best], 1e-300)[:, np.newaxis]
    mean = np.einsum("dh,dhi->di", chosen, centres[rows, best])
    off = np.where(weight[..., np.newaxis] > 0, centres - mean[:, np.newaxis, np.newaxis], 0.0)
    spread = np.einsum("dch,dchi,dchj->dij", weight, off, off)
    spread += _size_spread(camera, seen, best, chosen, mean)

    closest = deviation.reshape(count, len(CLASSES), headings)[rows, best].min(axis=1)
    # Something must have been measured: in a corner of the image neither side is whole.
    measured = ~(_cut_across(seen) & _cut_along(seen))
    named = measured & (by_class[rows, best] >= _NAME_FROM) & (closest <= _NAME_WITHIN)
    named |= labels >= 0
    breadth, block_centre, block_spread = _block(camera, seen)
    return Footprints(
        class_index=np.where(named, best, -1),
        centre=np.where(named[:, np.newaxis], mean, block_centre),
        spread=np.where(named[:, np.newaxis, np.newaxis], spread, block_spread),
        breadth=breadth,
        valid=valid,
    )


@dataclass(frozen=True)
class _Bodies:
    """Candidates: `dimensions` (D, K, 3), `ends` relative height and `heading`, both broadcast
    against (D, K)."""

    dimensions: Floats
    ends: Floats
    heading: Floats

    def outline(self) -> Floats:
        """Points (D, K, 12, 3) of the bodies about their own foot, turned by their heading."""
        points = self.dimensions[:, :, np.newaxis, :] * _OUTLINE
        height = np.where(_IS_END, self.ends[..., np.newaxis], 1.0)
        cos, sin = np.cos(self.heading)[..., np.newaxis], np.sin(self.heading)[..., np.newaxis]
        x, y = points[..., 0], points[..., 1]
        return np.stack((x * cos - y * sin, x * sin + y * cos, points[..., 2] * height), axis=-1)


def _stand(camera: CameraModel, seen: Observed, bodies: _Bodies) -> tuple[Floats, Floats, Bools]:
    """Set each body on the road so that it meets the box's visible edges.

    Returns centres (D, K, 2), log ratio of seen to projected width and height (D, K, 2), and
    whether the body lies wholly in front of the camera (D, K).
    """
    outline = bodies.outline()
    cut = seen.cut[:, np.newaxis]
    lifted = np.where(cut[..., 3], bodies.dimensions[..., 2] * bodies.ends, 0.0)[..., np.newaxis]
    centre = _first_guess(camera, seen, bodies)
    wanted = _anchor(seen.edges[:, np.newaxis], cut)
    fits: Bools = np.ones(centre.shape[:2], dtype=bool)
    edges = np.zeros((*centre.shape[:2], 4))
    for _ in range(_ITERATIONS):
        foot = np.concatenate((centre, np.zeros_like(lifted)), axis=-1)
        pixels, weight = camera.project(outline + foot[:, :, np.newaxis])
        fits = np.asarray((weight > 0).all(axis=-1))
        edges = np.concatenate((pixels.min(axis=-2), pixels.max(axis=-2)), axis=-1)
        jacobian = camera.ground_jacobian(np.concatenate((centre, lifted), axis=-1))
        step = _solve(jacobian, wanted - _anchor(edges, cut))
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        centre = centre + step * np.minimum(1.0, _LONGEST_STEP / np.maximum(length, 1e-9))
    size = (seen.edges[:, 2:] - seen.edges[:, :2])[:, np.newaxis]
    extent = edges[..., 2:] - edges[..., :2]
    misfit = np.log(np.maximum(size, 1.0) / np.maximum(extent, 1e-3))
    return centre, misfit, np.asarray(fits & np.isfinite(centre).all(axis=-1))


def _anchor(edges: Floats, cut: Bools) -> Floats:
    """The point (..., 2) that seen and projected box must share: made of the edges (..., 4) that
    are the object's own."""
    middle = (edges[..., 0] + edges[..., 2]) / 2.0
    across = np.where(cut[..., 0], edges[..., 2], np.where(cut[..., 2], edges[..., 0], middle))
    return np.stack((across, np.where(cut[..., 3], edges[..., 1], edges[..., 3])), axis=-1)


def _first_guess(camera: CameraModel, seen: Observed, bodies: _Bodies) -> Floats:
    """Half the object behind its near side, as the camera looks at it."""
    away = seen.start - camera.position[:2]
    bearing = np.arctan2(away[:, 1], away[:, 0])[:, np.newaxis]
    turn = bodies.heading - bearing
    length, width = bodies.dimensions[..., 0], bodies.dimensions[..., 1]
    half = (length * np.abs(np.cos(turn)) + width * np.abs(np.sin(turn))) / 2.0
    half = np.where(seen.cut[:, [3]], 0.0, half)
    direction = np.stack((np.cos(bearing), np.sin(bearing)), axis=-1)
    guess: Floats = seen.start[:, np.newaxis] + half[..., np.newaxis] * direction
    return guess


def _solve(jacobian: Floats, right: Floats) -> Floats:
    """2×2 systems by Cramer's rule: singular ones give 0 instead of an exception."""
    a, b = jacobian[..., 0, 0], jacobian[..., 0, 1]
    c, d = jacobian[..., 1, 0], jacobian[..., 1, 1]
    determinant = a * d - b * c
    regular = np.abs(determinant) > 1e-12
    inverse = np.where(regular, 1.0 / np.where(regular, determinant, 1.0), 0.0)
    first = (d * right[..., 0] - b * right[..., 1]) * inverse
    second = (a * right[..., 1] - c * right[..., 0]) * inverse
    return np.stack((first, second), axis=-1)


def _likelihood(seen: Observed, misfit: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """How well each candidate's box size agrees (D, K), and its largest deviation in σ (D, K)."""
    size = np.maximum(seen.edges[:, 2:] - seen.edges[:, :2], 1.0)
    # Two edges' noise relative to the box.
    pixel = 2.0 * (seen.sigma / size) ** 2
    deviation = np.sqrt(sigma[:, np.newaxis] ** 2 + _SHAPE**2 + pixel[:, np.newaxis])
    z = misfit / deviation
    hidden = np.stack((_cut_across(seen), _cut_along(seen)), axis=-1)
    hidden = np.broadcast_to(hidden[:, np.newaxis], z.shape)
    # A cut box may be any smaller than the object, but not larger.
    z = np.where(hidden, np.maximum(z, 0.0), z)
    whole = np.exp(-0.5 * z**2) / (deviation * math.sqrt(2.0 * math.pi))
    # In the logarithm of size a uniform share of the size has density e^misfit below 1.
    short = np.where(misfit < 0, np.exp(np.minimum(misfit, 0.0)), 0.0)
    plain = (1.0 - _OCCLUDED) * whole + _OCCLUDED * short + _FLOOR
    cut = np.exp(-0.5 * z**2) + _FLOOR
    return np.where(hidden, cut, plain).prod(axis=-1), np.abs(z).max(axis=-1)


def _cut_across(seen: Observed) -> Bools:
    """The box's width is not the object's."""
    return seen.cut[:, 0] | seen.cut[:, 2]


def _cut_along(seen: Observed) -> Bools:
    """The box's height is not the object's."""
    return seen.cut[:, 1] | seen.cut[:, 3]


def _prior(labels: npt.NDArray[np.int64], expected: Bools) -> Floats:
    """Probability (D, C) of each class before its size is looked at."""
    share = _SHARE * (expected if expected.any() else True)
    prior = np.tile(share / share.sum(), (len(labels), 1))
    known = labels >= 0
    prior[known] = (1.0 - _LABEL_TRUST) * _SHARE / _SHARE.sum()
    prior[known, labels[known]] += _LABEL_TRUST
    return prior


def _size_spread(
    camera: CameraModel, seen: Observed, best: npt.NDArray[np.int64], chosen: Floats, mean: Floats
) -> Floats:
    """Variance (D, 2, 2) from the chosen class's own spread of size, by a numeric derivative."""
    larger = np.repeat(_DIMENSIONS[best][:, np.newaxis] * (1.0 + _NUDGE), len(_HEADINGS), axis=1)
    centre, _, _ = _stand(camera, seen, _Bodies(larger, _ENDS[best][:, np.newaxis], _HEADINGS))
    moved = np.einsum("dh,dhi->di", chosen, np.where(np.isfinite(centre), centre, 0.0))
    slope = (moved - mean) / _NUDGE * _SIGMA[best][:, np.newaxis]
    spread: Floats = slope[:, :, np.newaxis] * slope[:, np.newaxis, :]
    return spread


def _block(camera: CameraModel, seen: Observed) -> tuple[Floats, Floats, Floats]:
    """An object of no known size: a block as deep as its box is broad on the road.

    Returns breadth (D,), centre (D, 2) and its variance (D, 2, 2): the depth is a guess, so the
    centre may lie anywhere in the block.
    """
    away = seen.start - camera.position[:2]
    away = away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    across = np.stack((-away[:, 1], away[:, 0]), axis=-1)
    on_road = np.column_stack((seen.start, np.zeros(len(away))))
    scale = np.linalg.norm(np.einsum("dij,dj->di", camera.ground_jacobian(on_road), across), axis=1)
    breadth = (seen.edges[:, 2] - seen.edges[:, 0]) / np.maximum(scale, 1e-6)
    half = breadth[:, np.newaxis] / 2.0
    return breadth, seen.start + away * half, half[:, :, np.newaxis] ** 2 * np.eye(2)
