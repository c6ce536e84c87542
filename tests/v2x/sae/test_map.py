"""The standing MAP: as fine as a packet allows, its revision that of the map."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rsu.config.place import OriginOptions
from rsu.schema.units import NS_PER_S
from rsu.site.features import LaneKind, LaneRole, Maneuver
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap
from rsu.v2x.map.findings import MapExportError
from rsu.v2x.map.sae import MapWriter

NEW_YEAR_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z
FRAME = LocalFrame(31.2304, 121.4737, 12.0)


def bend(radius: float, points: int) -> Any:
    """A quarter circle that ends at the origin of the frame, going east."""
    angles = np.linspace(-math.pi / 2, 0.0, points)
    return np.column_stack((radius * np.sin(angles), radius * (1 - np.cos(angles))))


IN = Lane(
    "in", LaneKind.VEHICLE, np.array([(2.0, -60.0), (2.0, -10.0)]), 3.5, role=LaneRole.ENTRY,
    successors=("through",), stop_line=50.0,
)  # fmt: skip
THROUGH = Lane(
    "through", LaneKind.VEHICLE, np.array([(2.0, -10.0), (2.0, 10.0)]), 3.5,
    role=LaneRole.CONNECTION, maneuver=Maneuver.STRAIGHT, signal_group=4, successors=("out",),
)  # fmt: skip
OUT = Lane(
    "out", LaneKind.VEHICLE, np.array([(2.0, 10.0), (2.0, 60.0)]), 3.5, role=LaneRole.EXIT
)  # fmt: skip
BENT = Lane(
    "bent", LaneKind.VEHICLE, bend(100.0, 400), 3.5, role=LaneRole.ENTRY, stop_line=157.0
)  # fmt: skip
SITE = SiteMap(FRAME, (IN, THROUGH, OUT))


def test_a_small_junction(unit, origin: OriginOptions, on_air) -> None:
    writer = MapWriter(unit(site=SITE), lambda content: True)
    assert writer.chord_error == 0.1
    value = writer.content(77, NEW_YEAR_NS + 3600 * NS_PER_S)
    revision = value["msgIssueRevision"]
    vehicle = {"vehicle": {"bits": "0" * 8}}
    assert value == {
        "timeStamp": 60,
        "msgIssueRevision": revision,
        "layerType": "intersectionData",
        "intersections": [
            {
                "name": "Example",
                "id": {"region": 310, "id": 7},
                "revision": revision,
                "refPoint": {
                    "lat": round(origin.latitude * 1e7),
                    "long": round(origin.longitude * 1e7),
                    "elevation": round(origin.altitude * 10),
                },
                "laneWidth": 350,
                "laneSet": [
                    {
                        "laneID": 1,
                        "laneAttributes": {
                            "directionalUse": {"bits": "10"},
                            "sharedWith": {"bits": "0" * 10},
                            "laneType": vehicle,
                        },
                        "maneuvers": {"bits": "1" + "0" * 11},
                        # From the stop line, 10 m south of the origin, away from it.
                        "nodeList": {
                            "nodes": [
                                {"delta": {"node-XY2": {"x": 200, "y": -1000}}},
                                {"delta": {"node-XY5": {"x": 0, "y": -5000}}},
                            ]
                        },
                        "connectsTo": [
                            {
                                "connectingLane": {
                                    "lane": 2,
                                    "maneuver": {"bits": "1" + "0" * 11},
                                },
                                "signalGroup": 4,
                            }
                        ],
                    },
                    {
                        "laneID": 2,
                        "laneAttributes": {
                            "directionalUse": {"bits": "01"},
                            "sharedWith": {"bits": "0" * 10},
                            "laneType": vehicle,
                        },
                        "nodeList": {
                            "nodes": [
                                {"delta": {"node-XY2": {"x": 200, "y": 1000}}},
                                {"delta": {"node-XY5": {"x": 0, "y": 5000}}},
                            ]
                        },
                    },
                ],
            }
        ],
    }
    on_air("MAP", value)


def test_without_a_clock_no_time_is_stated(unit) -> None:
    assert "timeStamp" not in MapWriter(unit(site=SITE), lambda content: True).content(0, None)


@pytest.mark.parametrize(("time_ns", "minute"), [(NEW_YEAR_NS - 1, 525_599), (NEW_YEAR_NS, 0)])
def test_year_end(unit, time_ns: int, minute: int) -> None:
    writer = MapWriter(unit(site=SITE), lambda content: True)
    assert writer.content(0, time_ns)["timeStamp"] == minute


def test_the_revision_is_that_of_the_map(unit) -> None:
    def revision(site: SiteMap, count: int = 0) -> Any:
        value = MapWriter(unit(site=site), lambda content: True).content(count, NEW_YEAR_NS)
        assert value["intersections"][0]["revision"] == value["msgIssueRevision"]
        return value["msgIssueRevision"]

    assert revision(SITE, 5) == revision(SITE, 6)
    wider = {revision(SiteMap(FRAME, (replace(IN, width=3.5 + i / 10), THROUGH, OUT)))
             for i in range(8)}  # fmt: skip
    assert len(wider) > 4


def test_the_finest_chord_error_that_fits(unit, encode) -> None:
    site = SiteMap(FRAME, (BENT, THROUGH, OUT))

    def size(error: float) -> int:
        # A chord of a circle of 100 m with sagitta s is 2·√(2·100·s) long.
        return math.ceil(157 / (2 * math.sqrt(200 * error)))

    def nodes(writer: MapWriter) -> int:
        lanes = writer.content(0, None)["intersections"][0]["laneSet"]
        return max(len(lane["nodeList"]["nodes"]) for lane in lanes)

    fine = MapWriter(unit(site=site), lambda content: True)
    most = len(encode("MAP", fine.content(0, NEW_YEAR_NS)))
    assert size(0.1) <= nodes(fine)
    coarse = MapWriter(unit(site=site), lambda content: len(encode("MAP", content)) < most)
    assert coarse.chord_error == 0.2
    assert size(0.2) <= nodes(coarse) < nodes(fine)


def test_a_map_that_fits_nowhere_is_refused(unit) -> None:
    with pytest.raises(MapExportError, match="one message does not hold them, even to 1 m"):
        MapWriter(unit(site=SITE), lambda content: False)


def test_a_map_that_lacks_something_is_refused(unit) -> None:
    with pytest.raises(MapExportError, match="no lane has the role entry"):
        MapWriter(unit(), lambda content: True)


def test_a_name_that_is_no_ia5_is_left_out(unit) -> None:
    value = MapWriter(unit(site=SITE, name="路口"), lambda content: True).content(0, None)
    assert "name" not in value["intersections"][0]
