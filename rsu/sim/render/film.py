"""What lens, sensor and encoder do to a picture: exposure, rain, blur, noise, compression.

A clean picture goes in, a camera's picture comes out, the same for the same frame: all chance comes
from a stream keyed by camera and time.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from rsu.sim.render.style import Style

Image = npt.NDArray[np.uint8]

_SPARE = 64
"""px by which the noise bank is larger than the picture: 64² different crops."""
_DRIFT_S = 11.0
"""Period of the slow exposure change, s: a camera's own control loop, assumed."""


class Film:
    """Everything between the scene's light and the delivered bytes, for one camera."""

    def __init__(self, width: int, height: int, style: Style, rng: np.random.Generator) -> None:
        self._style = style
        self._size = (height, width)
        spare = (height + _SPARE, width + _SPARE)
        # Luminance noise on all channels and a weaker one of its own on each.
        shared = rng.standard_normal((*spare, 1), dtype=np.float32)
        own = rng.standard_normal((*spare, 3), dtype=np.float32)
        self._bank = (0.85 * shared + 0.5 * own) * np.float32(32.0)
        self._noise: dict[float, npt.NDArray[np.int16]] = {}
        self._phase = float(rng.uniform(0.0, 2.0 * math.pi))
        self._streaks = _streaks(height + 2 * _SPARE, width + 2 * _SPARE, rng)

    def expose(
        self, image: Image, time_s: float, grain: float, rain: float, lit: float,
        rng: np.random.Generator,
    ) -> Image:  # fmt: skip
        """The delivered picture; `grain` 1 σ of 255, `lit` the brightness of rain streaks 0..1."""
        style = self._style
        if rain > 0.0:
            y, x = (int(rng.integers(2 * _SPARE)) for _ in range(2))
            crop = self._streaks[y : y + self._size[0], x : x + self._size[1]]
            layer = cv2.convertScaleAbs(crop, alpha=min(1.0, 0.35 + rain) * lit)
            image = cv2.add(image, cv2.merge((layer, layer, layer)))  # type: ignore[assignment]
        if style.blur > 0.2:
            image = cv2.GaussianBlur(image, (3, 3) if style.blur < 0.8 else (5, 5), style.blur)  # type: ignore[assignment]
        gain = style.exposure * (
            1.0 + style.drift * math.sin(2 * math.pi * time_s / _DRIFT_S + self._phase)
        )
        image = cv2.LUT(image, self._curve(gain))  # type: ignore[assignment]
        if style.saturation != 1.0:
            grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
            image = cv2.addWeighted(image, style.saturation, grey, 1.0 - style.saturation, 0.0)  # type: ignore[assignment]
        if style.noise > 0.0:
            noise = self._grain(grain * style.noise)
            y, x = (int(rng.integers(_SPARE + 1)) for _ in range(2))
            grains = noise[y : y + self._size[0], x : x + self._size[1]]
            image = cv2.add(image, grains, dtype=cv2.CV_8U)  # type: ignore[assignment]
        if style.jpeg_quality:
            _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, style.jpeg_quality])
            image = cv2.imdecode(packed, cv2.IMREAD_COLOR)  # type: ignore[assignment]
        return image

    def _curve(self, gain: float) -> Image:
        value = np.arange(256) / 255.0
        # Contrast about a middle grey; highlights roll off instead of clipping hard.
        bent = 0.45 + (value * gain - 0.45) * self._style.contrast
        soft = np.where(bent > 0.85, 0.85 + 0.15 * np.tanh((bent - 0.85) / 0.15), bent)
        return np.clip(soft * 255.0, 0, 255).astype(np.uint8)

    def _grain(self, sigma: float) -> npt.NDArray[np.int16]:
        known = self._noise.get(sigma)
        if known is None:
            known = np.round(self._bank * np.float32(sigma / 32.0)).astype(np.int16)
            self._noise[sigma] = known
        return known


def _streaks(height: int, width: int, rng: np.random.Generator) -> Image:
    """Rain streaks, drawn once: thin, nearly vertical, of different length and brightness."""
    layer = np.zeros((height, width), dtype=np.uint8)
    slant = float(rng.uniform(-0.25, 0.25))
    for _ in range(height * width // 900):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        length = float(rng.uniform(6, 26))
        bright = int(rng.uniform(12, 60))
        end = (round(x + slant * length), round(y + length))
        cv2.line(layer, (round(x), round(y)), end, bright, 1, cv2.LINE_AA)
    return layer
