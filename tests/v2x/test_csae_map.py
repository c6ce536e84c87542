"""MAP as a unit says it: made once, thinned until it fits, stamped where the time is known.

Field by field MAP is held to a hand-drawn junction in test_map_csae.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from rsu.schema.units import NS_PER_S
from rsu.site.features import LaneKind, LaneRole, Maneuver
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap
from rsu.v2x.codec import codec_for
from rsu.v2x.map.csae import MapPlace, MapWriter, map_data
from rsu.v2x.map.findings import MapExportError

NEW_YEAR = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S

# A road that wavers by 0.15 m: within 0.2 m it is straight, within 0.1 m it is not.
WAVE = np.array([(y % 2 * 0.15, float(y)) for y in range(-70, -49)])


def junction(origin: Any, entry_line: Any = WAVE) -> SiteMap:
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    entry = Lane(
        "in", LaneKind.VEHICLE, entry_line, 3.5, LaneRole.ENTRY, upstream_node=13,
        downstream_node=7, lane_id=1, successors=("through",), stop_line=1000.0,
    )  # fmt: skip
    through = Lane(
        "through", LaneKind.VEHICLE, np.array([(0.0, -50.0), (0.0, 20.0)]), 3.5,
        LaneRole.CONNECTION, Maneuver.STRAIGHT, successors=("out",), signal_group=4,
    )  # fmt: skip
    leave = Lane(
        "out", LaneKind.VEHICLE, np.array([(0.0, 20.0), (0.0, 80.0)]), 3.5, LaneRole.EXIT,
        upstream_node=7, downstream_node=11, lane_id=1,
    )  # fmt: skip
    return SiteMap(frame, (entry, through, leave))


def octets_at_most(most: int) -> Callable[[Any], bool]:
    codec = codec_for("csae53_2020")
    return lambda content: len(codec.encode(codec.frame("MAP", content))) <= most


def test_the_map_of_the_site_in_every_profile(unit, origin, said) -> None:
    site = junction(origin)
    writer = MapWriter(unit(site=site), lambda _: True)
    expected, _ = map_data(site, MapPlace("Example", 310, 7, 12.0), chord_error=0.1)
    value = writer.content(77, None)
    assert value == {"msgCnt": 77, "nodes": expected["nodes"]}
    assert writer.chord_error == 0.1
    for profile in ("csae53_2020", "csae157_2020", "legacy_20190724"):
        said(profile, "MAP", value)


@pytest.mark.parametrize(
    ("time_ns", "minute"),
    [(NEW_YEAR - 1, 366 * 1440 - 1), (NEW_YEAR, 0), (NEW_YEAR + 61 * NS_PER_S, 1)],
)
def test_stamp_is_the_minute_of_the_year(unit, origin, time_ns: int, minute: int, said) -> None:
    value = MapWriter(unit(site=junction(origin)), lambda _: True).content(0, time_ns)
    assert list(value) == ["msgCnt", "timeStamp", "nodes"]
    assert value["timeStamp"] == minute
    said("csae53_2020", "MAP", value)


def points(writer: MapWriter) -> int:
    (link,) = writer.content(0, None)["nodes"][0]["inLinks"]
    return len(link["lanes"][0]["points"])


def test_the_smallest_chord_error_that_fits(unit, origin) -> None:
    here = unit(site=junction(origin))
    whole = MapWriter(here, lambda _: True)
    assert points(whole) > 2
    size = next(n for n in range(1, 1000) if octets_at_most(n)(whole.content(0, NEW_YEAR)))
    assert MapWriter(here, octets_at_most(size)).chord_error == 0.1
    thinner = MapWriter(here, octets_at_most(size - 1))
    assert thinner.chord_error == 0.2
    assert points(thinner) == 2


def test_it_is_asked_with_the_stamp_it_may_get(unit, origin) -> None:
    asked: list[Any] = []

    def fits(content: Any) -> bool:
        asked.append(content)
        return True

    writer = MapWriter(unit(site=junction(origin)), fits)
    assert len(asked) == 1
    assert asked[0] == writer.content(0, NEW_YEAR) | {"timeStamp": 527_040}


def test_more_points_than_a_lane_may_have_are_thinned_too(unit, origin) -> None:
    longer = np.array([(y % 2 * 0.15, float(y)) for y in range(-150, -49)])
    assert MapWriter(unit(site=junction(origin, longer)), lambda _: True).chord_error == 0.2


def test_a_map_that_fits_nowhere_is_refused(unit, origin) -> None:
    with pytest.raises(MapExportError, match="too large for a message, even 1 m off the lanes"):
        MapWriter(unit(site=junction(origin)), lambda _: False)


def test_a_site_that_lacks_something_says_what(unit, origin) -> None:
    with pytest.raises(MapExportError, match="no lane of a link leads to node 7"):
        MapWriter(unit(), lambda _: True)
    saw = np.array([(y % 2 * 4.0, float(y)) for y in range(-100, -49)])
    with pytest.raises(MapExportError, match=r"a chord error of 1 m needs 51 points"):
        MapWriter(unit(site=junction(origin, saw)), lambda _: True)
