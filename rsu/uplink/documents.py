"""The JSON documents of the uplink: runtime structs in, plain dictionaries out (docs/uplink.md).

Units are in the key names. Positions are WGS-84, headings degrees clockwise from north, times
RFC 3339 UTC. Numbers are rounded to what their own uncertainty supports: the last digit written is
not finer than a tenth of one standard deviation, so nothing looks better known than it is.
No document carries plates, images or anything else that names a person or a vehicle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rsu.schema.events import Conflict, RoadEvent, Snapshot
from rsu.schema.health import LinkHealth, SensorAlarm, SensorHealth, SensorState, UnitHealth
from rsu.schema.parking import BayState, BayStay, ParkingState
from rsu.schema.tracks import Track
from rsu.schema.traffic import LaneTraffic, TrafficState
from rsu.schema.units import NS_PER_S, Cov2
from rsu.site.geodesy import LocalFrame, compass_degrees

Document = dict[str, Any]

_METRES_PER_DEGREE = 111_320.0  # of latitude, and at most this of longitude (WGS-84, equator)
_FINEST_DEGREE = 7  # decimals; 1.1 cm, the resolution of V2X positions (T/CSAE 53-2020 DF_Position)
_COARSEST_DEGREE = 3  # decimals; 111 m: whatever the covariance says, the site is known
_DETAIL_CHARACTERS = 200
BAYS_PER_DOCUMENT = 256
"""With about 250 bytes a bay, below the outbox's limit of 131 072 bytes a document."""


def utc_text(time_ns: int) -> str:
    """RFC 3339 in UTC with milliseconds (cut, not rounded: never later than it was)."""
    seconds, rest = divmod(time_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


def rounded(value: float, sigma: float, finest: int = 3, coarsest: int = 0) -> float:
    """`value` with the decimals its 1 σ supports: the last place is at most σ, at least σ / 10."""
    if sigma <= 0.0:
        return round(value, finest)
    return round(value, min(max(math.ceil(-math.log10(sigma)), coarsest), finest))


def largest_sigma(covariance: Cov2) -> float:
    """Standard deviation along the longer axis of the error ellipse, m."""
    mean = (covariance.xx + covariance.yy) / 2.0
    spread = math.hypot((covariance.xx - covariance.yy) / 2.0, covariance.xy)
    return math.sqrt(max(mean + spread, 0.0))


def position(frame: LocalFrame, x: float, y: float, sigma_m: float) -> Document:
    """Latitude and longitude of a point of the site frame known to `sigma_m`."""
    latitude, longitude, _ = frame.to_geodetic(x, y, 0.0)
    sigma = sigma_m / _METRES_PER_DEGREE
    return {
        "latitude_deg": rounded(latitude, sigma, _FINEST_DEGREE, _COARSEST_DEGREE),
        "longitude_deg": rounded(longitude, sigma, _FINEST_DEGREE, _COARSEST_DEGREE),
    }


def track_item(track: Track, frame: LocalFrame, now_ns: int) -> Document:
    """One road user of the tracks summary."""
    sigma = largest_sigma(track.position_cov)
    heading_sigma = math.degrees(track.heading_std)
    # Beyond 90° even forward and backward are a guess: no heading is better than a wrong one.
    heading = None
    if heading_sigma < 90.0:
        heading = rounded(compass_degrees(track.heading), heading_sigma, 1) % 360.0
    return {
        "track": track.id,
        "class": track.object_class.value,
        "class_probability": round(track.class_probability, 2),
        "existence_probability": round(track.existence, 2),
        "status": track.status.value,
        **position(frame, track.position.x, track.position.y, sigma),
        "position_sigma_m": round(sigma, 2),
        "speed_mps": rounded(track.speed, track.speed_std, 2),
        "speed_sigma_mps": round(track.speed_std, 2),
        "heading_deg": heading,
        "heading_sigma_deg": round(min(heading_sigma, 180.0), 1),
        "length_m": round(track.size.length, 1),
        "width_m": round(track.size.width, 1),
        "age_s": _age(track.updated_ns, now_ns),
        "sensors": list(track.sources),
    }


def event_document(event: RoadEvent, frame: LocalFrame) -> Document:
    """A road event; the same `event` number from onset to end."""
    return {
        "event": event.id,
        "kind": event.kind,
        "phase": event.phase.value,
        "gbt29100_code": event.code,
        "time_utc": utc_text(event.time_ns),
        "start_utc": utc_text(event.start_ns),
        # Where within the radius it is cannot be told: that is its uncertainty.
        **position(frame, event.position.x, event.position.y, event.radius),
        "radius_m": round(event.radius, 1),
        "confidence": round(event.confidence, 2),
        "severity": event.severity,
        "lanes": list(event.lanes),
        "tracks": list(event.tracks),
        "snapshots": [_look(one) for one in event.snapshots],
        **_conflict(event.conflict, frame),
    }


def _look(one: Snapshot) -> Document:
    """What a sensor saw at one moment, as the unit's recordings name it."""
    return {
        "sensor": one.sensor,
        "number": one.number,
        "time_utc": utc_text(one.capture_ns),
    }


def _conflict(conflict: Conflict | None, frame: LocalFrame) -> Document:
    """Who may meet whom, when and where; nothing for other events."""
    if conflict is None:
        return {}
    return {
        "conflict": {
            "tracks": list(conflict.tracks),
            "time_to_conflict_s": round(conflict.time_to_conflict_s, 2),
            "probability": round(conflict.probability, 2),
            "required_deceleration_mps2": round(conflict.required_deceleration, 2),
            **position(frame, conflict.point.x, conflict.point.y, 1.0),
        }
    }


def parking_documents(state: ParkingState) -> Iterable[Document]:
    """One lot: totals, every bay, and the stays that `state` says have ended, in parts where it is
    large. Vehicles are not named: a bay's track and who is guided stay here."""
    parts = max(1, -(-len(state.bays) // BAYS_PER_DOCUMENT))
    for part in range(parts):
        some = state.bays[part * BAYS_PER_DOCUMENT : (part + 1) * BAYS_PER_DOCUMENT]
        stays = state.ended if part == 0 else ()
        head = {"part": part + 1, "parts": parts, "total": len(state.bays)}
        yield {**_lot(state), **head, "bays": list(map(_bay, some)),
               "ended_stays": list(map(_stay, stays))}  # fmt: skip


def _lot(state: ParkingState) -> Document:
    totals = state.totals
    return {
        "time_utc": utc_text(state.time_ns),
        "lot": state.lot,
        "totals": None
        if totals is None
        else {
            "free": totals.free,
            "occupied": totals.occupied,
            "unknown": totals.unknown,
            "closed": totals.closed,
            "on_aisles": totals.on_aisles,
            "entries": totals.entries,
            "exits": totals.exits,
            "counted_since_utc": None if totals.since_ns is None else utc_text(totals.since_ns),
            "unexplained": totals.unexplained,
        },
    }


def _bay(bay: BayState) -> Document:
    return {
        "bay": bay.bay,
        "status": bay.status.value,
        "occupied_probability": round(bay.occupied_probability, 2),
        "since_utc": utc_text(bay.since_ns),
        "entered_utc": None if bay.entered_ns is None else utc_text(bay.entered_ns),
        "misuse": [one.value for one in bay.misuse],
        "sources": list(bay.sources),
    }


def _stay(stay: BayStay) -> Document:
    return {
        "bay": stay.bay,
        "entered_utc": None if stay.entered_ns is None else utc_text(stay.entered_ns),
        "left_utc": utc_text(stay.left_ns),
    }


def health_document(
    unit: UnitHealth | None,
    sensors: Iterable[SensorHealth],
    now_ns: int,
    link: LinkHealth | None = None,
) -> Document:
    """How the unit, its sensors and its connection are. A sensor that works is `shifted` while it
    is the suspect of an alarm."""
    alarms = () if unit is None else unit.alarms
    suspects = {alarm.suspect for alarm in alarms}
    return {
        "time_utc": utc_text(now_ns),
        "clock": None if unit is None else unit.clock.value,
        "capability": None if unit is None else unit.capability.value,
        "unit_age_s": None if unit is None else _age(unit.time_ns, now_ns),
        "processes": [
            {"name": p.name, "state": p.state, "restarts": p.restarts}
            for p in (() if unit is None else unit.processes)
        ],
        "sensors": [
            {
                "sensor": s.sensor,
                "kind": s.kind.value,
                "state": (
                    SensorState.SHIFTED
                    if s.state is SensorState.LIVE and s.sensor in suspects
                    else s.state
                ).value,
                "since_utc": utc_text(s.since_ns),
                "age_s": _age(s.time_ns, now_ns),
                "detail": s.detail[:_DETAIL_CHARACTERS],
                "received": s.received,
                "dropped": dict(s.dropped),
                "reconnects": s.reconnects,
            }
            for s in sensors
        ],
        "alarms": [alarm_document(alarm) for alarm in alarms],
        **({} if link is None else {"link": _link_document(link, now_ns)}),
    }


def _link_document(link: LinkHealth, now_ns: int) -> Document:
    """The connection to the platform; null: not known."""
    modem = link.modem
    return {
        "age_s": _age(link.time_ns, now_ns),
        "connections": link.connections,
        "connected_s": _rounded(link.connected_s, 1),
        "rtt_s": _rounded(link.rtt_s, 3),
        "rtt_max_s": _rounded(link.rtt_max_s, 3),
        "network_rtt_s": _rounded(link.network_rtt_s, 4),
        "resent_share": _rounded(link.resent, 4),
        "sent_bytes": link.sent_bytes,
        "received_bytes": link.received_bytes,
        "modem": None
        if modem is None
        else {
            "technology": modem.technology,
            "rsrp_dbm": modem.rsrp_dbm,
            "rsrq_db": modem.rsrq_db,
            "snr_db": modem.snr_db,
        },
        "modem_unknown": link.modem_unknown,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def alarm_document(alarm: SensorAlarm) -> Document:
    """Two sensors that contradict each other, or (`active` false) no longer do."""
    return {
        "kind": alarm.kind.value,
        "sensor": alarm.sensor,
        "against": alarm.against,
        "suspect": alarm.suspect,
        "active": alarm.active,
        "since_utc": utc_text(alarm.since_ns),
        "time_utc": utc_text(alarm.time_ns),
        "shift_east_m": rounded(alarm.shift.x, alarm.shift_std),
        "shift_north_m": rounded(alarm.shift.y, alarm.shift_std),
        "shift_sigma_m": round(alarm.shift_std, 2),
        "offset_s": rounded(alarm.offset, alarm.offset_std),
        "offset_sigma_s": round(alarm.offset_std, 3),
    }


class TrafficSum:
    """Traffic states of consecutive periods, added up to one report.

    Counts, stops and turns add; mean speeds, headways and delays weigh by count; presence, density,
    occupancy and queues by time; coverage is the covered share of the whole span, so that a gap
    between periods lowers it. A period that overlaps what is already in is left out: its vehicles
    would count twice.
    """

    def __init__(self) -> None:
        self._start_ns: int | None = None
        self._last: tuple[int, int] | None = None  # the newest period, also after `take`
        self._covered_ns = 0.0
        self._lanes: dict[str, _LaneSum] = {}
        self._turns: dict[tuple[str, str], int] = {}

    def precedes(self, state: TrafficState) -> bool:
        """Whether a period lies before the newest one: the clock went back, begin a new report."""
        return self._last is not None and state.end_ns <= self._last[0]

    def add(self, state: TrafficState) -> bool:
        """Add one period; False when it overlaps the newest one or is empty."""
        length = state.end_ns - state.start_ns
        overlaps = self._last is not None and state.start_ns < self._last[1]
        if length <= 0 or (overlaps and not self.precedes(state)):
            return False
        if self._start_ns is None:
            self._start_ns = state.start_ns
        self._last = (state.start_ns, state.end_ns)
        self._covered_ns += state.coverage * length
        for lane in state.lanes:
            self._lanes.setdefault(lane.lane, _LaneSum()).add(lane, length)
        for one in state.movements:
            way = one.entry, one.exit
            self._turns[way] = self._turns.get(way, 0) + one.count
        return True

    def take(self) -> tuple[int, Document] | None:
        """(start ns, document) of what was added since the last call, None when nothing was."""
        if self._start_ns is None or self._last is None:
            return None
        start_ns, end_ns = self._start_ns, self._last[1]
        span = end_ns - start_ns
        document = {
            "start_utc": utc_text(start_ns),
            "end_utc": utc_text(end_ns),
            "period_s": round(span / NS_PER_S, 3),
            # Cut, so that a period with any gap never reads as fully covered.
            "coverage": math.floor(1000.0 * min(self._covered_ns / span, 1.0)) / 1000.0,
            "lanes": [
                {"lane": name} | lane.document(span) for name, lane in sorted(self._lanes.items())
            ],
            "turns": [
                {"from": entry, "to": leave, "count": count}
                for (entry, leave), count in sorted(self._turns.items())
            ],
        }
        self._start_ns = None
        self._covered_ns = 0.0
        self._lanes, self._turns = {}, {}
        return start_ns, document


class _LaneSum:
    """One lane over several periods."""

    def __init__(self) -> None:
        self.count = 0
        self.stops = 0
        self.by_class: dict[str, int] = {}
        self.most_queued = 0
        self.length_ns = 0
        # (sum, weight) by name.
        self._means: dict[str, tuple[float, float]] = {}

    def add(self, lane: LaneTraffic, length_ns: int) -> None:
        """One period of the lane."""
        self.count += lane.count
        self.stops += lane.stops or 0
        for name, count in lane.counts_by_class.items():
            self.by_class[name] = self.by_class.get(name, 0) + count
        self.length_ns += length_ns
        self._weigh("mean_speed", lane.mean_speed, lane.count)
        self._weigh("headway", lane.headway, lane.count)
        self._weigh("delay", lane.delay, lane.count)
        self._weigh("present", lane.present, length_ns)
        self._weigh("density", lane.density, length_ns)
        self._weigh("occupancy", lane.occupancy, length_ns)
        self._weigh("coverage", lane.coverage, length_ns)
        # Way covered over time spent: the time spent is the weight (Edie).
        self._weigh("space_mean_speed", lane.space_mean_speed, lane.present * length_ns)
        if lane.queue is not None:
            self._weigh("queue", lane.queue.vehicles, length_ns)
            self.most_queued = max(self.most_queued, lane.queue.most_vehicles)

    def document(self, span_ns: int) -> Document:
        """What of it is reported; null where nothing was measured."""
        coverage = self._mean("coverage", 3)
        if coverage is not None:  # cut, and lower where periods are missing
            coverage = math.floor(1000.0 * coverage * min(self.length_ns / span_ns, 1.0)) / 1000.0
        return {
            "count": self.count,
            "counts_by_class": dict(sorted(self.by_class.items())),
            "mean_speed_mps": self._mean("mean_speed", 2),
            "space_mean_speed_mps": self._mean("space_mean_speed", 2),
            "mean_present": self._mean("present", 2),
            "density_per_km": self._mean("density", 1, 1000.0),
            "occupancy": self._mean("occupancy", 3),
            "headway_s": self._mean("headway", 1),
            "stops": self.stops,
            "delay_s": self._mean("delay", 1),
            "mean_queue": self._mean("queue", 1),
            "most_queued": self.most_queued,
            "coverage": coverage,
        }

    def _weigh(self, name: str, value: float | None, weight: float) -> None:
        if value is not None and weight > 0:
            total, weights = self._means.get(name, (0.0, 0.0))
            self._means[name] = (total + value * weight, weights + weight)

    def _mean(self, name: str, decimals: int, factor: float = 1.0) -> float | None:
        total, weights = self._means.get(name, (0.0, 0.0))
        return round(factor * total / weights, decimals) if weights > 0 else None


def _age(then_ns: int, now_ns: int) -> float:
    """Seconds, never negative (a clock may have stepped)."""
    return round(max(now_ns - then_ns, 0) / NS_PER_S, 2)
