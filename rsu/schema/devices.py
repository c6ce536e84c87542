"""What bay sensors, GNSS receivers and weather stations say.

Filled by drivers in `rsu.hal.{parking,gnss,environment}` and by the simulator's models; read by
`rsu.situation` (bays, weather) and by whoever wants to know how well our clock runs. Times are UTC
ns by this unit's clock, so that ages are right even where that clock is off.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.units import Vec2


class BayReading(msgspec.Struct, frozen=True, kw_only=True):
    """One bay sensor's word on one bay of the site map.

    `occupied` None: the sensor says that it does not know. `probability` is that of the bay being
    occupied given this word and nothing else (even odds before it); `battery` 0..1 where stated.
    """

    sensor: str
    bay: str
    capture_ns: int
    occupied: bool | None
    probability: float
    battery: float | None = None


class FixQuality(StrEnum):
    """How a position came about (NMEA 0183 GGA field 6 and gpsd TPV status name the same)."""

    NONE = "none"
    AUTONOMOUS = "autonomous"
    DIFFERENTIAL = "differential"
    RTK_FLOAT = "rtk-float"
    RTK_FIXED = "rtk-fixed"
    ESTIMATED = "estimated"  # dead reckoning: no satellites behind it
    MANUAL = "manual"  # a position that somebody entered, or a surveyed one for timing
    SIMULATED = "simulated"


class GnssFix(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of one receiver. `quality` `none`: it says that it has no position.

    `utc_ns` is the receiver's own time of the epoch; `capture_ns` the same moment by our clock, so
    `clock_offset_ns` = `capture_ns` − `utc_ns` is how far we are ahead of the receiver, None where
    the arrival tells nothing (the epoch waited in a queue). Latitude and longitude WGS-84 degrees,
    `altitude` m above the ellipsoid; the standard deviations (m, east, north, up) are those that
    the receiver states, None where it states none: nothing is made up from `hdop`.
    """

    sensor: str
    capture_ns: int
    quality: FixQuality
    utc_ns: int | None = None
    clock_offset_ns: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    satellites: int | None = None
    hdop: float | None = None
    east_std: float | None = None
    north_std: float | None = None
    up_std: float | None = None


class EnvironmentKind(StrEnum):
    """What a weather or road sensor measures; each kind has one unit."""

    VISIBILITY = "visibility"  # meteorological optical range, m
    WATER_DEPTH = "water-depth"  # on the road, m
    ICE_DEPTH = "ice-depth"  # on the road, m
    RAIN = "rain"  # intensity, mm/h
    AIR_TEMPERATURE = "air-temperature"  # °C
    ROAD_TEMPERATURE = "road-temperature"  # of the surface, °C
    FRICTION = "friction"  # coefficient, 0..1
    ROAD_SURFACE = "road-surface"  # `EnvironmentReading.surface`


class RoadSurface(StrEnum):
    """State of the road's surface."""

    UNKNOWN = "unknown"
    DRY = "dry"
    DAMP = "damp"
    WET = "wet"
    FLOODED = "flooded"
    FROST = "frost"
    SNOW = "snow"
    SLUSH = "slush"
    ICE = "ice"


class EnvironmentReading(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity at one place: `value` in the unit of its kind, or `surface`.

    `std` is 1 σ as the data sheet or the site file states it; `position` m in the site frame and
    `lane` where it was measured (None: it holds for the site).
    """

    sensor: str
    kind: EnvironmentKind
    capture_ns: int
    value: float | None = None
    surface: RoadSurface | None = None
    std: float | None = None
    position: Vec2 | None = None
    lane: str | None = None
