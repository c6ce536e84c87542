"""Whether the vehicle that asks for priority is there: our own sensors have to see it.

In: tracks, what vehicles say of themselves, a request's way. Out: the `Sight` of the requester. A
track that rests on radio alone is no evidence: whoever can send a request can send that, too.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from rsu.config.priority import PriorityOptions
from rsu.schema.priority import SignalRequest
from rsu.schema.sensing import ObjectClass, V2xObject, V2xObjects
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import LaneKind, SiteMap
from rsu.situation.picture import NO_VEHICLES, SURE_HEADING
from rsu.situation.priority_ways import Way

HEARD = "v2x"
"""Sensor id of all that is heard by radio."""
REPORT_NS = NS_PER_S
"""A vehicle's word of its own place is used this long: ten messages at 10 Hz."""
REPORTS_MAX = 512
"""Vehicles whose word is kept; the longest silent goes."""
CRAWL = 5.0
"""m/s: who is slower is held up by a queue that will clear at about this speed (assumed)."""
OVER_M = 3.0
"""m: whose front is this far over the line has not only stopped late."""
SIGMAS = 3.0
ROAD = frozenset({LaneKind.VEHICLE, LaneKind.BIKE, LaneKind.TRACKED})
_NO_REQUESTERS = NO_VEHICLES | {ObjectClass.BICYCLE}


@dataclass(frozen=True, slots=True)
class Sight:
    """A requester as we see it: `eta_s` until its front is at the stop line; `passed`: it is over
    it; `own`: our own sensors see it now, not radio alone."""

    track: int
    object_class: ObjectClass
    eta_s: float
    own: bool
    passed: bool = False


class Reports:
    """The newest word of each vehicle on where it is."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, V2xObject] = OrderedDict()

    def take(self, heard: V2xObjects) -> None:
        """Note what road users say of themselves; what others say of them is no word of theirs."""
        for one in heard.objects:
            if one.self_reported:
                self._newest[one.object_id] = one
                self._newest.move_to_end(one.object_id)
        while len(self._newest) > REPORTS_MAX:
            self._newest.popitem(last=False)

    def of(self, vehicle: bytes, time_ns: int) -> V2xObject | None:
        """Its word, if it is from about that time."""
        one = self._newest.get(vehicle.hex())
        if one is None or abs(time_ns - one.measured_ns) > REPORT_NS:
            return None
        return one

    def forget(self) -> None:
        """Begin anew."""
        self._newest.clear()


def sight_of(
    request: SignalRequest,
    way: Way,
    tracks: TrackList,
    report: V2xObject | None,
    site: SiteMap,
    options: PriorityOptions,
    known: int | None = None,
) -> Sight | None:
    """The track that is the requester, None where our sensors see none that could be. The track
    `known`, which it was before, is it still where it rests on radio alone meanwhile.

    Where the vehicle says where it is, the nearest track within `near_m` and 3 σ; else the one on
    its lane whose arrival is nearest to the one stated, within `arrival_s`.
    """
    seen = [track for track in tracks.tracks if _may_be_it(track, known)]
    if report is not None:
        near = _nearest(report, seen, tracks.time_ns, options.near_m)
        return None if near is None else _sight(near, way, site)
    if request.arrival_ns is None:
        return None
    stated_s = (request.arrival_ns - tracks.time_ns) / NS_PER_S
    coming = [one for track in seen if (one := _sight(track, way, site)) and not one.passed]
    fitting = [one for one in coming if abs(one.eta_s - stated_s) <= options.arrival_s]
    return min(fitting, key=lambda one: (abs(one.eta_s - stated_s), one.track), default=None)


def _may_be_it(track: Track, known: int | None) -> bool:
    return track.object_class not in _NO_REQUESTERS and (_is_seen(track) or track.id == known)


def _is_seen(track: Track) -> bool:
    return any(one != HEARD for one in track.sources)


def _nearest(report: V2xObject, seen: list[Track], time_ns: int, near_m: float) -> Track | None:
    said, std = _at(report, time_ns), _std(report.position_cov.xx, report.position_cov.yy)
    found = []
    for track in seen:
        away = math.hypot(track.position.x - said.x, track.position.y - said.y)
        cov = track.position_cov
        if away <= near_m + SIGMAS * math.hypot(std, _std(cov.xx, cov.yy)):
            found.append((away, track.id, track))
    return min(found)[2] if found else None


def _at(report: V2xObject, time_ns: int) -> Vec2:
    """Where it will have got to, going on as it said."""
    if report.speed is None or report.heading is None:
        return report.position
    way = report.speed * (time_ns - report.measured_ns) / NS_PER_S
    x, y = report.position.x, report.position.y
    return Vec2(x + way * math.cos(report.heading), y + way * math.sin(report.heading))


def _std(xx: float, yy: float) -> float:
    return math.sqrt(max(xx, yy, 0.0))


def _sight(track: Track, way: Way, site: SiteMap) -> Sight | None:
    """How it stands to a way; None where it is not on it."""
    heading = track.heading if track.heading_std < SURE_HEADING else math.nan
    found = site.match([(track.position.x, track.position.y)], headings=[heading], kinds=ROAD)
    index = int(found.lane[0])
    if index < 0 or not bool(found.inside[0]):
        return None
    lane, own = site.lanes[index], _is_seen(track)
    if lane.id in way.beyond:
        return Sight(track.id, track.object_class, 0.0, own, passed=True)
    if lane.id != way.inbound:
        return None
    left_m = way.stop_m - float(found.station[0]) - track.size.length / 2
    eta_s = max(left_m, 0.0) / max(track.speed, CRAWL)
    return Sight(track.id, track.object_class, eta_s, own, passed=left_m < -OVER_M)
