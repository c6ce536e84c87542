"""The part of the situation stage that tells road events.

In: pictures, signal states, weather and the health of sensors. Out: `RoadEvent`s. Detectors look
at every picture and say what they see; an `EventBook` gives events their lives. What is not seen
any more is over only if the sensors that showed it still look: a lost camera clears nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from rsu.config.situation import EventOptions
from rsu.schema.devices import EnvironmentReading
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.signals import SignalState
from rsu.schema.topics import ENVIRONMENT, ROAD_EVENT, SENSOR_HEALTH, SIGNAL_STATE, Topic
from rsu.schema.units import NS_PER_S, Instant
from rsu.site.lanes import SiteMap
from rsu.situation.events.book import EventBook, EventIds, Sighting
from rsu.situation.events.congestion import CongestionDetector
from rsu.situation.events.crash import CrashDetector
from rsu.situation.events.direction import WrongWayDetector
from rsu.situation.events.kinds import RULES
from rsu.situation.events.lights import Lights
from rsu.situation.events.red_light import RedLightDetector
from rsu.situation.events.slow import SlowDetector
from rsu.situation.events.speed import SpeedingDetector
from rsu.situation.events.standing import StandingDetector
from rsu.situation.events.surface import Said, SurfaceDetector
from rsu.situation.events.walkers import WalkerDetector
from rsu.situation.picture import Picture

SILENT_NS = NS_PER_S  # ns without a track list after which nobody is looking
HEALTH_NS = 5 * NS_PER_S  # health comes every second; older than this it says nothing


class Detector(Protocol):
    """Sees events of some kinds in pictures."""

    kinds: tuple[str, ...]

    def look(self, picture: Picture) -> list[Sighting]: ...

    def forget(self) -> None: ...


class Events:
    """Detectors and the book that their sightings go into."""

    topics: tuple[Topic, ...] = (SIGNAL_STATE, ENVIRONMENT, SENSOR_HEALTH)
    outputs: tuple[Topic, ...] = (ROAD_EVENT,)
    name = "situation"

    def __init__(
        self, options: EventOptions, site: SiteMap, boot: Instant, ids: EventIds | None = None
    ) -> None:
        """`ids` are shared with other parts that tell events; None: its own."""
        self._lights = Lights()
        congestion = CongestionDetector(site, options)
        detectors: tuple[Detector, ...] = (
            congestion,
            StandingDetector(site, options, congestion.dense, congestion.unclear),
            WrongWayDetector(site, options, congestion.unclear),
            SpeedingDetector(site, options, congestion.dense),
            SlowDetector(site, options, congestion.unclear),
            WalkerDetector(site, options), RedLightDetector(site, options, self._lights),
            CrashDetector(site, options, congestion.dense),
        )  # fmt: skip
        self._off = frozenset(options.off)
        # Others ask congestion how dense traffic is, told or not. Where no lane is drawn nobody
        # can say who is where he must not be: there only the weather makes events.
        self._detectors = [
            one
            for one in detectors
            if site.lanes and (one is congestion or not self._off.issuperset(one.kinds))
        ]
        self._surface = SurfaceDetector(site, options)
        ids = ids or EventIds(boot)
        self._book = EventBook(RULES, ids, self.name)
        self._weather = EventBook(RULES, ids, self.name)
        self._health: dict[str, tuple[bool, int]] = {}
        self._pictured_ns = 0

    def follow(self, picture: Picture, now: Instant) -> Iterable[Message]:
        """The road as it is now."""
        self._pictured_ns = now.mono_ns
        seen = [s for one in self._detectors for s in one.look(picture) if s.kind not in self._off]

        def observed(sighting: Sighting) -> bool:
            return self._looked_at(sighting, now)

        return self._book.see(seen, picture.time_ns, observed)

    def hear(self, message: Message, now: Instant) -> Iterable[Message]:
        """Signals, weather, health."""
        payload = message.payload
        if isinstance(payload, SignalState):
            self._lights.hear(payload)
        elif isinstance(payload, SensorHealth):
            self._health[payload.sensor] = (payload.state is SensorState.LIVE, now.mono_ns)
        elif isinstance(payload, EnvironmentReading):
            return [
                out
                for said in self._surface.hear(payload)
                for out in self._weather_said(said, payload.capture_ns)
            ]
        return []

    def tick(self, now: Instant) -> Iterable[Message]:
        """Nobody looking is no evidence of anything."""
        out = self._weather.see((), now.utc_ns, lambda _sighting: False)
        if now.mono_ns - self._pictured_ns >= SILENT_NS:
            out += self._book.see((), now.utc_ns, lambda _sighting: False)
        return out

    def begin_anew(self, _now: Instant) -> Iterable[Message]:
        """End everything."""
        for detector in self._detectors:
            detector.forget()
        self._lights.forget()
        self._surface.forget()
        return [*self._book.end_all(), *self._weather.end_all()]

    def _weather_said(self, said: Said, time_ns: int) -> list[Message]:
        if said.kind in self._off:
            return []
        seen = () if said.sighting is None else (said.sighting,)
        # A word speaks for its own kind and place only.
        return self._weather.see(
            seen, time_ns, lambda one: (one.kind, one.key) == (said.kind, said.key)
        )

    def _looked_at(self, sighting: Sighting, now: Instant) -> bool:
        """Whether any sensor behind a sighting still looks; without word on health: it does."""
        known = [self._health[name] for name in sighting.sources if name in self._health]
        if not known:
            return True
        return any(live and now.mono_ns - at_ns <= HEALTH_NS for live, at_ns in known)
