"""Modelled weather and road sensors: visibility, rain, depth of water, surface and ice of a scene.

A `Scene` goes in, `EnvironmentReading`s come out, with the noise that data sheets state. The world
has no temperatures: they are options of the sensor, and ice is where it is wet and below freezing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsu.schema.devices import EnvironmentKind, EnvironmentReading, RoadSurface
from rsu.sim.world.scene import Scene

HEAVY_RAIN = 16.0
"""mm/h of a scene's rain 1.0 (`Weather.rain`)."""
WET = 0.02
"""Share of heavy rain from which a road is wet and not only damp: 0.3 mm/h (assumed)."""
FLOODED = 0.005
"""m of water from which a road counts as flooded: tyres at speed begin to float at some 5 mm."""
VISIBILITY_MOST = 20_000.0
"""m; end of the range of forward scatter meters for roads."""


@dataclass(frozen=True, slots=True)
class EnvironmentErrors:
    """1 σ by the classes of data sheets: forward scatter meters ±10 % (taken as 2 σ: 5 %), radar or
    ultrasonic level ±5 mm, optical rain sensors ±10 %, temperatures ±0.3 °C."""

    visibility_share: float = 0.05
    water: float = 0.005
    rain_share: float = 0.10
    temperature: float = 0.3


class ModelledEnvironment:
    """A mast that sees the weather and the water on `lanes`."""

    def __init__(
        self,
        sensor: str,
        rng: np.random.Generator,
        lanes: Sequence[str] = (),
        road_temperature: float = 15.0,
        errors: EnvironmentErrors = EnvironmentErrors(),
    ) -> None:
        self._id, self._rng, self._errors = sensor, rng, errors
        self._lanes = tuple(lanes)
        self.road_temperature = road_temperature

    def look(self, scene: Scene) -> list[EnvironmentReading]:
        """All readings of one moment."""
        errors, weather = self._errors, scene.weather
        # One number per quantity whatever the weather: what happens changes no later noise.
        noise = self._rng.standard_normal(3 + len(self._lanes)).tolist()
        seen = min(weather.visibility, VISIBILITY_MOST)
        rain = HEAVY_RAIN * weather.rain
        kind = EnvironmentKind
        out = [
            self._reading(
                scene, kind.VISIBILITY, seen * max(0.1, 1.0 + errors.visibility_share * noise[0]),
                errors.visibility_share * seen,
            ),
            self._reading(
                scene, kind.RAIN, rain * max(0.0, 1.0 + errors.rain_share * noise[1]),
                max(errors.rain_share * rain, 0.05),
            ),
            self._reading(
                scene, kind.ROAD_TEMPERATURE,
                self.road_temperature + errors.temperature * noise[2], errors.temperature,
            ),
        ]  # fmt: skip
        for lane, error in zip(self._lanes, noise[3:], strict=True):
            depth = scene.water.get(lane, 0.0)
            # A dry road reads exactly 0: level sensors blank what is within their noise.
            stated = max(0.0, depth + errors.water * error) if depth > 0.0 else 0.0
            out.append(self._reading(scene, kind.WATER_DEPTH, stated, errors.water, lane))
            out.append(
                EnvironmentReading(
                    sensor=self._id,
                    kind=kind.ROAD_SURFACE,
                    capture_ns=scene.time_ns,
                    surface=self._surface(depth, weather.rain),
                    lane=lane,
                )
            )
        return out

    def _surface(self, depth: float, rain: float) -> RoadSurface:
        wet = depth > 0.0 or rain > 0.0
        if wet and self.road_temperature < 0.0:
            return RoadSurface.ICE
        if depth >= FLOODED:
            return RoadSurface.FLOODED
        if not wet:
            return RoadSurface.DRY
        return RoadSurface.WET if rain >= WET or depth > 0.0 else RoadSurface.DAMP

    def _reading(
        self,
        scene: Scene,
        kind: EnvironmentKind,
        value: float,
        std: float,
        lane: str | None = None,
    ) -> EnvironmentReading:
        assert math.isfinite(value)
        return EnvironmentReading(
            sensor=self._id, kind=kind, capture_ns=scene.time_ns, value=value, std=std, lane=lane
        )
