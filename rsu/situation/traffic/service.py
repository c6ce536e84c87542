"""Level of service and capacity, by the tables of the Highway Capacity Manual (HCM 2010).

In: delays, densities, greens. Out: levels A to F and vehicles per second. The thresholds are facts
of the manual's exhibits; whether they suit a city is for its engineers to say.
"""

from __future__ import annotations

from bisect import bisect_left

from rsu.schema.traffic import ServiceLevel

SIGNAL_DELAY_S = (10.0, 20.0, 35.0, 55.0, 80.0)
"""s of control delay per vehicle up to which a signalised lane group is A … E (exhibit 18-4)."""
SIGN_DELAY_S = (10.0, 15.0, 25.0, 35.0, 50.0)
"""The same where nothing but signs or right of way governs (exhibit 19-1)."""
MILE = 1609.344  # m
DENSITY = tuple(cars / MILE for cars in (11.0, 18.0, 26.0, 35.0, 45.0))
"""Vehicles per m and lane up to which uninterrupted flow is A … E (exhibit 11-5: passenger cars per
mile and lane; vehicles are taken for cars here)."""
SATURATION_FLOW = 1900.0 / 3600.0
"""Vehicles per s of green and lane (HCM 2010, 18-35: base saturation flow rate in large cities)."""


def by_delay(delay_s: float, saturation: float | None, *, signals: bool) -> ServiceLevel:
    """Level of an approach or lane with a stop line; F as well where demand exceeds capacity."""
    if saturation is not None and saturation > 1.0:
        return ServiceLevel.F
    return _level(delay_s, SIGNAL_DELAY_S if signals else SIGN_DELAY_S)


def by_density(density: float) -> ServiceLevel:
    """Level of a lane without a stop line, by vehicles per m."""
    return _level(density, DENSITY)


def saturation(count: float, green_s: float) -> float | None:
    """Flow / capacity of one lane (v/c, HCM 2010, 18-16) over some time, of which `green_s` was
    green: capacity is saturation flow × green share. None without green."""
    return count / (SATURATION_FLOW * green_s) if green_s > 0.0 else None


def _level(value: float, bounds: tuple[float, ...]) -> ServiceLevel:
    return list(ServiceLevel)[bisect_left(bounds, value)]
