"""PAM of a small lot that can be checked by hand, and its reading by an independent codec.

4 ──c── 2 ══b══ 3      a, c: one way; b: both ways
        │              bays 1 (across) and 2 (along) at a, 3 (oblique) and 4 (odd) at b
        a
road ── 1
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.parking import BayState, BayStatus, ParkingGuidance, ParkingState
from rsu.schema.units import NS_PER_S
from rsu.site.features import Direction
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap, Zone, ZoneKind
from rsu.v2x.csae.pam import PamWriter
from rsu.v2x.csae.units import OutOfRangeError
from rsu.v2x.map.findings import MapExportError

NOW = int(datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * NS_PER_S
CAR = bytes.fromhex("0102030405060708")


def lane(name: str, kind: LaneKind, *line: tuple[float, float], **changes: Any) -> Lane:
    return Lane(name, kind, np.array(line), changes.pop("width", 6.0), **changes)


AISLE = LaneKind.PARKING_AISLE
A = lane(
    "a", AISLE, (0.0, 0.0), (0.0, 20.0), (0.0, 40.0), upstream_node=1, downstream_node=2,
    lane_id=1, speed_limit=2.5, successors=("b", "c"),
)  # fmt: skip
B = lane(
    "b", AISLE, (0.0, 40.0), (30.0, 40.0), upstream_node=2, downstream_node=3,
    direction=Direction.BOTH, successors=("c",),
)  # fmt: skip
C = lane(
    "c", AISLE, (0.0, 40.0), (-20.0, 40.0), upstream_node=2, downstream_node=4,
    width=3.5, successors=("road-out",),
)  # fmt: skip
ROADS = (
    lane("road-in", LaneKind.VEHICLE, (-30.0, -5.0), (0.0, 0.0), successors=("a",)),
    lane("road-out", LaneKind.VEHICLE, (-20.0, 40.0), (-40.0, 40.0)),
)
ELSEWHERE = lane("z", AISLE, (200.0, 0.0), (200.0, 9.0), upstream_node=8, downstream_node=9)


def bay(name: str, access: str | None, *ring: tuple[float, float], **changes: Any) -> Zone:
    return Zone(name, ZoneKind.BAY, np.array(ring), lot="yard", lane=access, **changes)


BAYS = (
    bay("bay-1", "a", (2.5, 5.0), (7.5, 5.0), (7.5, 7.5), (2.5, 7.5), title="A-01"),
    # Drawn clockwise.
    bay("bay-2", "a", (-2.25, 20.0), (-4.5, 20.0), (-4.5, 26.0), (-2.25, 26.0)),
    bay("bay-3", "b", (5.0, 42.5), (8.5, 42.5), (12.0, 46.0), (8.5, 46.0), title="Plätze"),
    bay("bay-4", "b", (20.0, 42.5), (23.0, 42.5), (22.0, 47.0), (20.0, 47.0)),
)  # fmt: skip
OTHER = replace(BAYS[0], id="bay-9", lot="other")


def site_of(origin: Any, *changed: Lane, zones: tuple[Zone, ...] = (*BAYS, OTHER)) -> SiteMap:
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    lanes = {one.id: one for one in (A, B, C, *ROADS, ELSEWHERE, *changed)}
    return SiteMap(frame, tuple(lanes.values()), zones)


@pytest.fixture
def writer(unit, origin) -> PamWriter:
    return PamWriter(unit(site=site_of(origin)), "yard")


def bay_state(name: str, status: BayStatus) -> BayState:
    return BayState(bay=name, status=status, occupied_probability=0.5, since_ns=NOW)


def state(*bays: BayState, **changes: Any) -> ParkingState:
    return ParkingState(**{"lot": "yard", "time_ns": NOW, "bays": bays, **changes})


def test_scene_of_a_lot_and_a_guest(writer: PamWriter, origin, metres_to_steps, said) -> None:
    scene = state(
        bay_state("bay-1", BayStatus.OCCUPIED),
        bay_state("bay-2", BayStatus.FREE),
        bay_state("bay-3", BayStatus.CLOSED),
        guidance=(
            ParkingGuidance(vehicle=CAR, lanes=("a", "b"), bay="bay-3"),
            ParkingGuidance(vehicle=CAR[::-1], lanes=("b", "c")),
        ),
    )
    value = writer.content(2, scene)

    def steps(x: float, y: float) -> tuple[int, int]:
        return metres_to_steps(x, y, origin.latitude, origin.altitude)

    nodes = {1: steps(0, 0), 2: steps(0, 40), 3: steps(30, 40), 4: steps(-20, 40)}

    def offset(node: int, x: float, y: float) -> dict[str, Any]:
        lon, lat = np.subtract(steps(x, y), nodes[node]).tolist()
        wide = not -2048 <= min(lon, lat) <= max(lon, lat) <= 2047
        return {"offsetLL": {"position-LL2" if wide else "position-LL1": {"lon": lon, "lat": lat}}}

    def points(node: int, *line: tuple[float, float]) -> list[dict[str, Any]]:
        return [{"posOffset": offset(node, x, y)} for x, y in line]

    def place(node: int) -> dict[str, int]:
        lon, lat = nodes[node]
        return {"lat": 312_304_000 + lat, "long": 1_214_737_000 + lon}

    def slot(number: int, status: str, theta: str, **more: Any) -> dict[str, Any]:
        return {
            "slotID": number,
            **more,
            "parkingType": {"bits": "1000000000"},
            "status": status,
            "parkingSpaceTheta": theta,
            "parkingLock": "unknown",
        }

    def corners(node: int, *three: tuple[float, float]) -> dict[str, Any]:
        names = ("topLeft", "topRight", "bottomLeft")
        return dict(zip(names, (offset(node, x, y) for x, y in three), strict=True))

    drive_a = {
        "upstreamPAMNodeId": 1,
        "driveID": 1,
        "speedLimit": 125,
        "driveWidth": 600,
        "points": points(2, (0, 0), (0, 40)),  # the vertex on the straight line is gone
        "movements": [3, 4],
        "parkingSlots": [
            # Looking in to the east, north is on the left.
            slot(
                1, "occupied", "vertical", sign="A-01",
                position=corners(2, (7.5, 7.5), (7.5, 5.0), (2.5, 7.5)),
            ),
            # Looking in to the west, south is on the left.
            slot(
                2, "available", "side",
                position=corners(2, (-4.5, 20.0), (-4.5, 26.0), (-2.25, 20.0)),
            ),
        ],
    }  # fmt: skip
    drive_b = {
        "upstreamPAMNodeId": 2,
        "twowaySepration": False,
        "driveWidth": 600,
        "points": points(3, (0, 40), (30, 40)),
        "parkingSlots": [
            slot(
                3, "reserved", "oblique",
                position=corners(3, (8.5, 46.0), (12.0, 46.0), (5.0, 42.5)),
            ),
            slot(4, "unknown", "unknown"),
        ],
    }  # fmt: skip
    drive_b_back = {
        "upstreamPAMNodeId": 3,
        "twowaySepration": False,
        "driveWidth": 600,
        "points": points(2, (30, 40), (0, 40)),
        "movements": [4],
    }
    drive_c = {
        "upstreamPAMNodeId": 2,
        "driveWidth": 350,
        "points": points(4, (0, 40), (-20, 40)),
    }
    assert value == {
        "msgCnt": 2,
        "timeStamp": 365 * 1440 - 1,
        "parkingLotInfo": {"name": "yard"},
        "pamNodes": [
            {"id": 1, "refPos": place(1), "attributes": {"bits": "10000000"}},
            {"id": 2, "refPos": place(2), "inDrives": [drive_a, drive_b_back]},
            {"id": 3, "refPos": place(3), "inDrives": [drive_b]},
            {
                "id": 4,
                "refPos": place(4),
                "attributes": {"bits": "01000000"},
                "inDrives": [drive_c],
            },
        ],
        "parkingAreaGuidance": [
            # In over 1 and 2, along b to the bay; out from b, backwards over 2, over 4.
            {"vehId": "0102030405060708", "drivePath": [1, 2], "targetParkingSlot": 3},
            {"vehId": "0807060504030201", "drivePath": [2, 4]},
        ],
    }
    said("csae157_2020", "PAM", value)


@pytest.mark.parametrize(
    ("status", "stated"),
    [
        (BayStatus.UNKNOWN, "unknown"),
        (BayStatus.FREE, "available"),
        (BayStatus.OCCUPIED, "occupied"),
        (BayStatus.CLOSED, "reserved"),
    ],
)
def test_every_status(writer: PamWriter, status: BayStatus, stated: str) -> None:
    value = writer.content(0, state(bay_state("bay-2", status)))
    slots = value["pamNodes"][1]["inDrives"][0]["parkingSlots"]
    assert [slot["status"] for slot in slots] == ["unknown", stated]


def test_one_message_does_not_touch_the_next(writer: PamWriter) -> None:
    first = writer.content(0, state(bay_state("bay-1", BayStatus.FREE)))
    again = writer.content(0, state())
    assert first["pamNodes"][1]["inDrives"][0]["parkingSlots"][0]["status"] == "available"
    assert again["pamNodes"][1]["inDrives"][0]["parkingSlots"][0]["status"] == "unknown"


GUEST = ParkingGuidance(vehicle=CAR, lanes=("a",), bay="bay-1")


@pytest.mark.parametrize(
    ("lanes", "out", "path"),
    [
        (("a",), False, [1]),
        (("a",), True, [2]),
        (("a", "b"), False, [1, 2]),
        (("b",), False, [2]),  # alone: as drawn
        (("b", "b"), False, [2, 3]),  # to its end and back
        (("b", "c"), True, [2, 4]),
        (("a", "b", "b", "c"), True, [2, 3, 2, 4]),
    ],
)
def test_way(writer: PamWriter, lanes: tuple[str, ...], out: bool, path: list[int]) -> None:
    guest = ParkingGuidance(vehicle=CAR, lanes=lanes, bay=None if out else "bay-1")
    value = writer.content(0, state(guidance=(guest,)))
    assert value["parkingAreaGuidance"][0]["drivePath"] == path


@pytest.mark.parametrize(
    "wrong",
    [
        state(lot="other"),
        state(bay_state("bay-9", BayStatus.FREE)),
        state(guidance=(GUEST,) * 17),
        state(guidance=(ParkingGuidance(vehicle=CAR[:7], lanes=("a",)),)),
        state(guidance=(ParkingGuidance(vehicle=CAR, lanes=()),)),
        state(guidance=(ParkingGuidance(vehicle=CAR, lanes=("nowhere",)),)),
        state(guidance=(ParkingGuidance(vehicle=CAR, lanes=("c", "a")),)),
        state(guidance=(ParkingGuidance(vehicle=CAR, lanes=("b",) * 33),)),
        state(guidance=(ParkingGuidance(vehicle=CAR, lanes=("a",), bay="bay-9"),)),
    ],
)
def test_what_the_message_cannot_carry_is_refused(writer: PamWriter, wrong: ParkingState) -> None:
    with pytest.raises(OutOfRangeError):
        writer.content(0, wrong)


def test_as_much_guidance_as_fits(writer: PamWriter, said) -> None:
    long = ParkingGuidance(vehicle=CAR, lanes=("b",) * 32)
    said("csae157_2020", "PAM", writer.content(0, state(guidance=(long,) * 16)))


def test_largest_drive(unit, origin, said) -> None:
    """256 bays at one aisle; the 257th does not fit."""
    bays = [
        bay(f"b{n}", "a", (3, n / 8), (8, n / 8), (8, n / 8 + 0.1), (3, n / 8 + 0.1))
        for n in range(257)
    ]
    fits = PamWriter(unit(site=site_of(origin, zones=tuple(bays[:256]))), "yard")
    said("csae157_2020", "PAM", fits.content(0, state()))
    with pytest.raises(MapExportError, match="lane a: bays: 257, at most 256"):
        PamWriter(unit(site=site_of(origin, zones=tuple(bays))), "yard")


def test_corners_are_left_out_where_they_do_not_fit(unit, origin, said) -> None:
    here = unit(site=site_of(origin))
    whole = PamWriter(here, "yard").content(0, state())
    size = len(said("csae157_2020", "PAM", whole))
    asked: list[int] = []

    def at_most(most: int) -> Any:
        def fits(content: Any) -> bool:
            asked.append(len(said("csae157_2020", "PAM", content)))
            return asked[-1] <= most

        return fits

    assert PamWriter(here, "yard", at_most(size)).content(0, state()) == whole
    small = PamWriter(here, "yard", at_most(size - 1)).content(0, state())
    assert asked == [size, size]
    assert len(said("csae157_2020", "PAM", small)) < size
    slots = [
        slot
        for node in small["pamNodes"]
        for drive in node.get("inDrives", ())
        for slot in drive.get("parkingSlots", ())
    ]
    assert [slot["slotID"] for slot in slots] == [1, 2, 3, 4]
    assert not any("position" in slot for slot in slots)


def test_a_map_that_lacks_something_says_what(unit, origin) -> None:
    with pytest.raises(MapExportError, match="no zone of kind bay belongs to lot nowhere"):
        PamWriter(unit(site=site_of(origin)), "nowhere")
    bare = replace(A, upstream_node=None, downstream_node=None)
    adrift = replace(BAYS[1], lane=None)
    with pytest.raises(MapExportError) as error:
        PamWriter(unit(site=site_of(origin, bare, zones=(BAYS[0], adrift))), "yard")
    assert [str(one) for one in error.value.findings] == [
        "lane: zone bay-2: missing: the aisle it is reached from",
        "lane a: upstream_node: missing: an aisle leads from node to node of its lot",
        "lane a: downstream_node: missing: an aisle leads from node to node of its lot",
    ]


def test_too_many_nodes(unit, origin) -> None:
    chain = [
        lane(
            f"chain-{n}", AISLE, (30.0 + n, 40.0), (31.0 + n, 40.0),
            upstream_node=3 if n == 0 else 100 + n, downstream_node=101 + n,
        )
        for n in range(60)
    ]  # fmt: skip
    with pytest.raises(MapExportError, match="nodes: 64, at most 63"):
        PamWriter(unit(site=site_of(origin, *chain)), "yard")
    PamWriter(unit(site=site_of(origin, *chain[:59])), "yard")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    known=st.dictionaries(st.sampled_from([one.id for one in BAYS]), st.sampled_from(BayStatus)),
    guests=st.lists(
        st.builds(
            ParkingGuidance,
            vehicle=st.binary(min_size=8, max_size=8),
            lanes=st.sampled_from([("a",), ("a", "b"), ("a", "c"), ("b", "c")]),
            bay=st.none() | st.sampled_from([one.id for one in BAYS]),
        ),
        max_size=16,
    ),
    time_ns=st.integers(0, 2 * NOW),
)
def test_any_state_can_be_said(
    writer: PamWriter,
    known: dict[str, BayStatus],
    guests: list[ParkingGuidance],
    time_ns: int,
    said,
) -> None:
    bays = [bay_state(*one) for one in known.items()]
    scene = state(*bays, guidance=tuple(guests), time_ns=time_ns)
    said("csae157_2020", "PAM", writer.content(0, scene))
