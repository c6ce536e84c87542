"""The site map as a MAP sees it: links between nodes, the lanes in them, and the turns they allow.

`links_of` reads lanes, roles and successors of a `SiteMap` once for every message set and for the
checks; what is missing comes out as findings that name the lane and the property. Positions are
rounded to the air's 1e-7 degree first and thinned afterwards, so that the points of a map that
came back over the air are those that went out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rsu.site.features import Direction, LaneKind, LaneRole, Maneuver
from rsu.site.lanes import Lane, SiteMap
from rsu.v2x.map.findings import Finding
from rsu.v2x.map.thinning import Floats, TooManyPointsError, thin

Position = tuple[float, float]
"""Longitude and latitude, 1e-7 degree."""
Rounded = tuple[int, int]
"""The same in whole steps, as CSAE says it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One way through the intersection: from an entry lane over a connection to an exit lane.

    `target` is the exit lane; `maneuver` and `group` come from the connection, which is absent
    where lanes join without one. `path` is the connection's lane id.
    """

    target: Lane
    maneuver: Maneuver | None = None
    group: int | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class LinkLane:
    """One lane of a link with its turns, in order of the target's node and lane number."""

    lane: Lane
    number: int
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """The directed road section `upstream` → `downstream`; lanes by their numbers."""

    upstream: int
    downstream: int
    lanes: tuple[LinkLane, ...]


@dataclass(slots=True)
class Links:
    """All links of a site in order of downstream and upstream node, and what kept others out."""

    links: list[Link] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def links_of(site: SiteMap, intersection: int) -> Links:
    """Links of a site whose intersection has that node number."""
    found = Links()
    groups: dict[tuple[int, int], list[LinkLane]] = {}
    for lane in site.lanes:
        problems = list(_problems(lane, intersection))
        found.findings += problems
        if lane.upstream_node is None or lane.downstream_node is None or lane.lane_id is None:
            continue
        turns = _turns(site, lane, found.findings) if not lane.kind.on_foot else []
        key = (lane.downstream_node, lane.upstream_node)
        groups.setdefault(key, []).append(LinkLane(lane, lane.lane_id, tuple(turns)))
    for (down, up), lanes in sorted(groups.items()):
        ordered = tuple(sorted(lanes, key=lambda one: one.number))
        found.links.append(Link(up, down, ordered))
    return found


def _problems(lane: Lane, intersection: int) -> Iterator[Finding]:
    on_link = lane.role in (LaneRole.ENTRY, LaneRole.EXIT)
    signalled_walk = lane.kind is LaneKind.CROSSWALK and lane.signal_group is not None
    if on_link or signalled_walk:
        why = f"{lane.role} lanes belong to a link" if on_link else "its signal belongs to a link"
        for key in ("upstream_node", "downstream_node", "lane_id"):
            if getattr(lane, key) is None:
                yield Finding(lane.id, key, f"missing: {why}")
    elif lane.role is None and lane.upstream_node is None:
        yield Finding(
            lane.id, "upstream_node", f"a {lane.kind} lane without a link is left out", True
        )
    elif lane.role is None and lane.lane_id is None:
        yield Finding(lane.id, "lane_id", "missing: it belongs to a link")
    if lane.role is LaneRole.ENTRY and lane.stop_line is None:
        yield Finding(lane.id, "stop_line", "missing: an entry lane ends at its stop line")
    elif lane.stop_line is not None and lane.stop_line < 1.0:
        yield Finding(lane.id, "stop_line", "nothing of the lane is left before its stop line")
    near = {LaneRole.ENTRY: "downstream_node", LaneRole.EXIT: "upstream_node"}
    key = near.get(lane.role, "") if lane.role else ""
    node = getattr(lane, key) if key else None
    if node is not None and node != intersection:
        yield Finding(lane.id, key, f"is {node}, but the site's intersection is {intersection}")
    if lane.direction is Direction.BOTH and on_link:
        yield Finding(
            lane.id, "direction", "a lane of a link is one-way: only the drawn direction is said",
            True,
        )  # fmt: skip


def _turns(site: SiteMap, lane: Lane, findings: list[Finding]) -> list[Turn]:
    turns = []
    for name in lane.successors:
        path = site.lane(name)
        if path.role is not LaneRole.CONNECTION:
            if path.kind.on_foot:
                continue
            turns.append(Turn(path, path.maneuver, path.signal_group))
            continue
        if not path.successors:
            findings.append(Finding(path.id, "successors", "missing: the turn leads nowhere"))
        for end in path.successors:
            target = site.lane(end)
            if target.role is LaneRole.CONNECTION:
                findings.append(
                    Finding(path.id, "successors", f"leads to {end}, which is no lane of a link")
                )
            else:
                turns.append(Turn(target, path.maneuver, path.signal_group, path.id))
    numbered = []
    for turn in turns:
        if turn.target.lane_id is None or turn.target.downstream_node is None:
            findings.append(Finding(turn.target.id, "lane_id", f"missing: {lane.id} leads to it"))
        else:
            numbered.append(turn)
    numbered.sort(
        key=lambda t: (t.target.downstream_node, t.target.lane_id, t.group or 0, t.maneuver or "")
    )
    return numbered


# --- geometry -------------------------------------------------------------------------------------


def drawn(site: SiteMap, lane: Lane) -> list[Rounded]:
    """The lane up to its stop line, rounded to 1e-7 degree, without repeated positions."""
    line = lane.centreline
    # A stop line at the drawn end is the drawn end: computing it again would move it by rounding.
    if lane.stop_line is not None and lane.stop_line < lane.length - 0.005:
        keep = lane.stations < lane.stop_line
        x, y, _ = lane.at(lane.stop_line)
        line = np.vstack((line[keep], (x, y)))
    latitude, longitude, _ = site.frame.to_geodetic(line[:, 0], line[:, 1])
    rounded = np.floor(np.stack((longitude, latitude), axis=1) * 1e7 + 0.5).astype(np.int64)
    positions: list[Rounded] = []
    for longitude7, latitude7 in rounded.tolist():
        if not positions or positions[-1] != (longitude7, latitude7):
            positions.append((longitude7, latitude7))
    return positions


def thinned(
    site: SiteMap, lane: Lane, chord_error: float, most: int, findings: list[Finding]
) -> list[Rounded]:
    """`drawn` with the fewest points within `chord_error` m; too many become a finding."""
    positions = drawn(site, lane)
    if len(positions) < 2:
        findings.append(Finding(lane.id, "geometry", "shorter than the rounding of positions"))
        return positions
    try:
        kept = thin(placed(site, positions), chord_error, most)
    except TooManyPointsError as error:
        findings.append(Finding(lane.id, "geometry", str(error)))
        return positions[:most]
    return [positions[index] for index in kept]


def placed(site: SiteMap, positions: list[Rounded]) -> Floats:
    """Positions in the site frame, N × 2, m."""
    degrees = np.array(positions, dtype=np.float64) / 1e7
    x, y, _ = site.frame.to_enu(degrees[:, 1], degrees[:, 0])
    return np.stack((x, y), axis=1)


def node_positions(site: SiteMap, links: list[Link]) -> dict[int, Rounded]:
    """Where each node of a link is: the mean of the ends of its vehicles' lanes there.

    Lanes are drawn from node to node, the first point at the entry from the upstream node (facts:
    peers.md, MAP point thinning); a crosswalk lies across its link and says nothing about nodes.
    """
    ends: dict[int, list[Rounded]] = {}
    for link in links:
        for one in link.lanes:
            if one.lane.kind.on_foot:
                continue
            positions = drawn(site, one.lane)
            ends.setdefault(link.upstream, []).append(positions[0])
            ends.setdefault(link.downstream, []).append(positions[-1])
    return {
        node: (_mean([end[0] for end in there]), _mean([end[1] for end in there]))
        for node, there in ends.items()
    }


def _mean(values: list[int]) -> int:
    return (2 * sum(values) + len(values)) // (2 * len(values))
