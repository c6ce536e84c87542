"""Warnings of conflicts ahead, as road events that name who may meet whom, when and how likely.

In: pictures and signal states. Out: `RoadEvent`s of the kinds of `SEVERITY`, each with a
`Conflict`. A warning begins when an urgent encounter (`rsu.situation.conflicts.encounter`) has been
seen at two looks, at once with somebody who has just set off, and ends a second after the last. Who
cannot stop any more at a stop line whose light is red is warned of before the line.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping

import msgspec
import numpy as np

from rsu.config.situation import WarningOptions
from rsu.schema.events import Conflict, RoadEvent
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import ROAD_EVENT, SIGNAL_STATE, Topic
from rsu.schema.tracks import Track, TrackStatus
from rsu.schema.units import NS_PER_S, Instant, Vec2
from rsu.site.lanes import LaneKind, LaneRole, SiteMap
from rsu.situation.conflicts.encounter import (
    REACTION_S,
    Encounter,
    Sort,
    beside,
    encounters,
    within_reach,
)
from rsu.situation.conflicts.encroachment import COMFORTABLE
from rsu.situation.conflicts.history import SURE_SPEED, Bools, History
from rsu.situation.conflicts.prediction import forecast
from rsu.situation.conflicts.walkers import in_the_way, is_somebody
from rsu.situation.conflicts.ways import Floats, ways_of
from rsu.situation.events.book import EventBook, EventIds, Rule, Sighting
from rsu.situation.picture import Picture

COLLISION, VULNERABLE = "collision-warning", "vru-warning"
REAR_END, RED_LIGHT = "rear-end-warning", "red-light-warning"
KINDS = {
    Sort.CROSSING: COLLISION, Sort.FOLLOWING: REAR_END, Sort.VULNERABLE: VULNERABLE,
}  # fmt: skip
SEVERITY = {COLLISION: 7, VULNERABLE: 7, REAR_END: 6, RED_LIGHT: 6}
NAMES = {
    COLLISION: "collision ahead", VULNERABLE: "person in the way", REAR_END: "rear-end collision",
    RED_LIGHT: "red light will be run",
}  # fmt: skip
"""What T/CSAE 53-2020 calls ICW, VRUCW, FCW and, towards the runner, SVW."""
CLEAR_S = 1.0  # a conflict that dissolves does so within a driver's reaction
MOVES = 2.0  # m/s: slower vehicles can stop within a metre
LATEST_S = 1.0
"""s: whoever is told later than this can do nothing about it any more (the fastest drivers react
within 0.7 s, Green 2000, and a word takes some 0.3 s to be made, sent and shown). What comes up so
late was no conflict a moment ago, so it is a track that jumped or a speed that lags behind braking,
and is not begun to be told."""
SURE_STDS = 2.0
"""σ less than its estimate at which a vehicle must still be too fast for those ahead: in queues
that form, fused speeds are up to 2 σ above those of the braking drivers."""
OLD_ENOUGH_NS = NS_PER_S  # a track's first second: its speed is still settling
FRESH_NS = NS_PER_S // 2  # what is only extrapolated for longer is no evidence
RUNNER_BRAKES = -1.0
"""m/s²: who slows down like this for a red light means to stop (engine drag is 0.5 to 0.8)."""
WELL_KNOWN = 0.5
"""m/s, 1 σ: over 1 s that tells braking from keeping speed."""
LIGHT_FRESH_NS = NS_PER_S  # an older word of the controller is no light
RADIUS = 5.0  # m: a car's length around the place


class Warnings:
    """A part of the situation stage."""

    topics: tuple[Topic, ...] = (SIGNAL_STATE,)
    outputs: tuple[Topic, ...] = (ROAD_EVENT,)

    def __init__(self, options: WarningOptions, site: SiteMap, ids: EventIds) -> None:
        self._options = options
        self._between_vehicles = bool({COLLISION, REAR_END, RED_LIGHT}.intersection(options.kinds))
        self._site = site
        self._ways = ways_of(site)
        codes = options.codes
        rules = {
            kind: Rule(
                0.0, CLEAR_S, codes[kind].code if kind in codes else None,
                codes[kind].itis if kind in codes else None, severity,
            )
            for kind, severity in SEVERITY.items()
        }  # fmt: skip
        self._book = EventBook(rules, ids, "situation")
        self._conflicts: dict[tuple[str, tuple[int, ...]], Conflict] = {}
        self._past = History()
        self._lights: dict[int, tuple[SignalGroup, int]] = {}
        self._seen: dict[tuple[str, tuple[int, ...]], int] = {}
        self._once: dict[tuple[str, Hashable], int] = {}
        self._looked_ns: int | None = None
        self._stops = _stop_lines(site)

    def follow(self, picture: Picture, now: Instant) -> Iterable[Message]:  # noqa: ARG002
        """Look ahead, at most once in `period_s`."""
        if not self._options.enabled:
            return []
        last = self._looked_ns
        # Lists come when they come: a look may be up to a quarter of its period early.
        early = last is not None and (
            picture.time_ns - last < 0.75 * self._options.period_s * NS_PER_S
        )
        if early and not self._past.somebody_sets_off(picture):
            return []
        self._looked_ns = picture.time_ns
        return self._told(self._book.see(self._sightings(picture), picture.time_ns))

    def hear(self, message: Message, now: Instant) -> Iterable[Message]:  # noqa: ARG002
        """What the lights show."""
        state: SignalState = message.payload
        for group in state.groups:
            self._lights[group.group] = (group, state.capture_ns)
        return ()

    def tick(self, now: Instant) -> Iterable[Message]:
        """End what nobody has seen for a while, also when no list comes any more."""
        last = self._looked_ns
        if last is None or now.utc_ns - last < CLEAR_S * NS_PER_S:
            return ()
        return self._told(self._book.see((), now.utc_ns))

    def begin_anew(self, now: Instant) -> Iterable[Message]:  # noqa: ARG002
        """Forget everything; what was warned of is over."""
        ended = self._told(self._book.end_all())
        self._past.forget()
        self._lights.clear()
        self._conflicts.clear()
        self._seen.clear()
        self._once.clear()
        self._looked_ns = None
        return ended

    def _told(self, messages: Iterable[Message]) -> list[Message]:
        """The book's messages, each with its conflict."""
        out = []
        for message in messages:
            event: RoadEvent = message.payload
            conflict = self._conflicts.get((event.kind, event.tracks))
            event = msgspec.structs.replace(event, conflict=conflict)
            out.append(
                Message.draft(ROAD_EVENT, message.header.source, message.header.capture_ns, event)
            )
        return out

    def _sightings(self, picture: Picture) -> list[Sighting]:
        self._past.follow(picture)
        oldest = picture.time_ns - CLEAR_S * NS_PER_S
        self._seen = {key: last for key, last in self._seen.items() if last >= oldest}
        self._once = {key: last for key, last in self._once.items() if last >= oldest}
        tracks = picture.tracks
        if len(tracks) == 0:
            return []
        # A walker's pace is below what tells a vehicle from a standing one.
        stands = picture.vehicle & (picture.standing_since_ns >= 0)
        speed = np.where(stands, 0.0, picture.speed)
        sure = np.array([_is_evidence(track, picture.time_ns) for track in tracks], np.bool_)
        leaps = np.array([self._past.leaps(track) for track in tracks], np.bool_)
        sure &= ~(picture.vehicle & leaps)
        # Between vehicles; for people it is said by how much a speed is in doubt.
        headed = ~np.isnan(picture.heading)
        exact = np.array([track.speed_std <= SURE_SPEED for track in tracks], np.bool_)
        exact &= headed | ~picture.vehicle
        # Where a lane leads is known before a track's heading is.
        leads = headed | picture.road.inside
        egos = (
            sure & picture.vehicle & (speed > MOVES) & leads
            & np.array([t.object_class is not ObjectClass.BICYCLE for t in tracks])
        )  # fmt: skip
        if not egos.any():
            return []
        vru = np.array([track.object_class.is_vru for track in tracks], np.bool_)
        vru &= sure | (
            ~picture.vehicle
            & np.array([is_somebody(track, picture.time_ns) for track in tracks], np.bool_)
        )
        if not (self._between_vehicles or vru.any()):
            return []
        velocity, sets_off = self._past.velocities(picture, speed, vru)
        steps, crosses = in_the_way(picture, vru, velocity, headed | sets_off)
        on_foot = vru & (~picture.vehicle | crosses)
        people = on_foot & (steps | crosses)
        others = exact & sure & ~on_foot & (vru | self._between_vehicles)
        if not self._between_vehicles:
            egos &= within_reach(picture, speed, people | others)
            if not egos.any():
                return []
        among = egos | people | others
        acceleration = self._past.accelerations(picture, among)
        seen = forecast(picture, self._ways, speed, acceleration, among)
        existence = np.array([track.existence for track in tracks])
        in_view = self._past.in_view(picture, people)
        surprise = people & steps & ~crosses & ~in_view
        met = encounters(
            picture, seen, speed, velocity, acceleration, egos, exact,
            np.where(people, existence, 0.0), others, sets_off, in_view,
            self._options.probability / 4,
        )  # fmt: skip
        follows = set(seen.user[seen.way >= 0].tolist())
        found = [
            *self._urgent(picture, met, speed, follows, steps, crosses, surprise),
            *self._red_lights(picture, met, speed, acceleration, egos & exact),
        ]
        found = [one for one in found if one.kind in self._options.kinds]
        off = {tracks[index].id for index in np.flatnonzero(sets_off).tolist()}
        new = {tracks[index].id for index in np.flatnonzero(surprise).tolist()}
        return self._twice(self._in_time(found, picture.time_ns), off, new, picture.time_ns)

    def _twice(
        self, found: list[Sighting], off: set[int], new: set[int], time_ns: int
    ) -> list[Sighting]:
        """What has been seen at two looks; a step in front of a vehicle is sure at the first, and
        so is one of those who are `new` to drivers where it is likelier than not."""
        kept = [
            one for one in found
            if (one.kind, one.key) in self._once or off.intersection(one.tracks)
            or (one.confidence >= self._options.probability and new.intersection(one.tracks))
        ]  # fmt: skip
        self._once.update(((one.kind, one.key), time_ns) for one in found)
        return kept

    def _in_time(self, found: list[Sighting], time_ns: int) -> list[Sighting]:
        """Without what comes up too late to be of use; what was seen in time is followed on."""
        kept = [
            one for one in found
            if (one.kind, one.tracks[:1]) in self._seen
            or self._conflicts[one.kind, one.tracks].time_to_conflict_s >= LATEST_S
        ]  # fmt: skip
        for one in kept:
            self._seen[one.kind, one.tracks[:1]] = time_ns
        return kept

    def _urgent(
        self, picture: Picture, met: list[Encounter], speed: Floats, follows: set[int],
        steps: Bools, crosses: Bools, surprise: Bools,
    ) -> Iterator[Sighting]:  # fmt: skip
        least = np.where(surprise, self._options.surprise_probability, self._options.probability)
        urgent = {
            (one.ego, one.other): one
            for one in met
            if min(one.probability, one.unavoidable) >= least[one.other]
            and one.time_s <= self._options.horizon_s
        }  # fmt: skip
        for (ego, other), one in urgent.items():
            crossing = one.sort is Sort.CROSSING
            if (
                crossing
                and speed[other] > MOVES
                and other in follows
                and (other, ego) not in urgent
            ):
                continue  # the other driver can still give way comfortably; not one off the lanes
            if crossing and (other, ego) in urgent and other < ego:
                continue  # told from the other's side
            if one.sort is not Sort.FOLLOWING and self._held(picture, one, float(speed[ego])):
                continue
            if one.sort is Sort.FOLLOWING and not _too_fast(picture, one, speed):
                continue
            out = one.sort is not Sort.VULNERABLE or steps[other]
            if not out and not (crosses[other] and beside(picture, one) <= self._options.beside_m):
                continue  # waits
            yield self._sighting(
                KINDS[one.sort], picture, (ego, other), one.probability, one.time_s,
                one.required, one.place,
            )  # fmt: skip

    def _held(self, picture: Picture, one: Encounter, pace: float) -> bool:
        """Whether a red light comes before the place at which the driver can still stop: drivers
        are taken to heed it as long as they can (who does not is told as `RED_LIGHT`)."""
        lane = int(picture.road.lane[one.ego])
        stop = self._stops.get(lane) if picture.road.inside[one.ego] else None
        if stop is None:
            return False
        line, groups = stop
        half = picture.tracks[one.ego].size.length / 2
        left = float(line - picture.road.station[one.ego]) - half
        x, y, heading = self._site.lanes[lane].at(line)
        beyond = (one.place.x - x) * math.cos(heading) + (one.place.y - y) * math.sin(heading)
        if left <= 0.0 or beyond + half <= 0.0:
            return False
        return pace**2 / (2.0 * COMFORTABLE) <= left and self._all_red(groups, picture.time_ns, 0.0)

    def _red_lights(
        self, picture: Picture, met: list[Encounter], speed: Floats, acceleration: Floats,
        egos: Bools,
    ) -> Iterator[Sighting]:  # fmt: skip
        for ego in np.flatnonzero(egos & picture.road.inside).tolist():
            stop = self._stops.get(int(picture.road.lane[ego]))
            if stop is None:
                continue
            line, groups = stop
            front = picture.road.station[ego] + picture.tracks[ego].size.length / 2
            left = float(line - front)
            pace = float(speed[ego])
            if left <= 0.0 or pace < self._options.runner_speed:
                continue
            time_s = left / pace
            if time_s > self._options.horizon_s or not self._all_red(
                groups, picture.time_ns, time_s
            ):
                continue
            if not _runs(picture.tracks[ego], pace, float(acceleration[ego]), left):
                continue
            others = [
                one.other if one.ego == ego else one.ego
                for one in met
                if ego in (one.ego, one.other)
            ]
            users = (ego, *dict.fromkeys(others))
            x, y, _ = self._site.lanes[int(picture.road.lane[ego])].at(line)
            yield self._sighting(
                RED_LIGHT, picture, users[:4], 0.9, time_s, pace**2 / (2.0 * max(left, 0.1)),
                Vec2(x, y), key=(picture.tracks[ego].id,),
            )  # fmt: skip

    def _all_red(self, groups: frozenset[int], time_ns: int, within_s: float) -> bool:
        """Whether all these lights are red now and will be when the line is reached."""
        for number in groups:
            known = self._lights.get(number)
            if known is None or time_ns - known[1] > LIGHT_FRESH_NS:
                return False
            light = known[0]
            if light.light is not LightState.RED:
                return False
            if light.min_end_ns is not None and light.min_end_ns < time_ns + within_s * NS_PER_S:
                return False
        return bool(groups)

    def _sighting(
        self, kind: str, picture: Picture, users: tuple[int, ...], probability: float,
        time_s: float, required: float, place: Vec2, key: tuple[int, ...] | None = None,
    ) -> Sighting:  # fmt: skip
        tracks = tuple(picture.tracks[user].id for user in users)
        self._conflicts[kind, tracks] = Conflict(
            tracks=tracks, time_to_conflict_s=time_s, probability=probability,
            required_deceleration=required, point=place,
        )  # fmt: skip
        lane = int(picture.road.lane[users[0]])
        return Sighting(
            kind=kind, key=key or tracks, position=place, confidence=probability, radius=RADIUS,
            lanes=(self._site.lanes[lane].id,) if lane >= 0 else (), tracks=tracks,
            description=NAMES[kind],
        )  # fmt: skip


def _runs(track: Track, pace: float, acceleration: float, left: float) -> bool:
    """Whether it surely stops no more within `left` m: at 1 σ less speed it would have to brake
    harder than comfortably. A driver who does not brake has yet to react; that is only told apart
    where the speed is known well, as fused speeds lag behind braking."""
    steady = acceleration > RUNNER_BRAKES and track.speed_std <= WELL_KNOWN
    slow = max(pace - track.speed_std, 0.0)
    return slow * (REACTION_S if steady else 0.0) + slow**2 / (2.0 * COMFORTABLE) > left


def _too_fast(picture: Picture, one: Encounter, speed: Floats) -> bool:
    """Whether the one behind would surely have to brake harder than comfortably: fused speeds lag
    behind those of drivers who brake for a queue, so at `SURE_STDS` less it must still be so."""
    ego, other = one.ego, one.other
    gap = max(float(speed[ego] - speed[other]) * one.time_s, 0.1)
    slow = float(speed[ego]) - SURE_STDS * picture.tracks[ego].speed_std - float(speed[other])
    return max(slow, 0.0) ** 2 / (2.0 * gap) >= COMFORTABLE


def _is_evidence(track: Track, time_ns: int) -> bool:
    return (
        track.status is TrackStatus.CONFIRMED
        and track.born_ns <= time_ns - OLD_ENOUGH_NS
        and track.updated_ns >= time_ns - FRESH_NS
    )


def _stop_lines(site: SiteMap) -> Mapping[int, tuple[float, frozenset[int]]]:
    """Lane index → its stop line (m along it) and the groups that govern going on."""
    found = {}
    for index, lane in enumerate(site.lanes):
        if lane.role is not LaneRole.ENTRY or lane.kind is not LaneKind.VEHICLE:
            continue
        groups = frozenset(
            group for name in lane.successors if (group := site.lane(name).signal_group) is not None
        )
        if groups:
            found[index] = (lane.length if lane.stop_line is None else lane.stop_line, groups)
    return found
