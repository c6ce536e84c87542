"""The part of the situation stage that speaks of parking lots.

In: pictures, words of bay sensors, which cameras looked, the health of sensors, requests for a bay.
Out: a `ParkingState` per lot, at once when a bay changes and else every second, and road events for
what is wrong in a lot. Nobody looking is never taken for an empty bay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rsu.config.situation import ParkingOptions
from rsu.schema.devices import BayReading
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.parking import ParkingRequest
from rsu.schema.sensing import CameraDetections
from rsu.schema.topics import (
    BAY_READING,
    CAMERA_DETECTIONS,
    PARKING,
    PARKING_REQUEST,
    ROAD_EVENT,
    SENSOR_HEALTH,
    Topic,
)
from rsu.schema.units import NS_PER_S, Instant
from rsu.site.lanes import SiteMap
from rsu.situation.events.book import EventBook, EventIds, Rule, Sighting
from rsu.situation.parking.bays import lots_of
from rsu.situation.parking.belief import STEP_S
from rsu.situation.parking.lot import AISLE, DOUBLE, OVERSTAY, WRONG_CLASS, ParkingLot
from rsu.situation.parking.views import CameraView
from rsu.situation.picture import Picture

LOOK_NS = round(0.9 * STEP_S * NS_PER_S)  # between pictures that are looked at: they jitter
LOOKED_NS = NS_PER_S  # a camera whose newest frame is older than this does not look
SILENT_NS = NS_PER_S  # without a picture for this long nobody watches
TELL_NS = NS_PER_S  # PARKING's nominal rate
SILENT_STATES = frozenset({SensorState.GONE, SensorState.LATE, SensorState.FROZEN})
BLIND_STATES = frozenset({SensorState.BLIND, SensorState.SHIFTED, SensorState.FROZEN})

# No published GB/T 29100 or ITIS code means these: they are told upstream only.
RULES = {
    OVERSTAY: Rule(onset_s=0.0, clear_s=5.0, severity=1, unseen_s=300.0),
    WRONG_CLASS: Rule(onset_s=5.0, clear_s=10.0, severity=2, unseen_s=300.0),
    DOUBLE: Rule(onset_s=0.0, clear_s=10.0, severity=1, unseen_s=300.0),
    AISLE: Rule(onset_s=0.0, clear_s=3.0, severity=4, unseen_s=30.0),
}


class Parking:
    """All lots of a site."""

    topics: tuple[Topic, ...] = (BAY_READING, CAMERA_DETECTIONS, SENSOR_HEALTH, PARKING_REQUEST)
    outputs: tuple[Topic, ...] = (PARKING, ROAD_EVENT)
    name = "situation"

    def __init__(
        self,
        options: ParkingOptions,
        site: SiteMap,
        ids: EventIds,
        cameras: Sequence[CameraView] = (),
    ) -> None:
        """`cameras` are those whose view of the bays is known: without one no bay is called free
        for nobody being seen in it."""
        self._lots = [ParkingLot(name, options, site, cameras) for name in lots_of(site)]
        self._of = {bay: lot for lot in self._lots for bay in lot.bays}
        self._books = {lot.name: EventBook(RULES, ids, self.name) for lot in self._lots}
        self._looks: dict[str, int] = {}  # camera → capture of its newest frame
        self._states: dict[str, SensorState] = {}
        self._last: tuple[int, int] | None = None  # newest picture looked at: its time, monotonic
        self._worn_ns: int | None = None
        self._told: dict[str, tuple[object, int]] = {}
        self._heard = self._news = False
        self.dropped: Counter[str] = Counter()

    def follow(self, picture: Picture, now: Instant) -> Iterable[Message]:
        """Take a picture about every half second."""
        if self._last is not None and picture.time_ns - self._last[0] < LOOK_NS:
            return []
        seconds = 0.0 if self._last is None else (now.mono_ns - self._last[1]) / NS_PER_S
        if self._worn_ns is not None:  # what went by without pictures has been accounted for
            seconds = min(seconds, (now.mono_ns - self._worn_ns) / NS_PER_S)
        self._last, self._worn_ns = (picture.time_ns, now.mono_ns), None
        live = self._live(picture.time_ns)
        out: list[Message] = []
        for lot in self._lots:
            seen = lot.follow(picture, live, seconds, now.mono_ns)
            out += self._books[lot.name].see(seen, picture.time_ns, lot.looked_at)
        return [*out, *self._tell(picture.time_ns, now)]

    def hear(self, message: Message, now: Instant) -> Iterable[Message]:
        """Frames, health, bay sensors, requests."""
        payload = message.payload
        if isinstance(payload, CameraDetections):
            self._looks[payload.sensor] = payload.capture_ns
        elif isinstance(payload, SensorHealth):
            self._states[payload.sensor] = payload.state
        elif isinstance(payload, BayReading):
            lot = self._of.get(payload.bay)
            if lot is None:
                self.dropped["unknown_bay"] += 1
                return []
            lot.hear(payload, now.utc_ns, now.mono_ns)
            # A gateway says many bays at once: they are told together, on the next tick.
            self._heard = self._news = True
        elif isinstance(payload, ParkingRequest) and self._lots:
            self._lot_for(payload).ask(payload)
            return self._tell(now.utc_ns, now)
        return []

    def tick(self, now: Instant) -> Iterable[Message]:
        """Let beliefs fade where nobody looks; repeat what holds every second."""
        alone = self._last is None or now.mono_ns - self._last[1] >= SILENT_NS
        if not (alone or self._news or self._due(now)):
            return []
        self._news = False
        seconds = 0.0
        if alone:
            since_ns = self._worn_ns or (self._last[1] if self._last else now.mono_ns)
            seconds = (now.mono_ns - since_ns) / NS_PER_S
            self._worn_ns = now.mono_ns
        silent = frozenset(name for name, s in self._states.items() if s in SILENT_STATES)
        out: list[Message] = []
        for lot in self._lots:
            lot.wait(seconds, silent, now.utc_ns, now.mono_ns)
            if alone:
                out += self._books[lot.name].see((), now.utc_ns, _nobody)
        return [*out, *self._tell(now.utc_ns, now)]

    def begin_anew(self, now: Instant) -> Iterable[Message]:
        """Forget everything: unknown is what can be said of every bay."""
        self._looks.clear()
        self._last = self._worn_ns = None
        out: list[Message] = []
        for lot in self._lots:
            lot.forget()
            lot.wait(0.0, frozenset(), now.utc_ns, now.mono_ns)
            out += self._books[lot.name].end_all()
        self._told.clear()
        return [*out, *self._tell(now.utc_ns, now)]

    def _live(self, time_ns: int) -> list[str]:
        """Cameras that looked lately and saw."""
        return [
            sensor
            for sensor, looked_ns in self._looks.items()
            if time_ns - looked_ns <= LOOKED_NS and self._states.get(sensor) not in BLIND_STATES
        ]

    def _due(self, now: Instant) -> bool:
        return any(now.mono_ns - at_ns >= TELL_NS for _, at_ns in self._told.values())

    def _tell(self, time_ns: int, now: Instant) -> list[Message]:
        if self._last is None and not self._heard:
            return []  # nobody has said anything yet
        out = []
        for lot in self._lots:
            told, at_ns = self._told.get(lot.name, (None, 0))
            says = lot.told(time_ns)
            if told == says and now.mono_ns - at_ns < TELL_NS:
                continue
            self._told[lot.name] = (says, now.mono_ns)
            out.append(Message.draft(PARKING, self.name, time_ns, lot.state(time_ns)))
        return out

    def _lot_for(self, request: ParkingRequest) -> ParkingLot:
        """The lot nearest to who asks; of its word alone the first."""
        if request.position is None:
            return self._lots[0]
        where = request.position
        return min(self._lots, key=lambda lot: lot.distance(where.x, where.y))


def _nobody(_sighting: Sighting) -> bool:
    return False
