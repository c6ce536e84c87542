"""The way through the junction that a request names, and the light that governs it.

In: the site map and `SignalRequest`s. Out: a `Way`, or the reason code why none is meant.
"""

from __future__ import annotations

from typing import NamedTuple

from rsu.schema.priority import SignalRequest
from rsu.site.lanes import LaneKind, LaneRole, SiteMap

ON_FOOT = frozenset({LaneKind.CROSSWALK, LaneKind.SIDEWALK})


class Way(NamedTuple):
    """From `inbound` (a lane's id), whose stop line lies `stop_m` along it, under one signal
    `group`; `beyond` are the lanes after the stop line."""

    inbound: str
    group: int
    stop_m: float
    beyond: frozenset[str]


def way_of(site: SiteMap, request: SignalRequest) -> Way | str:
    """The one signalled way that a request asks for.

    Reason codes: `lane_unknown` (no entry lane of this site), `no_way` (it does not lead to the
    lane asked for), `no_signal` (no light governs it), `way_ambiguous` (several lights might).
    """
    index = site.lane_index.get(request.inbound or "")
    if index is None:
        return "lane_unknown"
    inbound = site.lanes[index]
    if inbound.role is not LaneRole.ENTRY or inbound.kind in ON_FOOT:
        return "lane_unknown"
    connections = [
        lane
        for name in inbound.successors
        if (lane := site.lane(name)).role is LaneRole.CONNECTION
        and (request.outbound is None or request.outbound in lane.successors)
    ]
    if not connections:
        return "no_way"
    groups = {lane.signal_group for lane in connections}
    if len(groups) > 1:
        return "way_ambiguous"
    (group,) = groups
    if group is None:
        return "no_signal"
    stop_m = inbound.length if inbound.stop_line is None else inbound.stop_line
    beyond = {name for lane in connections for name in (lane.id, *lane.successors)}
    return Way(inbound.id, group, stop_m, frozenset(beyond))
