"""The traps of every platform: units, axes, rates, layouts; each with a number of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rsu.config.platforms import (
    HisenseProfile,
    HuaweiDrisProfile,
    OpenV2xProfile,
    PlainProfile,
)
from rsu.schema.parking import BayState, BayStatus, LotTotals, ParkingState
from rsu.schema.topics import PARKING, V2X_HEARD, V2X_TX
from rsu.schema.uplink_frame import UplinkFrameError, build, parse

START_NS = 1_750_000_000_000_000_000


def bodies(reports: Any, topic: str) -> list[Any]:
    found = [one for one in reports if one.subject.removeprefix("/") == topic]
    assert found, [one.subject for one in reports]
    return [json.loads(one.body) for one in found]


# --- FIWARE ---------------------------------------------------------------------------------------


def test_fiware_traffic_is_in_km_h_and_vehicles_in_the_period(play: Any, options: Any) -> None:
    (flow,) = bodies(play(options["fiware"]), "fiware/corner/TrafficFlowObserved/in-1")
    assert flow["averageVehicleSpeed"]["value"] == 39.6  # 11 m/s
    assert flow["intensity"]["value"] == 4  # in 10 s; per hour it would be 1440
    assert flow["intensity"]["coverage"]["value"] == 0.7
    assert flow["occupancy"]["value"] == 0.18  # a fraction, not 18 %
    assert flow["dateObserved"]["value"] == "2025-06-15T15:06:40.000Z/2025-06-15T15:06:50.000Z"
    longitude, latitude = flow["location"]["value"]["coordinates"][1]
    assert (round(longitude), round(latitude)) == (122, 31)


def test_fiware_says_how_sure_a_bay_is_and_since_when(play: Any, options: Any) -> None:
    reports = play(options["fiware"])
    (taken,) = bodies(reports, "fiware/corner/ParkingSpot/bay-1")
    assert taken["status"] == {
        "type": "Property", "value": "occupied", "observedAt": "2025-06-15T15:01:40.000Z",
        "confidence": {"type": "Property", "value": 0.97},
    }  # fmt: skip
    (free,) = bodies(reports, "fiware/corner/ParkingSpot/bay-2")
    assert free["status"]["confidence"]["value"] == 0.98  # that it is free
    (unknown,) = bodies(reports, "fiware/corner/ParkingSpot/bay-3")
    assert "confidence" not in unknown["status"]
    (lot,) = bodies(reports, "fiware/corner/OffStreetParking/west")
    assert lot["occupancy"]["value"] == 0.5  # one of the two that are known, not of three
    assert lot["status"]["value"] == ["spacesAvailable"]


def test_a_fiware_lot_is_full_only_when_all_its_bays_are_known(play: Any, options: Any) -> None:
    def lot(*states: BayStatus) -> Any:
        bays = tuple(
            BayState(bay=f"bay-{n}", status=state, occupied_probability=0.9, since_ns=START_NS)
            for n, state in enumerate(states, start=1)
        )
        count = {state: states.count(state) for state in BayStatus}
        totals = LotTotals(
            free=count[BayStatus.FREE], occupied=count[BayStatus.OCCUPIED],
            unknown=count[BayStatus.UNKNOWN], closed=0, on_aisles=0,
        )  # fmt: skip
        state = ParkingState(lot="west", time_ns=START_NS, bays=bays, totals=totals)
        reports = play(options["fiware"], what=[(PARKING, state, 1.0)])
        (said,) = bodies(reports, "fiware/corner/OffStreetParking/west")
        return said

    full = lot(BayStatus.OCCUPIED, BayStatus.OCCUPIED)
    assert (full["status"]["value"], full["occupancy"]["value"]) == (["full"], 1.0)
    assert "status" not in lot(BayStatus.OCCUPIED, BayStatus.UNKNOWN)
    assert "occupancy" not in lot(BayStatus.UNKNOWN, BayStatus.UNKNOWN)


def test_an_unchanged_bay_is_told_again_once_a_minute(play: Any, options: Any) -> None:
    def state(status: BayStatus) -> ParkingState:
        bay = BayState(bay="bay-1", status=status, occupied_probability=0.5, since_ns=START_NS)
        other = BayState(
            bay="bay-2", status=BayStatus.FREE, occupied_probability=0.1, since_ns=START_NS
        )
        return ParkingState(lot="west", time_ns=START_NS, bays=(bay, other))

    one, two = state(BayStatus.FREE), state(BayStatus.OCCUPIED)
    moments = [(one, 1.0), (two, 2.0), (one, 3.0), (one, 61.5), (one, 64.0)]
    reports = play(options["fiware"], what=[(PARKING, what, when) for what, when in moments])
    spots = [one.subject.rpartition("/")[2] for one in reports if "ParkingSpot" in one.subject]
    assert spots == ["bay-1", "bay-2", "bay-1", "bay-1", "bay-1", "bay-2"]


# --- Huawei DRIS ----------------------------------------------------------------------------------


def test_dris_positions_are_absolute_steps_or_degrees(play: Any, options: Any) -> None:
    (rsm,) = bodies(play(options["huawei_dris"]), "v2x/v1/rsu/unit_9/rsm/up")
    first, second = rsm["rsms"][0]["participants"]
    # Reference 31.2, 121.5 and the offsets -451 and 1050; 12.0 m and 3.0 m.
    assert first["pos"] == {"lat": 311999549, "lon": 1215001050, "ele": 150}
    assert second["pos"] == {"lat": 312000345, "lon": 1215000012}
    assert (first["ptcType"], first["source"], first["speed"]) == ("1", 7, 417)  # 8.34 m/s
    assert "global_track_id" not in first

    degrees = HuaweiDrisProfile(kind="huawei_dris", esn="unit_9", position="degrees")
    (rsm,) = bodies(play(degrees), "v2x/v1/rsu/unit_9/rsm/up")
    assert rsm["rsms"][0]["participants"][0]["pos"]["lat"] == 31.1999549


def test_dris_writes_lights_and_status_as_numbers(play: Any, options: Any) -> None:
    (spat,) = bodies(play(options["huawei_dris"]), "v2x/v1/rsu/unit_9/spat/up")
    (crossing,) = spat["intersections"]
    assert crossing["status"] == 1024  # bit 6 of 16, the first highest: fixed time
    assert crossing["timeStamp"] == 1_750_000_000_900
    red, green = crossing["phases"]
    assert (red["phaseStates"][0]["light"], green["phaseStates"][0]["light"]) == ("3", "6")
    assert red["phaseStates"][0]["timing"]["counting"]["likelyEndTime"] == {"timeMark": 150}


def test_dris_counts_go_to_an_edge_only_where_one_is_named(play: Any, options: Any) -> None:
    (flow,) = bodies(play(options["huawei_dris"]), "v2x/v1/edge/edge-1/flow/up")
    assert (flow["flow"], flow["average_speed"], flow["period"]) == (4, 39.6, 10)
    none = play(HuaweiDrisProfile(kind="huawei_dris", esn="unit_9"))
    assert not [one for one in none if "edge" in one.subject]


def test_a_long_message_is_split_at_sixteen_road_users(play: Any, frames: Any) -> None:
    rsm = frames["RSM"]
    content = rsm.value["rsmFrame"]
    value = {"rsmFrame": {**content, "participants": 20 * content["participants"]}}
    what = [(V2X_TX, msgspec.structs.replace(rsm, value=value), 1.0)]
    made = play(HuaweiDrisProfile(kind="huawei_dris", esn="u"), what=what)
    parts = [len(body["rsms"][0]["participants"]) for body in bodies(made, "v2x/v1/rsu/u/rsm/up")]
    assert parts == [16, 16, 8]


# --- OpenV2X --------------------------------------------------------------------------------------


def test_openv2x_topics_take_either_delimiter(play: Any) -> None:
    dotted = play(OpenV2xProfile(kind="openv2x", esn="u", delimiter="."))
    topics = {one.subject.removeprefix("/") for one in dotted}
    assert {"V2X.RSU.HB.UP", "V2X.RSU.u.RSM.UP", "V2X.RSU.INFO.UP"} <= topics


def test_openv2x_beats_more_often_than_the_platform_forgets(play: Any) -> None:
    ticks = [(None, None, float(second)) for second in range(1, 61)]
    made = play(OpenV2xProfile(kind="openv2x", esn="u"), what=ticks)
    names = [one.subject for one in made]
    assert names.count("/V2X/RSU/HB/UP") == 12  # every 5 s
    assert names.count("/V2X/RSU/INFO/UP") == names.count("/V2X/RSU/BaseINFO/UP") == 1


def test_openv2x_running_info_is_in_mebioctets_and_is_said_once_a_reading(
    play: Any, options: Any
) -> None:
    (info,) = bodies(play(options["openv2x"]), "V2X/RSU/RunningInfo/UP")
    assert info["cpu"] == {"load": 1.25, "uti": "43.2%"}
    assert info["mem"] == {"total": 8192.0, "used": 3072.0, "free": 5120.0}
    assert (info["disk"]["read"], info["disk"]["write"], info["disk"]["tps"]) == (2.0, 4.0, 12.0)
    assert info["net"] == {"rx": 30.0, "tx": 40.0, "rxByte": 5000.0, "txByte": 6000.0}


def test_openv2x_says_when_a_light_will_end(play: Any, options: Any) -> None:
    (spat,) = bodies(play(options["openv2x"]), "V2X/RSU/unit_9/SPAT/UP")
    (crossing,) = spat["intersections"]
    # 15:06:40.9 and 15.0 s; phase 2 has no end and cannot be said in its words.
    assert crossing["phases"] == [
        {"phaseId": "1", "phaseStates": {"light": "3", "timing": "2025-06-15 15:06:55"}}
    ]
    assert crossing["status"] is True


def test_openv2x_tracks_are_a_radars_only_where_one_is_named(play: Any, options: Any) -> None:
    (track,) = bodies(play(options["openv2x"]), "V2X/RADAR/radar-1/TRACK/UP")
    assert track["targets"][0]["speed"] == 8.3  # m/s here
    assert not [
        one for one in play(OpenV2xProfile(kind="openv2x", esn="u")) if "RADAR" in one.subject
    ]


# --- Hisense --------------------------------------------------------------------------------------


def test_published_frames_parse_whole_and_are_built_again(shared: Path) -> None:
    vectors = json.loads((shared / "vectors/csae_vectors.json").read_text("utf-8"))
    for sample in vectors["uplink_frames"]:
        octets = bytes.fromhex(sample["hex"])
        counted = "BSM" in sample["topic"]
        frame = parse(octets, counted=counted)  # refuses octets left over
        assert build(frame.unit, frame.time_ms, frame.messages, counted=counted) == octets
        with pytest.raises(UplinkFrameError):
            parse(octets + b"\0", counted=counted)
        with pytest.raises(UplinkFrameError):
            parse(octets[:-1], counted=counted)
    # The other two kinds stand in the vectors as messages out of such frames.
    for sample in vectors["messages"]:
        if "uplink frame" in sample["origin"]:
            message = bytes.fromhex(sample["hex"])
            frame = build(b"u_id_123", 1_605_252_000_000, [message], counted=False)
            assert parse(frame, counted=False).messages == (message,)


def test_a_published_frame_is_what_the_profile_sends(play: Any, frames: Any, shared: Path) -> None:
    """The unit's own way from a frame on the air to the published octets."""
    vectors = json.loads((shared / "vectors/csae_vectors.json").read_text("utf-8"))
    options = HisenseProfile(kind="hisense_binary", rsu_id="u_id_123", heard=True)
    told = 0
    for sample in vectors["uplink_frames"]:
        octets = bytes.fromhex(sample["hex"])
        message = sample["topic"].split(".")[2]
        if message == "BSM":
            continue  # two vehicles in one; ours sends one each
        parsed = parse(octets, counted=False)
        frame = msgspec.structs.replace(
            frames[message], payload=parsed.messages[0], time_ns=parsed.time_ms * 1_000_000
        )
        (report,) = play(options, what=[(V2X_TX, frame, 1.0)])
        assert (report.subject, report.body) == (f"/{sample['topic']}", octets)
        told += 1
    assert told == 2


def test_hisense_passes_on_vehicles_but_never_a_plate(play: Any, heard: Any) -> None:
    inner = {"bsmFrame": {"id": "0102030405060708", "safetyExt": [{"plateNo": "31"}]}}
    what = [(V2X_HEARD, heard({"bsmFrame": {}}), 1.0), (V2X_HEARD, heard(inner), 1.1)]
    made = play(HisenseProfile(kind="hisense_binary", rsu_id="u", heard=True), what=what)
    assert [one.subject for one in made] == ["/V2X.RSU.BSM.UP"]
    assert parse(made[0].body, counted=True).messages == (b"\x01\x02\x03",)
    assert play(HisenseProfile(kind="hisense_binary", rsu_id="u"), what=what) == []


def test_hisense_state_comes_every_three_seconds(play: Any) -> None:
    ticks = [(None, None, float(second)) for second in range(1, 31)]
    made = play(HisenseProfile(kind="hisense_binary", rsu_id="u"), what=ticks)
    assert len(made) == 10
    assert json.loads(made[0].body) == {"base": {"tm": 1_750_000_003, "ID": "u"}, "errList": []}


# --- rates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit_hz", "expected"), [(1.0, 6), (5.0, 26), (20.0, 51)])
def test_live_messages_go_up_no_faster_than_the_limit(
    play: Any, frames: Any, limit_hz: float, expected: int
) -> None:
    options = HuaweiDrisProfile(kind="huawei_dris", esn="u", up_limit_hz=limit_hz)
    what = [
        (
            V2X_TX,
            msgspec.structs.replace(frames["RSM"], time_ns=START_NS + tenth * 100_000_000),
            tenth / 10,
        )
        for tenth in range(51)  # 10 Hz over 5 s
    ]
    assert len(play(options, what=what)) == expected


def test_parts_of_one_moment_go_up_together(play: Any, frames: Any) -> None:
    what = [(V2X_TX, frames["RSM"], 1.0), (V2X_TX, frames["RSM"], 1.01)]
    assert len(play(HuaweiDrisProfile(kind="huawei_dris", esn="u"), what=what)) == 2


def test_a_map_goes_up_when_it_changes_and_once_a_minute(play: Any, frames: Any) -> None:
    first = frames["MAP"]
    counted = msgspec.structs.replace(
        first, value={"mapFrame": {**first.value["mapFrame"], "msgCnt": 99}}
    )
    nodes = [{**first.value["mapFrame"]["nodes"][0], "name": "another"}]
    changed = msgspec.structs.replace(first, value={"mapFrame": {"msgCnt": 1, "nodes": nodes}})
    moments = [(first, 0.0), (counted, 1.0), (changed, 2.0), (first, 30.0), (first, 61.0)]
    what = [(V2X_TX, frame, when) for frame, when in moments]
    made = play(HuaweiDrisProfile(kind="huawei_dris", esn="u"), what=what)
    tags = [body["eTag"] for body in bodies(made, "v2x/v1/rsu/u/map/up")]
    assert len(tags) == 3
    assert tags[0] == tags[2] != tags[1]


def test_messages_of_the_other_world_do_not_go_up(play: Any, frames: Any, options: Any) -> None:
    other = msgspec.structs.replace(frames["SPAT"], profile="j2735_2024")
    for name in ("huawei_dris", "openv2x", "hisense_binary"):
        assert play(options[name], what=[(V2X_TX, other, 0.5)]) == []


def test_plain_may_have_a_prefix_of_its_own(play: Any) -> None:
    made = play(PlainProfile(kind="plain", topic_prefix="other/{site}"))
    assert {one.topic("rsu/corner").rpartition("/")[0] for one in made} == {"other/corner"}
