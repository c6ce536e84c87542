"""What sensors may know of the world: everyone at one moment, the light and the weather.

`World` fills a `Scene`; sensor models, the renderer and emulators read it. `stream` is the one way
to a random generator, so that every concern has its own and nothing disturbs anything else.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState

Floats = npt.NDArray[np.float64]


class Light(StrEnum):
    """Light outside; at night street lamps and headlamps are on."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"


@dataclass(frozen=True, slots=True)
class Weather:
    """Light and weather, constant over a scenario unless its script changes them.

    `rain` is 0 (none) to 1 (heavy, some 16 mm/h), `visibility` the meteorological optical range, m
    (WMO: contrast 5 %; fog below 1000 m).
    """

    light: Light = Light.DAY
    rain: float = 0.0
    visibility: float = 20_000.0


CLEAR_DAY = Weather()


def stream(seed: int, concern: str) -> np.random.Generator:
    """A random stream of its own per concern, so that a new sensor changes no traffic."""
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(concern.encode()),))
    return np.random.Generator(np.random.PCG64(sequence))


@dataclass(frozen=True, slots=True)
class Asking:
    """A vehicle that wants priority at the signals: by which messages (`srm`, `vir`, `both`), from
    which lane to which, and how far its front is from the stop line, m (negative: past it)."""

    how: str
    inbound: str
    outbound: str
    ahead: float


@dataclass(frozen=True, eq=False)
class Scene:
    """Everyone at one time; rows belong together. Positions are footprint centres, m, site frame.

    `position` N×2, `heading` rad from east and `speed` m/s (N), `size` N×3 (length, width, height).
    `roles` name special road users (`emergency`, `bus-line`; else empty), `lights` what each signal
    group shows, `water` the depth of water by lane (m), `asking` who wants priority (by id).
    """

    time_ns: int
    ids: tuple[int, ...]
    classes: tuple[ObjectClass, ...]
    position: Floats
    heading: Floats
    speed: Floats
    size: Floats
    roles: tuple[str, ...] = ()
    weather: Weather = CLEAR_DAY
    lights: Mapping[int, LightState] = field(default_factory=dict)
    water: Mapping[str, float] = field(default_factory=dict)
    asking: Mapping[int, Asking] = field(default_factory=dict)
