"""What stands while the unit runs: MAP of both worlds and TEST, with and without a clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rsu.schema.health import Capability, ClockQuality, UnitHealth
from rsu.schema.topics import UNIT_HEALTH
from rsu.site.features import LaneRole
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap
from rsu.v2x.errors import V2xError
from rsu.v2x.map.findings import MapExportError

QUIET = {"enabled": False}
BOTH = {
    "csae": {"profile": "csae157_2020", "map": {"enabled": True}, "test": {"enabled": True}},
    "sae": {"map": {"enabled": True}},
}


@pytest.fixture
def site(origin):
    """One lane that leads to node 7, the unit's intersection."""

    def make(**changes: Any) -> SiteMap:
        values = {
            "upstream_node": 13,
            "downstream_node": 7,
            "lane_id": 1,
            "stop_line": 48.0,
            **changes,
        }
        line = np.array(values.pop("line", [(2.0, -60.0), (2.0, -10.0)]))
        lane = Lane("in-1", LaneKind.VEHICLE, line, 3.5, LaneRole.ENTRY, **values)
        return SiteMap(LocalFrame(origin.latitude, origin.longitude, origin.altitude), (lane,))

    return make


@pytest.fixture
def speaker(drive, site):
    def make(**changes: Any) -> Any:
        speaker = {"site": site(), **changes.pop("speaker", {})}
        return drive(**{**BOTH, "speaker": speaker, **changes})

    return make


def test_said_once_a_second_from_the_first_moment(speaker, pycrate) -> None:
    unit = speaker()
    unit.run(3_050)
    for profile, message, aid, priority in (
        ("csae157_2020", "MAP", 3618, 16),
        ("csae157_2020", "TEST", 3625, 0),
        ("j2735_2024", "MAP", 0x204097, 16),
    ):
        said = [
            (ms, frame)
            for ms, frame in unit.said
            if frame.message == message and frame.profile == profile
        ]
        assert [ms for ms, _ in said] == [0, 1_000, 2_000, 3_000]
        assert {(frame.aid, frame.priority) for _, frame in said} == {(aid, priority)}
        assert unit.reasons[f"message:{'sae/' * (profile[0] == 'j')}{message}", "standing"] >= 1
        for ms, frame in said:
            assert frame.time_ns == unit.now(ms).utc_ns
    csae = unit.frames("MAP", "csae157_2020")[0]
    assert pycrate("csae157_2020")(csae.payload) == csae.value


def test_a_slower_rate_is_kept(speaker) -> None:
    unit = speaker(csae={"map": {"enabled": True, "rate_hz": 0.2}}, sae=None)
    unit.run(12_000)
    assert unit.times("MAP") == [0, 5_000, 10_000]


def test_without_a_clock_it_is_said_without_its_time(speaker, content) -> None:
    unit = speaker(trust_clock=False)
    unit.run(1_000)
    assert len(unit.said) == 3
    assert not any("timeStamp" in content(frame) for _, frame in unit.said)
    health = UnitHealth(time_ns=0, clock=ClockQuality.HOLDOVER, capability=Capability.BLIND)
    unit.give(UNIT_HEALTH, health, 1_000)
    unit.run(1_001)
    # 2025-06-15T15:06:41: 165 days, 15 h, 6 min.
    minute = (165 * 24 + 15) * 60 + 6
    stamps = [content(frame).get("timeStamp") for _, frame in unit.said[3:]]
    assert stamps == [minute, None, minute], "MAP, TEST, MAP"


def test_only_count_and_time_change(speaker, content) -> None:
    unit = speaker()
    unit.run(90_000)
    frames = unit.frames("MAP", "csae157_2020")
    assert len(frames) == 90
    bare = [
        {k: v for k, v in content(frame).items() if k not in {"msgCnt", "timeStamp"}}
        for frame in frames
    ]
    assert all(one == bare[0] for one in bare)
    counts = [content(frame)["msgCnt"] for frame in frames]
    assert counts == [(counts[0] + n) % 128 for n in range(90)]
    # START is 40 s into its minute.
    minutes = [content(frame)["timeStamp"] for frame in frames]
    assert minutes == [minutes[0]] * 20 + [minutes[0] + 1] * 60 + [minutes[0] + 2] * 10


def test_test_message_carries_the_octets_given(speaker, content) -> None:
    unit = speaker(
        csae={"profile": "csae157_2020", "test": {"enabled": True, "user_data": "CAFE00"}}
    )
    unit.run(1)
    (frame,) = unit.frames("TEST")
    assert content(frame)["userData"] == "cafe00"


def test_test_octets_longer_than_a_packet_are_refused_at_the_start(speaker) -> None:
    def unit(octets: int) -> Any:
        test = {"enabled": True, "user_data": "5a" * octets}
        return speaker(csae={"profile": "csae157_2020", "test": test})

    some = unit(1_000)
    some.run(1)
    around = len(some.frames("TEST")[0].network) - 1_000
    most = 1_400 - 240 - around  # packet_octets less security_octets
    full = unit(most)
    full.run(1)
    assert len(full.frames("TEST")[0].network) == 1_160
    with pytest.raises(V2xError, match="user_data"):
        unit(most + 1)


@pytest.mark.parametrize("world", ["csae", "sae"])
def test_a_map_that_no_message_can_carry_stops_the_unit(speaker, world: str) -> None:
    only = {
        "csae": {"csae": {"map": {"enabled": True}}, "sae": None},
        "sae": {"csae": {"map": QUIET}, "sae": {"map": {"enabled": True}}},
    }[world]
    with pytest.raises(
        MapExportError, match=r"too large for a message|one message does not hold them"
    ):
        speaker(**only, packet_octets=200, security_octets=150)


def test_a_lane_beyond_what_offsets_hold_stops_the_unit_with_its_name(speaker, site) -> None:
    line = [(2.0, -4e5), (2.0, -10.0)]
    far = {"site": site(line=line, stop_line=4e5 - 12)}
    with pytest.raises(MapExportError, match="in-1"):
        speaker(csae={}, sae={"map": {"enabled": True}}, speaker=far)


def test_a_map_without_the_intersection_stops_the_unit_with_its_number(speaker, site) -> None:
    with pytest.raises(V2xError, match="7"):
        speaker(csae={"map": {"enabled": True}}, sae=None,
                speaker={"site": site(downstream_node=9)})  # fmt: skip


@pytest.mark.parametrize("name", ["人民路口", "", "x" * 80, "Example"])
def test_a_name_is_told_as_far_as_a_map_can(speaker, content, name: str) -> None:
    unit = speaker(speaker={"name": name})
    unit.run(1)
    csae, sae = (unit.frames("MAP", one)[0] for one in ("csae157_2020", "j2735_2024"))
    said = {"人民路口": None, "": None, "x" * 80: "x" * 63}.get(name, name)
    assert content(csae)["nodes"][0].get("name") == said
    assert content(sae)["intersections"][0].get("name") == said
