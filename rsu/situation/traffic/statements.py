"""Sums of a stretch of time as statements: quotients per lane, approach and movement.

In: `Sums` and the map's tables. Out: schema structs. Definitions: Treiber & Kesting, "Traffic Flow
Dynamics" (2013), ch. 3 (cross-sectional data) and 4 (density and space-mean speed after Edie 1963);
control delay, queues and levels of service after HCM 2010, ch. 18 and 31.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rsu.schema.traffic import (
    ApproachTraffic,
    LaneQueue,
    LaneState,
    LaneTraffic,
    MovementTraffic,
    QueueTraffic,
    ServiceLevel,
    TrafficState,
)
from rsu.schema.units import Vec2
from rsu.site.lanes import LaneRole
from rsu.situation.queues import Queue
from rsu.situation.traffic import service
from rsu.situation.traffic.roads import Approach, Roads
from rsu.situation.traffic.sums import CLASSES, Floats, Row, Sums

LIT = 0.9  # share of the time in which lights must be known for a capacity to be told


def traffic_state(roads: Roads, sums: Sums) -> TrafficState:
    """Everything about one period."""
    return TrafficState(
        start_ns=sums.start_ns,
        end_ns=sums.end_ns,
        coverage=min(sums.covered_s / sums.seconds, 1.0),
        lanes=lanes_traffic(roads, sums, roads.counted),
        approaches=tuple(_approach(roads, sums, one) for one in roads.approaches),
        movements=tuple(_movements(roads, sums)),
        unassigned=round(float(sums.table[Row.UNASSIGNED].sum())),
    )


def lanes_traffic(roads: Roads, sums: Sums, lanes: Iterable[int]) -> tuple[LaneTraffic, ...]:
    """One statement per lane, in the order given."""
    return tuple(_lane(roads, sums, lane) for lane in lanes)


def lane_states(roads: Roads, sums: Sums, queues: dict[int, Queue]) -> tuple[LaneState, ...]:
    """Every counted lane over one second, with the queues at its end."""
    lanes = list(roads.counted)
    table = sums.table[:, lanes]
    # Mean over the time that was watched: vehicles unseen are unknown, not absent.
    present = _shares(table[Row.PRESENT], table[Row.WATCHED])
    columns = zip(
        lanes, table[Row.COUNT].tolist(), present.tolist(),
        (present / roads.length[lanes]).tolist(),
        table[Row.PRESENT].tolist(), table[Row.DISTANCE].tolist(),
        np.minimum(_shares(table[Row.OCCUPIED], table[Row.WATCHED]), 1.0).tolist(),
        _coverages(table, sums.seconds).tolist(), strict=True,
    )  # fmt: skip
    return tuple(
        LaneState(
            lane=roads.site.lanes[lane].id,
            count=round(count),
            present=there,
            density=density,
            space_mean_speed=_share(way, spent),
            occupancy=occupancy,
            coverage=coverage,
            queue=None if (queue := queues.get(lane)) is None else _queue_now(roads, queue),
        )
        for lane, count, there, density, spent, way, occupancy, coverage in columns
    )


def _queue_now(roads: Roads, queue: Queue) -> LaneQueue:
    x, y, _ = roads.site.lanes[queue.lane].at(queue.back)
    return LaneQueue(
        vehicles=queue.vehicles, seen=len(queue.tracks), length=queue.length, back=Vec2(x, y),
        since_ns=queue.since_ns, spill_back=queue.spill_back, open_end=queue.open_end,
    )  # fmt: skip


def _lane(roads: Roads, sums: Sums, index: int) -> LaneTraffic:
    lane = roads.site.lanes[index]
    column = sums.table[:, index]
    count = round(float(column[Row.COUNT]))
    watched = float(column[Row.WATCHED])
    # Mean over the time that was watched: vehicles unseen are unknown, not absent.
    present = _share(column[Row.PRESENT], watched) or 0.0
    density = present / lane.length
    delay = _delay(roads, sums, [index]) if lane.role is LaneRole.ENTRY else None
    saturation = _saturation(sums, index)
    return LaneTraffic(
        lane=lane.id,
        count=count,
        counts_by_class={
            kind.value: round(float(column[Row.FIRST_CLASS + i]))
            for i, kind in sorted(enumerate(CLASSES), key=lambda one: one[1].value)
            if column[Row.FIRST_CLASS + i] > 0.5
        },
        mean_speed=_share(column[Row.SPEED], count),
        present=present,
        density=density,
        space_mean_speed=_speed(column[Row.DISTANCE], column[Row.PRESENT]),
        occupancy=_share(column[Row.OCCUPIED], watched),
        headway=_share(column[Row.HEADWAY], column[Row.HEADWAYS]),
        gap=_share(column[Row.GAP], column[Row.HEADWAYS]),
        stops=round(float(column[Row.STOPS])) if watched else None,
        delay=delay,
        queue=_queue(sums, [index]),
        saturation=saturation,
        service=_service(roads, index, delay, saturation, density if watched else None),
        coverage=_coverage(sums, [index]),
    )


def _approach(roads: Roads, sums: Sums, approach: Approach) -> ApproachTraffic:
    lanes = list(approach.lanes)
    table = sums.table[:, lanes]
    count = round(float(table[Row.COUNT].sum()))
    watched = float(table[Row.WATCHED].sum())
    delay = _delay(roads, sums, lanes)
    filled = [one for i in lanes if (one := _saturation(sums, i)) is not None]
    saturation = max(filled, default=None)
    level = None
    if delay is not None:
        signals = any(roads.groups[i] for i in lanes)
        level = service.by_delay(delay, saturation, signals=signals)
    present = float(table[Row.PRESENT].sum())
    # Per lane-metre: time spent / (time watched · length), lane by lane (Edie).
    space = float((table[Row.WATCHED] * roads.length[lanes]).sum())
    return ApproachTraffic(
        lanes=tuple(roads.site.lanes[i].id for i in lanes),
        upstream_node=approach.upstream_node,
        downstream_node=approach.downstream_node,
        count=count,
        mean_speed=_share(table[Row.SPEED].sum(), count),
        space_mean_speed=_speed(table[Row.DISTANCE].sum(), present),
        density=present / space if space else 0.0,
        stops=round(float(table[Row.STOPS].sum())),
        delay=delay,
        queue=_queue(sums, lanes),
        saturation=saturation,
        service=level,
        coverage=min(_coverage(sums, [i]) for i in lanes) if watched else 0.0,
    )


def _movements(roads: Roads, sums: Sums) -> Iterable[MovementTraffic]:
    lanes = roads.site.lanes
    for one in roads.movements:
        column = sums.table[:, one.connection]
        maneuver = lanes[one.connection].maneuver
        yield MovementTraffic(
            connection=lanes[one.connection].id,
            entry=lanes[one.entry].id,
            exit=lanes[one.exit].id,
            maneuver="" if maneuver is None else maneuver.value,
            count=round(float(column[Row.TURNS])),
            space_mean_speed=_speed(column[Row.DISTANCE], column[Row.PRESENT]),
        )


def _delay(roads: Roads, sums: Sums, lanes: Sequence[int]) -> float | None:
    """Control delay per vehicle that left, s; None when none did.

    Time spent on the lanes and on the ways that they alone lead into, beyond what the same distance
    takes at free speed (the limit). It is what HCM 2010, 18-2 defines, without the part of
    acceleration that lies beyond the junction; vehicles need no identity for it, so that a track
    that was lost and found again does not matter.
    """
    count = float(sums.table[Row.COUNT, list(lanes)].sum())
    if count < 0.5:
        return None
    ways = [*lanes, *(way for lane in lanes for way in roads.onward.get(lane, ()))]
    spent = sums.table[Row.PRESENT, ways] + sums.table[Row.HIDDEN, ways]
    lost = spent - sums.table[Row.DISTANCE, ways] / roads.free_speed[ways]
    return max(float(lost.sum()), 0.0) / count


def _saturation(sums: Sums, lane: int) -> float | None:
    column = sums.table[:, lane]
    if column[Row.LIT] < LIT * sums.seconds:
        return None
    return service.saturation(float(column[Row.COUNT]), float(column[Row.GREEN]))


def _service(
    roads: Roads, lane: int, delay: float | None, saturation: float | None, density: float | None
) -> ServiceLevel | None:
    role = roads.site.lanes[lane].role
    if role is LaneRole.ENTRY:
        if delay is None:
            return None
        return service.by_delay(delay, saturation, signals=bool(roads.groups[lane]))
    if role is LaneRole.CONNECTION or density is None:
        return None
    return service.by_density(density)


def _queue(sums: Sums, lanes: Sequence[int]) -> QueueTraffic | None:
    table = sums.table[:, lanes]
    watched = float(table[Row.WATCHED].max())
    if not watched:
        return None
    longest = int(np.argmax(table[Row.QUEUE_LENGTH]))
    return QueueTraffic(
        vehicles=float(table[Row.QUEUE].sum()) / watched,
        most_vehicles=round(float(sums.peaks[0, lanes].sum())),
        length=float(table[Row.QUEUE_LENGTH, longest]) / watched,
        longest=float(sums.peaks[1, lanes].max()),
        spilled=min(float(table[Row.SPILLED].max()) / watched, 1.0),
    )


def _coverage(sums: Sums, lanes: Sequence[int]) -> float:
    """Of lanes taken together, as `_coverages` of each."""
    whole = sums.table[:, lanes].sum(axis=1, keepdims=True)
    return float(_coverages(whole, sums.seconds * len(lanes))[0])


def _coverages(table: Floats, seconds: float) -> Floats:
    """Of each column: share of the time in which a live sensor looked, times the share of those
    known to be there (also unseen ones in a queue) who were measured."""
    there = table[Row.PRESENT] + table[Row.HIDDEN]
    measured = np.where(there > 0.0, _shares(table[Row.MEASURED], there), 1.0)
    looked = np.minimum(table[Row.COVERED] / seconds, 1.0)
    return np.asarray(looked * np.minimum(measured, 1.0))


def _shares(part: Floats, whole: Floats) -> Floats:
    """Quotients; 0 of nothing."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0.0)


def _speed(way: float, spent: float) -> float | None:
    """Space-mean speed, m/s: who only wavers is not said to go backwards."""
    speed = _share(way, spent)
    return None if speed is None else max(speed, 0.0)


def _share(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole > 0.0 else None
