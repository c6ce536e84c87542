"""How large road users are: what a class says about size, and so what a size says about class.

Means come from two large annotated sets: KITTI (Karlsruhe; Geiger et al. 2012) and nuScenes
(Boston and Singapore; Caesar et al. 2020), as their per-class mean boxes are used for anchors. The
relative deviations cover the distance between the two and the spread inside each.
"""

from __future__ import annotations

from typing import NamedTuple

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Size


class TypicalSize(NamedTuple):
    """Mean dimensions (m), their common relative 1 σ, and the class's share among road users.

    `ends` is the height of the front and rear end over the full height: a car's bonnet is about
    half as high as its roof, a bus is a block. Both ends stand out beyond the wheels by `overhang`
    (share of the length), `clearance` (m) above the road: the lowest point of a car seen from in
    front is its tyre, not its bumper.
    """

    size: Size
    sigma: float
    share: float
    ends: float = 1.0
    overhang: float = 0.0
    clearance: float = 0.0


# Overhangs: wheelbases are 2.6–2.8 m of 4.4 m (cars), 3.2 of 5.1 (vans), 5.9–6.1 of 11.5–12 (city
# buses); rigid lorries have theirs mostly behind. Clearances: bumpers' lower edges 0.2–0.3 m.
# Shares: order of magnitude of urban traffic (a tenth of motor traffic is heavy or light goods).
# They only decide when sizes leave several classes open.
TYPICAL: dict[ObjectClass, TypicalSize] = {
    # KITTI 0.84 × 0.66 × 1.76, nuScenes 0.73 × 0.67 × 1.77: stride and arms included
    ObjectClass.PEDESTRIAN: TypicalSize(Size(0.75, 0.67, 1.77), 0.20, 0.12),
    # KITTI cyclist 1.76 × 0.60 × 1.74 (with rider), nuScenes 1.70 × 0.60 × 1.28 (without)
    ObjectClass.BICYCLE: TypicalSize(Size(1.75, 0.60, 1.70), 0.15, 0.06),
    # nuScenes 2.11 × 0.77 × 1.47; a rider sits a little higher
    ObjectClass.MOTORCYCLE: TypicalSize(Size(2.10, 0.77, 1.55), 0.15, 0.03),
    # KITTI 3.88 × 1.63 × 1.53, nuScenes 4.63 × 1.97 × 1.74
    ObjectClass.CAR: TypicalSize(Size(4.40, 1.83, 1.58), 0.10, 0.60, 0.55, 0.19, 0.2),
    # KITTI 5.07 × 1.90 × 2.21
    ObjectClass.VAN: TypicalSize(Size(5.10, 1.95, 2.20), 0.12, 0.08, 1.0, 0.19, 0.25),
    # nuScenes 6.93 × 2.51 × 2.84, KITTI 10.14 × 2.59 × 3.25
    ObjectClass.TRUCK: TypicalSize(Size(8.50, 2.55, 3.05), 0.30, 0.06, 1.0, 0.17, 0.4),
    # nuScenes 11.19 × 2.94 × 3.47; the law's 2.55 m for the width (Directive 96/53/EC)
    ObjectClass.BUS: TypicalSize(Size(11.50, 2.60, 3.30), 0.20, 0.03, 1.0, 0.24, 0.3),
    # From dogs to deer; no set counts them, the wide deviation says so
    ObjectClass.ANIMAL: TypicalSize(Size(1.00, 0.40, 0.80), 0.50, 0.02),
}
"""Every class that has a typical size; `unknown` and `obstacle` have none."""
