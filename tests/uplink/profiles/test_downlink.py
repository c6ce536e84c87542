"""Messages on the air by map tile: the same octets, the right tiles, never too often."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rsu.config.platforms import DownlinkOptions
from rsu.schema.message import Message
from rsu.schema.topics import UPLINK_LIVE, V2X_TX
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import V2xFrame
from rsu.uplink.downlink import DownlinkStage
from rsu.uplink.quadkey import tile_at, tile_m

SIDE = tile_m(31.2, 18)


def at(seconds: float) -> Instant:
    return Instant(1_750_000_000 * NS_PER_S + int(seconds * NS_PER_S), int(seconds * NS_PER_S))


@pytest.fixture
def stage(place: Any) -> Any:
    def make(**options: Any) -> DownlinkStage:
        return DownlinkStage(DownlinkOptions(enabled=True, **options), place)

    return make


def said(stage: DownlinkStage, frame: V2xFrame, seconds: float = 1.0) -> list[Any]:
    message = Message.draft(V2X_TX, "v2x", at(0).utc_ns, frame)
    return [one.payload for one in stage.handle(message, at(seconds))]


def test_the_octets_are_those_on_the_air_in_the_units_tile_and_its_neighbours(
    stage: Any, frames: Any
) -> None:
    (one,) = said(stage(radius_m=SIDE), frames["SPAT"])
    assert one.payload == frames["SPAT"].payload
    assert (one.time_ns, one.max_age_s) == (frames["SPAT"].time_ns, 0.5)
    own = tile_at(31.2, 121.5, 18)
    keys = {topic.split("/")[1] for topic in one.topics}
    assert one.topics[0] == f"v2x/{own.quadkey}/SPAT"  # the nearest first
    beside = {own._replace(x=own.x + dx).quadkey for dx in (-1, 1)}
    above = {own._replace(y=own.y + dy).quadkey for dy in (-1, 1)}
    assert beside | above <= keys
    assert {topic.split("/", 2)[2] for topic in one.topics} == {"SPAT"}


def test_without_a_radius_only_the_units_own_tile(stage: Any, frames: Any) -> None:
    (one,) = said(stage(radius_m=0.0), frames["MAP"])
    assert len(one.topics) == 1


def test_both_worlds_have_topics_of_their_own(stage: Any, frames: Any) -> None:
    other = msgspec.structs.replace(frames["SPAT"], profile="j2735_2024")
    (one,) = said(stage(radius_m=0.0), other)
    assert one.topics[0].endswith("/sae/SPAT")


def test_an_event_is_told_where_it_is(stage: Any, frames: Any) -> None:
    """31.2006, 121.5005 with 3 m of radius: 67 m north and 48 m east of the unit."""
    (one,) = said(stage(radius_m=0.0), frames["RSI"])
    keys = {topic.split("/")[1] for topic in one.topics}
    assert keys >= {tile_at(31.2, 121.5, 18).quadkey, tile_at(31.2006, 121.5005, 18).quadkey}


def test_a_road_user_is_told_on_its_own_tile(stage: Any, frames: Any) -> None:
    rsm = frames["RSM"]
    content = rsm.value["rsmFrame"]
    far = {"offsetLL": {"position-LL5": {"lon": 40_000, "lat": 0}}}  # 381 m east
    people = [{**content["participants"][0], "pos": far}]
    value = {"rsmFrame": {**content, "participants": people}}
    (one,) = said(stage(radius_m=0.0), msgspec.structs.replace(rsm, value=value))
    keys = [topic.split("/")[1] for topic in one.topics]
    assert keys == [tile_at(31.2, 121.5, 18).quadkey, tile_at(31.2, 121.504, 18).quadkey]


def test_the_farthest_tiles_give_way(stage: Any, frames: Any) -> None:
    (one,) = said(stage(radius_m=2000.0, max_tiles=5), frames["SPAT"])
    assert len(one.topics) == 5
    assert one.topics[0].split("/")[1] == tile_at(31.2, 121.5, 18).quadkey


def test_no_message_goes_out_more_often_than_the_rate(stage: Any, frames: Any) -> None:
    unit = stage(rate_hz=2.0)
    count = 0
    for tenth in range(20):
        frame = msgspec.structs.replace(frames["SPAT"], time_ns=tenth * NS_PER_S // 10)
        count += len(said(unit, frame, tenth / 10))
    assert count == 4
    assert len(said(unit, frames["RSM"], 1.95)) == 1  # each message has a rate of its own
    assert len(said(unit, frames["RSM"], 1.96)) == 1  # and its parts belong together


def test_it_is_not_recorded_twice() -> None:
    assert UPLINK_LIVE.recorded is False
