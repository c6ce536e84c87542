"""How a rendered world looks where nothing prescribes it: the knobs of domain randomisation.

One `Style` belongs to a `Renderer` for its life. The default is a plain, well-exposed camera on a
green suburban junction; `Style.drawn` draws every knob, so that a detector trained on many styles
sees the next one as just another draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Surround(StrEnum):
    """What covers the ground where no lane is."""

    GRASS = "grass"
    PAVED = "paved"
    EARTH = "earth"


@dataclass(frozen=True, slots=True)
class Style:
    """Knobs; shares and factors without a unit are 1 for "as usual".

    `sun_azimuth` rad from east and `sun_elevation` rad, of the sun by day; `clouds` 0 (hard
    shadows) to 1 (none). `asphalt` is the road's reflectance (0.05 fresh to 0.25 worn), `wear`
    the share of paint that is gone, `texture` the strength of the ground's grain,
    `texture_scale` its size. `noise` multiplies the sensor's noise, `blur` is the lens's 1 σ in px,
    `jpeg_quality` 0 for none. `exposure` multiplies brightness, `drift` is the amplitude of its
    slow change, `warmth` shifts white (negative: blue). `jitter` is the mast's sway, 1 σ in px.
    """

    sun_azimuth: float = math.radians(-60.0)
    sun_elevation: float = math.radians(48.0)
    clouds: float = 0.15
    contrast: float = 1.0
    saturation: float = 1.0
    exposure: float = 1.0
    drift: float = 0.03
    warmth: float = 0.0
    asphalt: float = 0.16
    wear: float = 0.15
    texture: float = 1.0
    texture_scale: float = 1.0
    surround: Surround = Surround.GRASS
    building_density: float = 1.0
    tree_density: float = 1.0
    noise: float = 1.0
    blur: float = 0.55
    jpeg_quality: int = 88
    jitter: float = 0.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Style:
        """One style out of the whole range; the same generator state gives the same style."""

        def spread(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        return cls(
            sun_azimuth=spread(-math.pi, math.pi),
            sun_elevation=math.radians(spread(15.0, 75.0)),
            clouds=float(np.clip(spread(-0.3, 1.2), 0.0, 1.0)),
            contrast=spread(0.75, 1.2),
            saturation=spread(0.4, 1.3),
            exposure=spread(0.75, 1.25),
            drift=spread(0.0, 0.08),
            warmth=spread(-0.08, 0.08),
            asphalt=spread(0.08, 0.28),
            wear=spread(0.0, 0.6),
            texture=spread(0.4, 2.0),
            texture_scale=spread(0.5, 2.0),
            surround=list(Surround)[int(rng.integers(len(Surround)))],
            building_density=spread(0.0, 1.6),
            tree_density=spread(0.0, 1.6),
            noise=spread(0.3, 2.0),
            blur=spread(0.25, 0.95),
            jpeg_quality=int(rng.integers(55, 97)),
            jitter=spread(0.0, 0.8),
        )
