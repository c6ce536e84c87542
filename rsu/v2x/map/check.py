"""Is a site map sound enough to be said on the air? Every doubt as a finding.

`check_map` asks what a MAP message alone does not show: turns that no lane reaches, signal groups
without a movement, lanes that run into nothing. Missing properties and ranges are found by making
the message itself (`rsu.v2x.map.csae`); the command `rsu map check` does both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rsu.site.features import LaneKind, LaneRole
from rsu.site.lanes import Lane, SiteMap
from rsu.v2x.map.findings import Finding
from rsu.v2x.map.links import Links, links_of

VEHICLE_WIDTHS = (2.0, 6.0)
"""m between which the width of a lane for vehicles is plausible: a car is 1.8 m wide; beyond 6 m
it would be two lanes."""


def check_map(
    site: SiteMap,
    intersection: int,
    phases: Collection[int] | None = None,
    *,
    by_links: bool = True,
) -> list[Finding]:
    """Findings on turns, signal groups and widths; `phases` are those a SPAT names, if known.

    `by_links` is for message sets that name lanes by link (CSAE); others need roles alone.
    """
    findings: list[Finding] = []
    if by_links:
        links = links_of(site, intersection)
        findings += links.findings
        said, used = _said_by_links(links)
    else:
        said, used = _said_by_roles(site)
    for lane in site.lanes:
        findings += _lane(site, lane, used)
        group = lane.signal_group
        if group is not None and group not in said:
            findings.append(
                Finding(lane.id, "signal_group", f"group {group} has no movement in the MAP")
            )
    findings += _signals(site, said)
    if phases is not None:
        findings += [
            Finding("", "", f"SPAT phase {phase} governs no movement of the map")
            for phase in sorted(set(phases) - said)
        ]
        findings += [
            Finding("", "", f"signal group {group} of the map has no phase in the SPAT")
            for group in sorted(said - set(phases))
        ]
    return findings


def _said_by_links(links: Links) -> tuple[set[int], set[str]]:
    """Signal groups of turns and crosswalks, and the connections that are used."""
    lanes = [one for link in links.links for one in link.lanes]
    turns = [turn for one in lanes for turn in one.turns]
    said = {turn.group for turn in turns if turn.group is not None}
    walked = {one.lane.signal_group for one in lanes if one.lane.kind.on_foot}
    return said | {group for group in walked if group is not None}, {turn.path for turn in turns}


def _said_by_roles(site: SiteMap) -> tuple[set[int], set[str]]:
    used = {
        name
        for lane in site.lanes_of(role=LaneRole.ENTRY)
        for name in lane.successors
        if site.lane(name).role is LaneRole.CONNECTION
    }
    governed = [site.lane(name) for name in used] + site.lanes_of(kind=LaneKind.CROSSWALK)
    return {lane.signal_group for lane in governed if lane.signal_group is not None}, used


def _lane(site: SiteMap, lane: Lane, used: Collection[str]) -> Iterator[Finding]:
    low, high = VEHICLE_WIDTHS
    if lane.kind is LaneKind.VEHICLE and not low <= lane.width <= high:
        yield Finding(
            lane.id, "width", f"{lane.width:g} m is unlikely for vehicles ({low:g}..{high:g} m)",
            True,
        )  # fmt: skip
    if lane.role is LaneRole.ENTRY and not lane.kind.on_foot:
        if not lane.successors:
            yield Finding(
                lane.id, "successors", "missing: an entry lane leads through the junction"
            )
        if lane.signal_group is not None:
            yield Finding(
                lane.id, "signal_group",
                "governs entering this lane, not leaving it: it belongs on its connections", True,
            )  # fmt: skip
    if lane.role is LaneRole.CONNECTION:
        if lane.id not in used:
            yield Finding(lane.id, "successors", "no entry lane leads over it")
        for name in lane.successors:
            if site.lane(name).role is LaneRole.ENTRY:
                yield Finding(lane.id, "successors", f"leads to {name}, which is an entry lane")


def _signals(site: SiteMap, said: Collection[int]) -> Iterator[Finding]:
    """Where some movements have a signal, one without is likelier forgotten than unsignalled."""
    if not said:
        return
    for lane in site.lanes:
        governed = lane.role is LaneRole.CONNECTION or lane.kind is LaneKind.CROSSWALK
        if governed and lane.signal_group is None:
            yield Finding(
                lane.id, "signal_group", "missing, though other movements here have one", True
            )
