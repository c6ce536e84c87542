"""Doubts about a map are found and named; the example junction has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap, load_site_map
from rsu.v2x.map.check import check_map


@pytest.fixture(scope="module")
def junction(root: Path) -> SiteMap:
    frame = LocalFrame(31.0, 121.0, 10.0)
    return load_site_map(frame, root / "configs" / "junction-lanes.geojson", None)


def changed(site: SiteMap, lane: str, **values: Any) -> SiteMap:
    lanes = [replace(one, **values) if one.id == lane else one for one in site.lanes]
    return SiteMap(site.frame, tuple(lanes))


def test_the_example_junction_is_sound(junction: SiteMap) -> None:
    assert [finding for finding in check_map(junction, 1) if not finding.warning] == []
    assert [f for f in check_map(junction, 1, range(1, 9)) if not f.warning] == []


@pytest.mark.parametrize(
    ("lane", "values", "key", "warning"),
    [
        ("in-n-1", {"successors": ()}, "successors", False),
        ("n-left", {"signal_group": None}, "signal_group", True),
        ("in-n-1", {"width": 0.5}, "width", True),
        ("in-n-1", {"signal_group": 77}, "signal_group", False),
        ("in-n-1", {"stop_line": None}, "stop_line", False),
        ("cross-n", {"signal_group": None}, "signal_group", True),
        ("n-left", {"successors": ("in-e-1",)}, "successors", False),
    ],
)
def test_each_fault_is_named(
    junction: SiteMap, lane: str, values: dict[str, Any], key: str, warning: bool
) -> None:
    findings = check_map(changed(junction, lane, **values), 1)
    found = {(finding.lane, finding.key, finding.warning) for finding in findings}
    assert (lane, key, warning) in found


def test_a_connection_that_nothing_leads_to_leaves_its_group_without_a_movement(
    junction: SiteMap,
) -> None:
    alone = changed(
        changed(junction, "in-n-1", successors=("n-through",)), "n-left", signal_group=20
    )
    told = [str(finding) for finding in check_map(alone, 1)]
    assert "lane n-left: successors: no entry lane leads over it" in told
    assert "lane n-left: signal_group: group 20 has no movement in the MAP" in told


def test_spat_and_map_must_name_the_same_phases(junction: SiteMap) -> None:
    told = [str(finding) for finding in check_map(junction, 1, {1, 2, 3, 4, 5, 6, 7, 30})]
    assert "SPAT phase 30 governs no movement of the map" in told
    assert "signal group 8 of the map has no phase in the SPAT" in told


def test_without_links_roles_say_what_is_reached(junction: SiteMap) -> None:
    assert [f for f in check_map(junction, 1, range(1, 9), by_links=False) if not f.warning] == []
    lost = changed(junction, "in-n-1", successors=("n-through",))
    told = [str(finding) for finding in check_map(lost, 1, by_links=False)]
    assert "lane n-left: successors: no entry lane leads over it" in told
