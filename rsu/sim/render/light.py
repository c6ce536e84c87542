"""The light of a scene: what sun, sky and lamps give, and what the air takes.

A weather and a style go in, `Lighting` comes out. Colours are BGR in display units (1.0 is white),
multiplied with reflectances of 0..1; a camera's gamma is part of these numbers, so they are chosen
by eye, not by photometry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.sim.render.style import Style
from rsu.sim.world.scene import Light, Weather

Floats = npt.NDArray[np.float64]

EXTINCTION = -math.log(0.05)
"""Koschmieder with the contrast of 5 % that defines the meteorological optical range (WMO-No. 8,
part I, ch. 9): transmission over d is exp(-3.0 d / V)."""
RAIN_VISIBILITY = 1500.0
"""m of visibility left in the heaviest rain (16 mm/h; typical of the literature on visibility in
rain, 1-2 km)."""
GAMMA = 0.60
"""Display value = reflectance ** this: flatter than sRGB's 1/2.2; the lights are tuned to it."""


@dataclass(frozen=True, eq=False)
class Lighting:
    """`ambient` and `sun` (BGR), `direction` towards the sun (unit, site frame), `sky_top` and
    `sky_low`, `haze` the colour of thick air, `lamps` whether vehicles' and street lamps are on,
    `reach` the visibility m, `grain` the sensor's noise, 1 σ of 255, `shadow` the share of light a
    sun shadow takes, `wet` 0..1."""

    ambient: Floats
    sun: Floats
    direction: Floats
    sky_top: Floats
    sky_low: Floats
    haze: Floats
    lamps: bool
    dark: float
    reach: float
    grain: float
    shadow: float
    wet: float

    def transmission(self, distance: Floats) -> Floats:
        """Share of an object's light that arrives over `distance` m."""
        passed: Floats = np.exp(-EXTINCTION / self.reach * distance)
        return passed


def lighting(weather: Weather, style: Style) -> Lighting:
    """The light of a weather as seen by a camera of this style."""
    fog = 1.0 - math.exp(-((1000.0 / max(weather.visibility, 1.0)) ** 0.7) * 0.8)
    clouds = min(1.0, max(style.clouds, weather.rain * 1.5, fog * 1.2))
    elevation = style.sun_elevation
    direction = np.array(
        [
            math.cos(elevation) * math.cos(style.sun_azimuth),
            math.cos(elevation) * math.sin(style.sun_azimuth),
            math.sin(elevation),
        ]
    )
    white = np.array([1.0 - style.warmth, 1.0, 1.0 + style.warmth])
    reach = 1.0 / (1.0 / max(weather.visibility, 1.0) + weather.rain / RAIN_VISIBILITY)
    if weather.light is Light.DAY:
        hard = (1.0 - clouds) * min(1.0, 0.45 + elevation)
        gain = 1.0 - 0.25 * weather.rain
        ambient = np.array([0.80, 0.74, 0.70]) * gain * (0.80 + 0.30 * clouds)
        sun = np.array([0.42, 0.50, 0.55]) * hard
        sky_top = np.array([0.80, 0.58, 0.40]) * (1 - clouds) + np.array([0.70] * 3) * clouds * gain
        sky_low = np.array([0.88, 0.82, 0.76]) * (1 - clouds) + np.array([0.80] * 3) * clouds * gain
        dark, grain = 0.0, 1.6
    elif weather.light is Light.DUSK:
        ambient, sun = np.array([0.46, 0.37, 0.34]), np.array([0.05, 0.09, 0.14]) * (1 - clouds)
        sky_top, sky_low = np.array([0.40, 0.27, 0.22]), np.array([0.42, 0.44, 0.52])
        dark, grain = 0.55, 3.0
    else:
        ambient, sun = np.array([0.155, 0.125, 0.115]), np.zeros(3)
        sky_top, sky_low = np.array([0.055, 0.04, 0.035]), np.array([0.11, 0.10, 0.10])
        dark, grain = 1.0, 5.0
    ambient, sun, sky_top, sky_low = (c * white for c in (ambient, sun, sky_top, sky_low))
    haze = sky_low * 0.95 if weather.light is not Light.NIGHT else sky_low * 1.1
    total = float((ambient + 0.6 * sun).mean())
    return Lighting(
        ambient=ambient,
        sun=sun,
        direction=direction,
        sky_top=sky_top,
        sky_low=sky_low,
        haze=haze,
        lamps=weather.light is not Light.DAY,
        dark=dark,
        reach=reach,
        grain=grain,
        shadow=float(0.8 * sun.mean()) / total,
        wet=min(1.0, weather.rain * 2.0),
    )
