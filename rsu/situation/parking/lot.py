"""One parking lot: all witnesses together, and what follows for its bays.

In: pictures, which cameras look, words of bay sensors, requests. Out: `ParkingState` when anything
changes, and what is wrong in the lot as sightings. `rsu.situation.parking.part` holds one per lot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from rsu.config.situation import ParkingOptions
from rsu.schema.devices import BayReading
from rsu.schema.parking import (
    BayMisuse,
    BayState,
    BayStatus,
    BayStay,
    LotTotals,
    ParkingGuidance,
    ParkingRequest,
    ParkingState,
)
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import SiteMap
from rsu.situation.events.book import Sighting
from rsu.situation.parking.bays import BayGrid
from rsu.situation.parking.belief import Belief
from rsu.situation.parking.gates import Gates
from rsu.situation.parking.guidance import Guidance
from rsu.situation.parking.occupants import Look, Occupants
from rsu.situation.parking.views import CAR, CameraView, Views
from rsu.situation.picture import SURE_HEADING, Picture

CAME = 3.0
"""Log-odds of having seen somebody drive in, twenty to one: it may drive out again at once."""
DOUBT_S = 30.0
"""A bay that was unknown for less than this has stayed as it was, or changed, as the statuses
before and after say; after longer nobody knows whose stay it is."""
REFERENCE_S = 10.0  # all bays must be known for this long before the gates' balance begins
SETTLED_S = 5.0  # a vehicle that has stood this long is no longer manoeuvring
CLASS_SURE = 0.8  # of a vehicle's class before it is held against it
TAKEN = 0.5  # probability from which a bay hides others behind it

OVERSTAY = "bay-overstay"
WRONG_CLASS = "bay-wrong-class"
DOUBLE = "double-bay"
AISLE = "aisle-blocked"
KINDS = {
    BayMisuse.OVERSTAY: OVERSTAY,
    BayMisuse.WRONG_CLASS: WRONG_CLASS,
    BayMisuse.DOUBLE: DOUBLE,
}


@dataclass(slots=True)
class _Bay:
    """What is known of a bay beside its probability."""

    status: BayStatus
    since_ns: int
    track: int | None = None
    entered_ns: int | None = None
    seen_ns: int = -1  # monotonic: when anybody last looked; -1 never
    by_tracks: bool = False
    misuse: tuple[BayMisuse, ...] = ()
    known: BayStatus = BayStatus.UNKNOWN  # the last that was free or occupied
    double_ns: int | None = None  # since when somebody stands over the line


class ParkingLot:
    """The bays of one lot."""

    def __init__(
        self, name: str, options: ParkingOptions, site: SiteMap, cameras: Sequence[CameraView]
    ) -> None:
        self.name = name
        self._options = options
        self._grid = BayGrid(name, site)
        self.gates = Gates(self._grid, site)
        self._occupants = Occupants(self._grid, self.gates.aisles)
        self._belief = Belief(len(self._grid), options.unknown_after_s, options.sensor_max_age_s)
        self._guidance = Guidance(self._grid, site, self.gates.aisles, options.guidance_s)
        self._views = Views(cameras, self._grid)
        self._closed = frozenset(options.closed)
        self._bays = [_Bay(BayStatus.UNKNOWN, 0) for _ in range(len(self._grid))]
        self._ended: list[BayStay] = []
        self._reference: tuple[int, int] | None = None  # since when, how many were occupied then
        self._on_aisles = 0
        self._all_known_ns: int | None = None
        self._tracks: tuple[int, ...] = ()  # what was seen when it was last looked
        self._watched: npt.NDArray[np.bool_] = np.zeros(len(self._grid), dtype=np.bool_)

    @property
    def bays(self) -> Collection[str]:
        """Their names."""
        return self._grid.index

    def distance(self, x: float, y: float) -> float:
        """From a point to the nearest bay, m."""
        return float(np.hypot(*(self._grid.centre - (x, y)).T).min())

    # --- evidence ---------------------------------------------------------------------------------

    def follow(
        self, picture: Picture, live: Sequence[str], seconds: float, mono_ns: int
    ) -> list[Sighting]:
        """Take a picture, `seconds` after the one before; `live` cameras looked lately."""
        look = self._occupants.look(picture, self._belief.probability)
        self.gates.follow(picture)
        self._on_aisles = sum(
            self.gates.within(int(picture.road.lane[row]), float(picture.road.station[row]))
            for row in look.aisle
        )
        self._watched = self._views.watched(live)
        self._belief.step(
            seconds, self._stands(look), self._found(picture, look, live), self._watched
        )
        for bay in look.came:
            self._nudge(bay, CAME)
        for bay, chance in look.went:
            self._belief.left(bay, chance)
        for row in np.flatnonzero(self._watched | (look.stands > TAKEN)).tolist():
            self._bays[row].seen_ns = mono_ns
            self._bays[row].by_tracks = True
        self._settle(picture.time_ns, mono_ns)
        self._name_occupants(picture, look)
        return [*self._misuses(picture, look), *self._on_aisle(picture, look)]

    def hear(self, reading: BayReading, time_ns: int, mono_ns: int) -> None:
        """A bay sensor's word, or that of a camera's classifier on a crop of the bay."""
        row = self._grid.index[reading.bay]
        said = None if reading.occupied is None else reading.probability
        # It spoke of the moment of its capture: older words have begun to fade.
        age_ns = max(time_ns - reading.capture_ns, 0)
        self._belief.say(reading.sensor, row, said, mono_ns - age_ns)
        if said is not None:
            self._bays[row].seen_ns = max(self._bays[row].seen_ns, mono_ns - age_ns)
        self._settle(time_ns, mono_ns)

    def ask(self, request: ParkingRequest) -> None:
        """Somebody wants to be guided."""
        self._guidance.hear(request)

    def wait(self, seconds: float, silent: frozenset[str], time_ns: int, mono_ns: int) -> None:
        """Let time pass: `seconds` without a picture (0: there was one), `silent` sensors gone."""
        if seconds > 0.0:
            self._watched = np.zeros_like(self._watched)
            self._belief.wear(seconds, self._watched)
        self._belief.wear_words(mono_ns, silent)
        for row in range(len(self._bays)):
            if any(source not in silent for source in self._belief.sources(row)):
                self._bays[row].seen_ns = mono_ns
        self._settle(time_ns, mono_ns)

    def forget(self) -> None:
        """Begin anew, with nothing known."""
        self._belief.forget()
        self._occupants.forget()
        self.gates.forget()
        self._guidance.forget()
        self._reference = self._all_known_ns = None
        self._ended.clear()

    # --- conclusions ------------------------------------------------------------------------------

    def state(self, time_ns: int) -> ParkingState:
        """All bays now. Stays that ended are told once."""
        probability = self._belief.probability
        bays = tuple(
            BayState(
                bay=name,
                status=bay.status,
                occupied_probability=round(float(probability[row]), 4),
                since_ns=bay.since_ns or time_ns,
                track=bay.track,
                entered_ns=bay.entered_ns,
                misuse=bay.misuse,
                sources=(("tracks",) if bay.by_tracks else ()) + self._belief.sources(row),
            )
            for row, (name, bay) in enumerate(zip(self._grid.names, self._bays, strict=True))
        )
        ended, self._ended = tuple(self._ended), []
        return ParkingState(
            lot=self.name, time_ns=time_ns, bays=bays, guidance=self._guide(time_ns),
            totals=self._totals(bays), ended=ended,
        )  # fmt: skip

    def told(self, time_ns: int) -> object:
        """What a change of is told at once."""
        return [(bay.status, bay.misuse) for bay in self._bays], self._guide(time_ns)

    def looked_at(self, sighting: Sighting) -> bool:
        """Whether the place of a sighting is watched now."""
        row = self._grid.index.get(sighting.key) if isinstance(sighting.key, str) else None
        return bool(self._watched.any()) if row is None else bool(self._watched[row])

    def _guide(self, time_ns: int) -> tuple[ParkingGuidance, ...]:
        status = {name: bay.status for name, bay in zip(self._grid.names, self._bays, strict=True)}
        return self._guidance.plan(status, time_ns)

    def _totals(self, bays: Sequence[BayState]) -> LotTotals:
        count = {status: sum(bay.status is status for bay in bays) for status in BayStatus}
        occupied, unknown = count[BayStatus.OCCUPIED], count[BayStatus.UNKNOWN]
        balance = None
        if self._reference is not None and unknown == 0:
            expected = self._reference[1] + self.gates.entries - self.gates.exits
            balance = expected - occupied - self._on_aisles
        told = self._reference is not None
        return LotTotals(
            free=count[BayStatus.FREE], occupied=occupied, unknown=unknown,
            closed=count[BayStatus.CLOSED], on_aisles=self._on_aisles,
            since_ns=self._reference[0] if self._reference else None,
            occupied_then=self._reference[1] if self._reference else None,
            entries=self.gates.entries if told else None, exits=self.gates.exits if told else None,
            unexplained=balance,
        )  # fmt: skip

    def _settle(self, time_ns: int, mono_ns: int) -> None:
        """Statuses from probabilities; what nobody looked at for too long is unknown."""
        limit_ns = round(self._options.unknown_after_s * NS_PER_S)
        for row, bay in enumerate(self._bays):
            if bay.seen_ns >= 0 and mono_ns - bay.seen_ns > limit_ns:
                self._belief.drop(row)
                bay.seen_ns, bay.by_tracks, bay.known = -1, False, BayStatus.UNKNOWN
        for row, status in enumerate(self._belief.statuses()):
            bay = self._bays[row]
            now = BayStatus.CLOSED if self._grid.names[row] in self._closed else status
            if now is bay.status:
                continue
            self._turned(row, bay, now, time_ns)
        known = all(bay.status is not BayStatus.UNKNOWN for bay in self._bays)
        if not known:
            self._all_known_ns = None
        elif self._all_known_ns is None:
            self._all_known_ns = mono_ns
        elif self._reference is None and mono_ns - self._all_known_ns >= REFERENCE_S * NS_PER_S:
            taken = sum(bay.status is BayStatus.OCCUPIED for bay in self._bays)
            self.gates.entries = self.gates.exits = 0
            self._reference = (time_ns, taken + self._on_aisles)

    def _turned(self, row: int, bay: _Bay, now: BayStatus, time_ns: int) -> None:
        """A status has changed: who came, who left."""
        name = self._grid.names[row]
        doubt_ns = time_ns - bay.since_ns if bay.status is BayStatus.UNKNOWN else 0
        known = bay.known if doubt_ns <= DOUBT_S * NS_PER_S else BayStatus.UNKNOWN
        if now is BayStatus.OCCUPIED and known is BayStatus.FREE:
            bay.entered_ns = time_ns
            self._guidance.arrived(name)
        elif now is BayStatus.OCCUPIED and known is not BayStatus.OCCUPIED:
            bay.entered_ns = None
        elif now is BayStatus.FREE:
            if known is BayStatus.OCCUPIED:
                self._ended.append(BayStay(bay=name, left_ns=time_ns, entered_ns=bay.entered_ns))
            bay.entered_ns = None
        if now is not BayStatus.UNKNOWN:
            bay.known = now
        if now is not BayStatus.OCCUPIED:
            bay.track = None
        bay.status, bay.since_ns, bay.misuse, bay.double_ns = now, time_ns, (), None

    def _nudge(self, row: int, log_odds: float) -> None:
        evidence = np.zeros(len(self._grid))
        evidence[row] = log_odds
        self._belief.add(evidence)

    def _stands(self, look: Look) -> npt.NDArray[np.float64]:
        # Who stands over the line takes the next bay as well.
        return np.where(look.beside >= 0, 1.0, look.stands)

    def _found(self, picture: Picture, look: Look, live: Sequence[str]) -> npt.NDArray[np.float64]:
        """Chance that a car in each bay would have a track now."""
        if not live:
            return np.zeros(len(self._grid))
        grid = self._grid
        taken = np.flatnonzero((self._belief.probability > TAKEN) & (look.track < 0))
        other = np.flatnonzero(picture.vehicle)
        sure = np.array([t.heading_std < SURE_HEADING for t in picture.tracks], dtype=np.bool_)
        bay = look.bay[other]
        # Who stands in a bay stands in its middle: a track may be off by half a bay, and then hides
        # less of the bay behind it than the car does.
        place = np.where(
            (bay >= 0)[:, None], grid.centre[np.maximum(bay, 0)], picture.position[other]
        )
        axis = np.arctan2(grid.along[:, 1], grid.along[:, 0])
        heading = np.array([t.heading for t in picture.tracks])[other]
        heading = np.where(sure[other], heading, np.nan_to_num(picture.road.heading[other]))
        heading = np.where(bay >= 0, axis[np.maximum(bay, 0)], heading)
        size = np.array(
            [msgspec.structs.astuple(picture.tracks[row].size) for row in other.tolist()]
        ).reshape(-1, 3)
        return self._views.found(
            live,
            np.concatenate((grid.centre[taken], place)),
            np.concatenate((axis[taken], heading)),
            np.concatenate((np.tile(CAR, (len(taken), 1)), size)),
            np.concatenate((taken, bay)),
        )

    def _name_occupants(self, picture: Picture, look: Look) -> None:
        for row, bay in enumerate(self._bays):
            if bay.status is not BayStatus.OCCUPIED:
                continue
            index = int(look.track[row]) if look.track[row] >= 0 else int(look.beside[row])
            bay.track = picture.tracks[index].id if index >= 0 else None

    def _misuses(self, picture: Picture, look: Look) -> Iterable[Sighting]:
        sure = self._belief.probability.tolist()
        for row, bay in enumerate(self._bays):
            if bay.status is not BayStatus.OCCUPIED:
                continue
            found = tuple(self._misuse_of(picture, look, row, sure[row]))
            bay.misuse = tuple(misuse for misuse, _ in found)
            zone = self._grid.zones[row]
            for misuse, confidence in found:
                yield Sighting(
                    KINDS[misuse], zone.id, Vec2(*self._grid.centre[row].tolist()), confidence,
                    radius=float(self._grid.length[row]) / 2,
                    lanes=() if zone.lane is None else (zone.lane,),
                    tracks=() if bay.track is None else (bay.track,),
                    description=f"bay {zone.id}", since_ns=bay.since_ns,
                )  # fmt: skip

    def _misuse_of(
        self, picture: Picture, look: Look, row: int, sure: float
    ) -> Iterable[tuple[BayMisuse, float]]:
        bay, zone = self._bays[row], self._grid.zones[row]
        index = int(look.track[row])
        stood_s = (picture.time_ns - bay.since_ns) / NS_PER_S
        if zone.max_stay_s is not None and stood_s > zone.max_stay_s:
            yield BayMisuse.OVERSTAY, sure
        if index >= 0:
            track = picture.tracks[index]
            named = track.object_class is not ObjectClass.UNKNOWN
            wrong = named and bool(zone.permitted) and track.object_class not in zone.permitted
            if wrong and track.class_probability >= CLASS_SURE and stood_s >= SETTLED_S:
                yield BayMisuse.WRONG_CLASS, track.class_probability
        over = bool(look.beside[row] >= 0 and look.track[row] < 0)
        if not over:
            # A moment without the track beside is no end of it.
            hidden = bay.double_ns is not None and index < 0 and bay.misuse != ()
            bay.double_ns = bay.double_ns if hidden else None
        elif bay.double_ns is None:
            bay.double_ns = picture.time_ns
        if bay.double_ns is not None and picture.time_ns - bay.double_ns >= SETTLED_S * NS_PER_S:
            yield BayMisuse.DOUBLE, sure

    def _on_aisle(self, picture: Picture, look: Look) -> Iterable[Sighting]:
        """Who stands in an aisle for longer than waiting for a bay takes."""
        for index in look.aisle:
            stood_s = picture.standing_s(index)
            if stood_s < self._options.aisle_after_s:
                continue
            track = picture.tracks[index]
            lane = picture.site.lanes[int(picture.road.lane[index])].id
            yield Sighting(
                AISLE, f"{lane}:{round(picture.road.station[index] / 5.0)}", track.position,
                track.existence, lanes=(lane,), tracks=(track.id,), sources=track.sources,
                since_ns=picture.time_ns - round(stood_s * NS_PER_S),
            )  # fmt: skip
