"""Traffic by lane with its history, and parking lots bay by bay.

In: `LaneStates`, `TrafficState`, `ParkingState`. Out: plain data; the history changes every ten
seconds, so it is given apart from the snapshot and named by a version.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from rsu.schema.parking import ParkingState
from rsu.schema.traffic import LaneStates, TrafficState
from rsu.schema.units import NS_PER_MS, NS_PER_S

PERIODS_KEPT = 90
"""A quarter of an hour of the ten-second counts."""


class Roads:
    """The newest of every lane and lot, and what was counted before."""

    def __init__(self) -> None:
        self._lanes: LaneStates | None = None
        self._periods: deque[TrafficState] = deque(maxlen=PERIODS_KEPT)
        self._lots: dict[str, ParkingState] = {}
        self.version = 0

    def take_lanes(self, lanes: LaneStates) -> None:
        self._lanes = lanes

    def take_traffic(self, traffic: TrafficState) -> None:
        self._periods.append(traffic)
        self.version = traffic.end_ns // NS_PER_MS

    def take_parking(self, state: ParkingState) -> None:
        self._lots[state.lot] = state

    def lanes_at(self, now_ns: int) -> dict[str, Any]:
        """Lanes on which there is anything to tell."""
        if self._lanes is None:
            return {"age_s": None, "list": []}
        return {
            "age_s": round((now_ns - self._lanes.time_ns) / NS_PER_S, 2),
            "list": [
                {
                    "lane": lane.lane,
                    "present": round(lane.present, 1),
                    "speed": _rounded(lane.space_mean_speed, 1),
                    "coverage": round(lane.coverage, 2),
                    "queue": None
                    if lane.queue is None
                    else {
                        "vehicles": lane.queue.vehicles,
                        "length": round(lane.queue.length, 1),
                        "spill_back": lane.queue.spill_back,
                        "open_end": lane.queue.open_end,
                    },
                }
                for lane in self._lanes.lanes
            ],
        }

    def lots_at(self, now_ns: int) -> list[dict[str, Any]]:
        """Every lot with its bays."""
        return [_lot(state, now_ns) for _, state in sorted(self._lots.items())]

    def history(self) -> dict[str, Any]:
        """Counts and speeds of the last periods, per lane and per approach."""
        periods = list(self._periods)
        names = sorted({lane.lane for period in periods for lane in period.lanes})
        tables = [{lane.lane: lane for lane in period.lanes} for period in periods]
        newest = tables[-1] if tables else {}
        return {
            "version": self.version,
            "ends_ms": [period.end_ns // NS_PER_MS for period in periods],
            "period_s": [round((p.end_ns - p.start_ns) / NS_PER_S, 1) for p in periods],
            "coverage": [round(period.coverage, 2) for period in periods],
            "lanes": [
                {
                    "lane": name,
                    "count": [_of(table.get(name), "count", 0) for table in tables],
                    "speed": [_of(table.get(name), "mean_speed", 1) for table in tables],
                    "occupancy": _of(newest.get(name), "occupancy", 2),
                    "delay": _of(newest.get(name), "delay", 1),
                    "service": _service(newest.get(name)),
                    "classes": dict(newest[name].counts_by_class) if name in newest else {},
                }
                for name in names
            ],
            "movements": []
            if not periods
            else [
                {"entry": m.entry, "exit": m.exit, "maneuver": m.maneuver,
                 "count": sum(x.count for p in periods for x in p.movements
                              if x.connection == m.connection)}
                for m in periods[-1].movements
            ],
        }  # fmt: skip


def _lot(state: ParkingState, now_ns: int) -> dict[str, Any]:
    totals = state.totals
    counts: dict[str, int] = {}
    for bay in state.bays:
        counts[str(bay.status)] = counts.get(str(bay.status), 0) + 1
    return {
        "lot": state.lot,
        "age_s": round((now_ns - state.time_ns) / NS_PER_S, 2),
        "counts": counts,
        "entries": None if totals is None else totals.entries,
        "exits": None if totals is None else totals.exits,
        "unexplained": None if totals is None else totals.unexplained,
        "guided": len(state.guidance),
        "bays": [
            {
                "bay": bay.bay,
                "status": str(bay.status),
                "p": round(bay.occupied_probability, 2),
                "since_s": round((state.time_ns - bay.since_ns) / NS_PER_S),
                "track": bay.track,
                "misuse": [str(one) for one in bay.misuse],
                "sources": list(bay.sources),
            }
            for bay in state.bays
        ],
    }


def _of(lane: Any, name: str, digits: int) -> float | None:
    return None if lane is None else _rounded(getattr(lane, name), digits)


def _service(lane: Any) -> str | None:
    return None if lane is None or lane.service is None else str(lane.service)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
