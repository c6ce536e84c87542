"""Water, ice and poor visibility, from the words of weather and road sensors.

In: `EnvironmentReading`s. Out: with each what is known of its kinds of event at its place. Two
words are needed either way, of one instrument in a row or of two at a time: a level sensor's spray
and an optical one's lorry are single. Two that are each likelier than not also begin an event where
they leave as little doubt together as two sure ones do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from rsu.config.situation import EventOptions
from rsu.schema.devices import EnvironmentKind, EnvironmentReading, RoadSurface
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import SiteMap
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.surroundings import normal_share

LEAST, LIKELIER = 0.9, 0.5  # probability from which a word begins, and keeps up, an event
AGAIN = 2  # words in a row
AT_A_TIME_NS = 3 * NS_PER_S
"""ns between words of two instruments that speak of the same moment: most tell once a second."""
ICY = frozenset({RoadSurface.ICE, RoadSurface.FROST})
WORD = 0.9
"""Probability that a surface state is right where the sensor states none: optical sensors are
specified with some 90 % of correct states (EN 15518-3 classes)."""
TYPICAL_STD = 0.1  # of the value, where a sensor states no accuracy
ICE_FRICTION = 0.25
"""Coefficient below which a surface counts as ice (measured ice 0.1 to 0.25, packed snow above)."""


@dataclass(slots=True)
class _Word:
    """What one sensor says of one kind of event at one place: `holds` after `AGAIN` words; `chance`
    is its last word's."""

    sighting: Sighting
    capture_ns: int
    chance: float = 0.0
    holds: bool = False
    against: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of one kind of event at one place after a word; None: there is none."""

    kind: str
    key: Hashable
    sighting: Sighting | None


class SurfaceDetector:
    """Keeps the last word of every sensor."""

    kinds: tuple[str, ...] = (kinds.WATER, kinds.VISIBILITY, kinds.ICE)

    def __init__(self, site: SiteMap, options: EventOptions) -> None:
        self._site = site
        self._options = options
        self._words: dict[tuple[str, str, str], _Word] = {}

    def hear(self, reading: EnvironmentReading) -> list[Said]:
        """One word of one instrument; empty where it says nothing about any event."""
        said = (self._said(reading, *meant) for meant in self._meant(reading))
        return [one for one in said if one is not None]

    def _said(
        self, reading: EnvironmentReading, kind: str, chance: float, text: str
    ) -> Said | None:
        where = reading.lane or "site"
        lanes = (where,) if where in self._site.lane_index else ()
        sighting = Sighting(
            kind, where, self._place(reading), chance, radius=self._radius(kind, lanes),
            lanes=lanes, description=text, sources=(reading.sensor,),
        )  # fmt: skip
        word = self._words.setdefault(
            (kind, where, f"{reading.sensor} {reading.kind}"), _Word(sighting, -1)
        )
        if reading.capture_ns <= word.capture_ns:
            return None
        word.sighting, word.capture_ns = sighting, reading.capture_ns
        sure = chance >= LEAST or (word.holds and chance >= LIKELIER)
        word.against = 0 if sure is word.holds else word.against + 1
        if word.against >= AGAIN:
            word.holds, word.against = sure, 0
        for other in self._fresh(kind, where, reading.capture_ns, AT_A_TIME_NS):
            doubt = (1.0 - other.chance) * (1.0 - chance)
            if min(other.chance, chance) >= LIKELIER and doubt <= (1.0 - LEAST) ** 2:
                word.holds, word.against = True, 0
        word.chance = chance
        held = [one for one in self._fresh(kind, where, reading.capture_ns) if one.holds]
        best = max(held, key=lambda one: one.sighting.confidence, default=None)
        return Said(kind, where, None if best is None else best.sighting)

    def forget(self) -> None:
        """The clock was set back."""
        self._words.clear()

    def _fresh(
        self, kind: str, where: str, time_ns: int, within_ns: int | None = None
    ) -> Iterator[_Word]:
        if within_ns is None:
            within_ns = round(self._options.weather_max_age_s * NS_PER_S)
        for (its_kind, its_place, _), word in self._words.items():
            if (its_kind, its_place) == (kind, where) and word.capture_ns >= time_ns - within_ns:
                yield word

    def _meant(self, reading: EnvironmentReading) -> list[tuple[str, float, str]]:
        """The kinds of event that a word is about: each with its chance, and what it says."""
        options, value = self._options, reading.value
        match reading.kind:
            case EnvironmentKind.ROAD_SURFACE:
                return self._surface(reading)
            case EnvironmentKind.WATER_DEPTH if value is not None:
                over = value - options.water_depth
                return [(kinds.WATER, _chance(over, reading), f"{100 * value:.0f} cm of water")]
            case EnvironmentKind.VISIBILITY if value is not None:
                under = options.visibility - value
                return [(kinds.VISIBILITY, _chance(under, reading), f"visibility {value:.0f} m")]
            case EnvironmentKind.ICE_DEPTH if value is not None:
                return [(kinds.ICE, _chance(value, reading), f"{1000 * value:.0f} mm of ice")]
            case EnvironmentKind.FRICTION if value is not None:
                under = ICE_FRICTION - value
                return [(kinds.ICE, _chance(under, reading), f"friction {value:.2f}")]
        return []

    def _surface(self, reading: EnvironmentReading) -> list[tuple[str, float, str]]:
        surface = reading.surface
        if surface is None or surface is RoadSurface.UNKNOWN:
            return []
        flooded = surface is RoadSurface.FLOODED
        text = f"surface {surface}"
        return [
            (kinds.ICE, WORD if surface in ICY else 0.0, text),
            (kinds.WATER, WORD if flooded else 0.0, text),
        ]

    def _place(self, reading: EnvironmentReading) -> Vec2:
        if reading.position is not None:
            return reading.position
        if reading.lane in self._site.lane_index:
            lane = self._site.lane(reading.lane or "")
            x, y, _ = lane.at(lane.length / 2)
            return Vec2(x, y)
        return Vec2(0.0, 0.0)

    def _radius(self, kind: str, lanes: tuple[str, ...]) -> float:
        """Of the place: a lane's half, or what a unit speaks for (its radio's reach in town)."""
        if lanes:
            return self._site.lane(lanes[0]).length / 2
        return 300.0 if kind == kinds.VISIBILITY else 50.0


def _chance(over: float, reading: EnvironmentReading) -> float:
    """Probability that a value is beyond its bound by more than nothing."""
    std = reading.std or max(TYPICAL_STD * abs(reading.value or 0.0), 1e-3)
    return normal_share(over / std)
