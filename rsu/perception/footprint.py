"""From an image box to an object's footprint: which class, and where its centre stands.

A box's lower edge is where the object's near side meets the road, not its centre; how far the
centre lies behind it depends on the object's size and heading, which one image does not tell. So
every candidate (class × heading) is set on the road as a body such that its projection meets the
box's visible edges, and is weighed by how well the projected width and height agree with the box.
The published centre is the mean over the headings of the likeliest class; the spread over all
candidates goes into the covariance. In shapes: D detections, C classes, K candidates.
"""

from __future__ import annotations

import math
from typing import NamedTuple

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
_SHAPES: Floats = np.array([(t.ends, t.overhang, t.clearance) for t in TYPICAL.values()])
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

# Variance (K,) of the logarithm of a candidate's size against its class's: classes × headings.
_RELATIVE_VARIANCE: Floats = np.repeat(_SIGMA**2 + _SHAPE**2, len(_HEADINGS))

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

# A body's outline over its length, width and height: wheels (set back by the class's `overhang`),
# ends below (`clearance` above the road) and above (lowered by `ends`), roof. Cabins are about half
# as long as the car and a fifth narrower than it.
_SIGNS = [(x, y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
_OUTLINE: Floats = np.array(
    [(x / 2, y / 2, 0.0) for x, y in _SIGNS] * 2
    + [(x / 2, y / 2, 1.0) for x, y in _SIGNS]
    + [(x / 4, y * 0.4, 1.0) for x, y in _SIGNS]
)
_WHEEL, _CHIN, _END = (np.arange(16) // 4 == part for part in range(3))


class Observed:
    """Boxes in ideal pixels: `edges` (D, 4) left, top, right, bottom; `cut` (D, 4) says which of
    them are not the object's own but the image's (or crop's) border; `sigma` px, 1 σ;
    `start` (D, 2) ground point under the middle of the lower edge.

    Derived: `size` (2, D) width and height, at least 1 px; `hidden` (2, D) whether they are not the
    object's; `away` (D, 2) unit vector from the camera's foot to `start`.
    """

    def __init__(
        self, camera: CameraModel, edges: Floats, cut: Bools, sigma: float, start: Floats
    ) -> None:
        self.edges, self.cut, self.sigma, self.start = edges, cut, sigma, start
        self.size: Floats = np.maximum((edges[:, 2:] - edges[:, :2]).T, 1.0)
        self.hidden: Bools = (cut[:, :2] | cut[:, 2:]).T
        away = start - camera.position[:2]
        length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-9)
        self.away: Floats = away / length[:, np.newaxis]

    def anchor_share(self) -> Floats:
        """What left and upper edge (2, D) count in the point that seen and projected box must
        share; right and lower edge count the rest. Made of edges that are the object's own: its
        middle and lower edge, unless they are cut."""
        share = np.zeros((2, len(self.cut)))
        share[0] = np.where(self.cut[:, 0], 0.0, np.where(self.cut[:, 2], 1.0, 0.5))
        share[1] = self.cut[:, 3]
        return share


class Footprints(NamedTuple):
    """`class_index` (D,) into CLASSES or −1: unknown; `centre` (D, 2); `spread` (D, 2, 2) variance
    from unknown heading, class and size; `breadth` (D,) how wide the box is on the road, m, 0 where
    the label has a typical size; `valid` (D,) false where no candidate is in front of the camera.
    """

    class_index: npt.NDArray[np.int64]
    centre: Floats
    spread: Floats
    breadth: Floats
    valid: Bools


class FootprintFinder:
    """One camera's candidates; what does not depend on a box is computed once, here."""

    def __init__(self, camera: CameraModel, expected: Bools) -> None:
        """`expected` (C,) says which classes occur here at all: only these can name an unknown
        object."""
        self._camera = camera
        self._priors = _priors(expected)
        sizes = np.concatenate((_DIMENSIONS, _DIMENSIONS * (1.0 + _NUDGE)))
        self._bodies = _Bodies(camera, sizes, np.tile(_SHAPES, (2, 1)))
        self._to_plane = np.linalg.inv(camera.projection[:, [0, 1, 3]])
        # How that inverse changes for a plane above the road; 0 where heights are not known.
        self._rise: Floats = self._to_plane @ camera.projection[:, 2]

    def find(self, seen: Observed, labels: npt.NDArray[np.int64]) -> Footprints:
        """Classes and footprint centres; `labels` (D,) index CLASSES, −1 where it is unknown."""
        count = len(labels)
        shape = (count, len(CLASSES), len(_HEADINGS))
        rows = np.arange(count)
        centre, ratio, fits = self._stand(seen)
        half = centre.shape[2] // 2
        centre, larger = centre[:, :, :half], centre[:, :, half:].reshape(2, *shape)
        likelihood, deviation = _likelihood(seen, ratio[:, :, :half])
        weight = np.where(fits[:, :half], likelihood, 0.0).reshape(shape)
        weight *= self._priors[labels][:, :, np.newaxis]
        by_class = weight.sum(axis=2)
        total = by_class.sum(axis=1)
        valid = total > 0
        scale = np.where(valid, total, 1.0)
        weight /= scale[:, np.newaxis, np.newaxis]
        by_class /= scale[:, np.newaxis]

        best = by_class.argmax(axis=1)
        chosen = weight[rows, best] / np.maximum(by_class[rows, best], 1e-300)[:, np.newaxis]
        mean = (centre.reshape(2, *shape)[:, rows, best] * chosen).sum(axis=-1)
        off = centre - mean[:, :, np.newaxis]
        spread = np.einsum("dk,idk,jdk->dij", weight.reshape(count, half), off, off)
        # One σ of the class's size moves the centre by this much, by differences.
        moved = (larger[:, rows, best] * chosen).sum(axis=-1)
        slope = ((moved - mean) * (_SIGMA[best] / _NUDGE)).T
        spread += slope[:, :, np.newaxis] * slope[:, np.newaxis, :]
        found = Footprints(best, mean.T, spread, np.zeros(count), valid)
        if (labels >= 0).all():
            return found
        closest = deviation.reshape(shape)[rows, best].min(axis=1)
        # Something must have been measured: in a corner of the image neither side is whole.
        named = ~seen.hidden.all(axis=0) & (by_class[rows, best] >= _NAME_FROM)
        named &= closest <= _NAME_WITHIN
        return _unknown_as_blocks(self._camera, seen, found, named | (labels >= 0))

    def _stand(self, seen: Observed) -> tuple[Floats, Floats, Bools]:
        """Set each body on the road so that it meets the box's visible edges, by Newton's method.

        Returns centres (2, D, K), 0 where none was found; ratio of seen to projected width and
        height (2, D, K); and whether the body lies wholly in front of the camera (D, K).
        """
        projection, bodies = self._camera.projection, self._bodies
        early = seen.anchor_share()[:, :, np.newaxis]
        late = 1.0 - early
        box = seen.edges.T[:, :, np.newaxis]
        wanted = early * box[:2] + late * box[2:]
        lifted = np.where(seen.cut[:, 3:], bodies.ends, 0.0) if seen.cut[:, 3].any() else None
        depth = projection[2, 3]
        centre = self._first_guess(seen)
        points = np.empty((*bodies.image.shape[:2], *centre.shape[1:]))
        with np.errstate(all="ignore"):  # what cannot be placed comes out not finite: no fit
            if lifted is not None:
                depth = depth + lifted * projection[2, 2]
                lift = lifted / (1.0 + lifted * self._rise[2])
            for _ in range(_ITERATIONS):
                moved = (projection[:, :2] @ centre.reshape(2, -1)).reshape(3, *centre.shape[1:])
                np.add(bodies.image, moved[:, np.newaxis], out=points)
                pixels = np.divide(points[:2], points[2], out=points[:2])
                first, last = pixels.min(axis=1), pixels.max(axis=1)
                miss = wanted - early * first - late * last
                # Derivative of the plane's homography, pixel → ground; lifted to the anchor.
                turned = (self._to_plane[:, :2] @ miss.reshape(2, -1)).reshape(moved.shape)
                if lifted is not None:
                    turned -= self._rise[:, np.newaxis, np.newaxis] * (lift * turned[2])
                step = (turned[:2] - centre * turned[2]) * (moved[2] + depth)
                if not np.abs(step).max() < _LONGEST_STEP / 2.0:
                    step *= np.minimum(1.0, _LONGEST_STEP / np.hypot(step[0], step[1]))
                centre = centre + step
            ratio = seen.size[:, :, np.newaxis] / np.maximum(last - first, 1e-3)
            finite = np.isfinite(centre[0] + centre[1] + ratio[0] + ratio[1])
            fits = (points[2].min(axis=0) > 0.0) & finite
        return np.where(finite, centre, 0.0), np.where(fits, ratio, 1.0), fits

    def _first_guess(self, seen: Observed) -> Floats:
        """Half the object behind its near side, as the camera looks at it: (2, D, K)."""
        half = np.abs(seen.away @ self._bodies.half_axes).sum(axis=0)
        half[seen.cut[:, 3]] = 0.0
        guess: Floats = seen.start.T[:, :, np.newaxis] + seen.away.T[:, :, np.newaxis] * half
        return guess


class _Bodies:
    """Candidates as one camera sees them. K runs over classes × headings.

    `image` (3, 12, 1, K): outline points of a body at the site's origin, projected, so that moving
    it only adds to them; `ends` (K,): height of the ends, m; `half_axes` (2, 2, K): half the length
    and half the width as vectors (x, y). Points come first: reductions over the first axes are ten
    times faster.
    """

    def __init__(self, camera: CameraModel, dimensions: Floats, shapes: Floats) -> None:
        """`shapes` (C, 3): `ends`, `overhang`, `clearance` of each class."""
        count = len(_HEADINGS)
        length, width, height = np.repeat(dimensions, count, axis=0).T
        relative, overhang, clearance = np.repeat(shapes, count, axis=0).T
        cos, sin = (np.tile(f(_HEADINGS), len(dimensions)) for f in (np.cos, np.sin))
        along, aside, up = _OUTLINE.T[:, :, np.newaxis]
        wheel, chin, end = (part[:, np.newaxis] for part in (_WHEEL, _CHIN, _END))
        along = along * np.where(wheel, 1.0 - 2.0 * overhang, 1.0)
        x = along * length * cos - aside * width * sin
        y = along * length * sin + aside * width * cos
        z = up * height * np.where(end, relative, 1.0) + np.where(chin, clearance, 0.0)
        points = np.stack((x, y, z, np.ones_like(x)))
        self.image: Floats = np.einsum("ri,ipk->rpk", camera.projection, points)[:, :, np.newaxis]
        self.ends: Floats = height * relative
        halves = ((length * cos, length * sin), (-width * sin, width * cos))
        self.half_axes: Floats = np.array(halves) / 2.0


def _likelihood(seen: Observed, ratio: Floats) -> tuple[Floats, Floats]:
    """How well each candidate's box size agrees (D, K), and its largest deviation in σ (D, K).

    `ratio` (2, D, K) of seen to projected width and height.
    """
    # Two edges' noise relative to the box.
    pixel = 2.0 * (seen.sigma / seen.size) ** 2
    deviation = np.sqrt(_RELATIVE_VARIANCE + pixel[:, :, np.newaxis])
    z = np.log(ratio) / deviation
    hidden = seen.hidden[:, :, np.newaxis]
    # A cut box may be any smaller than the object, but not larger.
    z = np.where(hidden, np.maximum(z, 0.0), z)
    bell = np.exp(-0.5 * z**2)
    # In the logarithm of size a uniform share of the size has density e^misfit below 1.
    short = np.where(ratio < 1.0, _OCCLUDED * ratio, 0.0)
    plain = bell * ((1.0 - _OCCLUDED) / math.sqrt(2.0 * math.pi)) / deviation + short
    agreement = np.where(hidden, bell, plain) + _FLOOR
    return agreement[0] * agreement[1], np.abs(z).max(axis=0)


def _priors(expected: Bools) -> Floats:
    """Probability (C + 1, C) of each class before its size is looked at, by label; the last row is
    for an unknown one."""
    unknown = _SHARE * (expected if expected.any() else True)
    known = (1.0 - _LABEL_TRUST) * _SHARE / _SHARE.sum() + _LABEL_TRUST * np.eye(len(CLASSES))
    return np.vstack((known, unknown / unknown.sum()))


def _unknown_as_blocks(
    camera: CameraModel, seen: Observed, found: Footprints, named: Bools
) -> Footprints:
    """An object of no known size: a block as deep as its box is broad on the road.

    The depth is a guess, so the centre may lie anywhere in the block.
    """
    away = seen.away
    across = np.stack((-away[:, 1], away[:, 0]), axis=-1)
    on_road = np.column_stack((seen.start, np.zeros(len(away))))
    scale = np.linalg.norm(np.einsum("dij,dj->di", camera.ground_jacobian(on_road), across), axis=1)
    breadth = (seen.edges[:, 2] - seen.edges[:, 0]) / np.maximum(scale, 1e-6)
    half = breadth[:, np.newaxis] / 2.0
    return Footprints(
        class_index=np.where(named, found.class_index, -1),
        centre=np.where(named[:, np.newaxis], found.centre, seen.start + away * half),
        spread=np.where(
            named[:, np.newaxis, np.newaxis],
            found.spread,
            half[:, :, np.newaxis] ** 2 * np.eye(2),
        ),
        breadth=breadth,
        valid=found.valid,
    )
