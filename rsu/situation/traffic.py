"""Traffic per lane: who crossed the counting line, how fast, how many are on the lane.

In: `tracks` and `health/sensor`. Out: one `TrafficState` per period of 10 s aligned to UTC, with
every lane that vehicles use. What is counted and how surely:

- flow and mean speed: `rsu.situation.counting` (measured positions only, never extrapolated ones);
- presence and density: time integral of the number of vehicles between a lane's edges (Edie's
  density over the lane and the period: total time spent there / (period × length));
- coverage: the share of the period in which track lists followed each other and at least one
  sensor said it was live. A silent or blind unit reports low coverage, not an empty road.

Everything is placed by the time of its evidence; a period is told once a little later, so that
evidence on its way still counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.situation import LaneTraffic, TrafficState
from rsu.schema.topics import SENSOR_HEALTH, TRACKS, TRAFFIC, Topic
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.site.lanes import SiteMap
from rsu.situation.counting import SURE_HEADING, Crossing, LineCounter, counted_lanes, is_vehicle

PERIOD_NS = 10 * NS_PER_S
GRACE_NS = NS_PER_S  # ns after a period's end until it is told: detections are up to 0.5 s late
LONGEST_GAP_NS = 500 * NS_PER_MS  # ns between track lists; beyond it nobody was looking
HEALTH_NS = 5 * NS_PER_S  # ns: health comes every second; older than this it says nothing
PERCEIVING = frozenset({SensorKind.CAMERA, SensorKind.RADAR, SensorKind.LIDAR})


@dataclass(slots=True)
class _Lane:
    """Sums of one lane over one period."""

    counts: dict[str, int] = field(default_factory=dict)
    speed_sum: float = 0.0
    present_ns: float = 0.0  # vehicles × time


@dataclass(slots=True)
class _Period:
    lanes: list[_Lane]
    followed_ns: int = 0  # time during which track lists followed each other
    covered_ns: int = 0  # … and a sensor was live


class TrafficStage:
    """Counts traffic on the vehicle lanes of a site; says nothing where the map has none."""

    name = "traffic"
    inputs: tuple[Topic, ...] = (TRACKS, SENSOR_HEALTH)
    outputs: tuple[Topic, ...] = (TRAFFIC,)
    period_ns: int | None = NS_PER_S

    def __init__(self, site_map: SiteMap, boot: Instant) -> None:
        self._map = site_map
        self._lanes = counted_lanes(site_map)
        self._kinds = frozenset(lane.kind for lane in self._lanes)
        # Index of a lane of the map among the counted ones.
        self._place = {site_map.lane_index[lane.id]: i for i, lane in enumerate(self._lanes)}
        self._counter = LineCounter(self._lanes)
        self._periods: dict[int, _Period] = {}
        self._told_ns = boot.utc_ns // PERIOD_NS * PERIOD_NS  # end of what was told
        self._last: TrackList | None = None
        self._health: dict[str, tuple[bool, int]] = {}

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """Take one track list or one sensor's health."""
        if not self._lanes:
            return []
        payload = message.payload
        out = self._restart_if_set_back(now)
        if isinstance(payload, SensorHealth):
            if payload.kind in PERCEIVING:
                self._health[payload.sensor] = (payload.state is SensorState.LIVE, now.mono_ns)
        elif isinstance(payload, TrackList):
            self._follow(payload, now)
        return out + self._tell(now)

    def tick(self, now: Instant) -> Iterable[Message]:
        """Tell the periods that are over."""
        if not self._lanes:
            return []
        return self._restart_if_set_back(now) + self._tell(now)

    def _follow(self, tracks: TrackList, now: Instant) -> None:
        last = self._last
        if last is not None and tracks.time_ns < last.time_ns:
            return  # an older list cannot add to what is known
        if last is not None:
            self._integrate(last, tracks.time_ns, now)
        for crossing in self._counter.follow(tracks):
            self._count(crossing)
        self._last = tracks

    def _integrate(self, tracks: TrackList, until_ns: int, now: Instant) -> None:
        """Let the vehicles of a list stay where they are until the next one."""
        if until_ns - tracks.time_ns > LONGEST_GAP_NS:
            return
        live = self._anyone_live(now)
        occupied = self._occupied(tracks)
        begin = tracks.time_ns
        while begin < until_ns:
            start = begin // PERIOD_NS * PERIOD_NS
            end = min(until_ns, start + PERIOD_NS)
            period = self._period(start)
            if period is not None:
                period.followed_ns += end - begin
                period.covered_ns += (end - begin) if live else 0
                for lane in occupied:
                    period.lanes[lane].present_ns += end - begin
            begin = end

    def _occupied(self, tracks: TrackList) -> list[int]:
        """The counted lane of every vehicle that is between the edges of one."""
        vehicles = [track for track in tracks.tracks if is_vehicle(track)]
        if not vehicles:
            return []
        match = self._map.match(
            np.array([(track.position.x, track.position.y) for track in vehicles]),
            headings=np.array(
                [t.heading if t.heading_std < SURE_HEADING else np.nan for t in vehicles]
            ),
            kinds=self._kinds,
        )
        return [self._place[lane] for lane in match.lane[match.inside].tolist()]

    def _count(self, crossing: Crossing) -> None:
        period = self._period(crossing.time_ns // PERIOD_NS * PERIOD_NS)
        if period is not None:
            lane = period.lanes[crossing.lane]
            name = crossing.object_class.value
            lane.counts[name] = lane.counts.get(name, 0) + 1
            lane.speed_sum += crossing.speed

    def _period(self, start_ns: int) -> _Period | None:
        """The sums of a period; None when it has been told already."""
        if start_ns < self._told_ns:
            return None
        period = self._periods.get(start_ns)
        if period is None:
            period = self._periods[start_ns] = _Period([_Lane() for _ in self._lanes])
        return period

    def _anyone_live(self, now: Instant) -> bool:
        """Without any word on health, the track lists themselves are the sign of life."""
        if not self._health:
            return True
        return any(live and now.mono_ns - at <= HEALTH_NS for live, at in self._health.values())

    def _tell(self, now: Instant) -> list[Message]:
        """States of the periods that ended `GRACE_NS` ago.

        The newest of them is told even if nothing was seen, with coverage 0; earlier ones that a
        stalled host slept through are left out.
        """
        over = (now.utc_ns - GRACE_NS) // PERIOD_NS * PERIOD_NS  # end of the newest period over
        if over <= self._told_ns:
            return []
        self._period(over - PERIOD_NS)
        return self._close([start for start in sorted(self._periods) if start < over], over)

    def _restart_if_set_back(self, now: Instant) -> list[Message]:
        """A clock set back by more than the grace ends what is open and starts counting anew."""
        if now.utc_ns >= self._told_ns - PERIOD_NS:
            return []
        out = self._close(sorted(self._periods), now.utc_ns // PERIOD_NS * PERIOD_NS)
        self._last = None
        self._counter.forget()
        return out

    def _close(self, starts: list[int], told_ns: int) -> list[Message]:
        self._told_ns = told_ns
        states = [self._state(start, self._periods.pop(start)) for start in starts]
        return [Message.draft(TRAFFIC, self.name, state.start_ns, state) for state in states]

    def _state(self, start_ns: int, period: _Period) -> TrafficState:
        lanes = []
        for lane, sums in zip(self._lanes, period.lanes, strict=True):
            count = sum(sums.counts.values())
            # Mean over the time that was watched: vehicles unseen are unknown, not absent.
            present = sums.present_ns / period.followed_ns if period.followed_ns else 0.0
            lanes.append(
                LaneTraffic(
                    lane=lane.id,
                    count=count,
                    counts_by_class=dict(sorted(sums.counts.items())),
                    mean_speed=sums.speed_sum / count if count else None,
                    present=present,
                    density=present / lane.length,
                )
            )
        return TrafficState(
            start_ns=start_ns,
            end_ns=start_ns + PERIOD_NS,
            coverage=period.covered_ns / PERIOD_NS,
            lanes=tuple(lanes),
        )
