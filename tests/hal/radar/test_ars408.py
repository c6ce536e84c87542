"""ARS408 lists: what the DBC says of the wire, what the options say of its numbers."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
import time
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.place import OriginOptions, PlaceOptions
from rsu.config.radars import ANGLE_RMS, LINEAR_RMS, Ars408Options
from rsu.hal.device import make_device
from rsu.hal.errors import DeviceError
from rsu.hal.radar.ars408_lists import Ars408Lists, read_database
from rsu.schema.sensing import DynamicProperty, ObjectClass, RadarObjects, SensorKind
from rsu.schema.units import Instant, Vec2
from rsu.sim.emulators.can_radar import CanRadarEmulator
from rsu.sim.sensors.radar import RadarCycle, RadarReading

EXACT = {"position_std": 0.0, "heading_std": 0.0}
NOW_NS = 1_767_225_600_000_000_000


def options(heading: float = 0.0, **more: object) -> Ars408Options:
    mount = {"x": 0.0, "y": 0.0, "heading": heading, **EXACT}
    base = {"id": "r", "driver": "ars408", "mount": mount, "reference_std": 0.0, "latency_s": 0.0}
    return Ars408Options.model_validate({**base, **more})


def lists(made: Ars408Options) -> tuple[Ars408Lists, Counter[str]]:
    dropped: Counter[str] = Counter()
    return Ars408Lists(made, read_database(None), dropped), dropped


def heard(made: Ars408Options, *cycles: RadarCycle) -> tuple[list[RadarObjects], Counter[str]]:
    taken, dropped = lists(made)
    emulator = CanRadarEmulator(made)
    out = [
        taken.frame(frame.arbitration_id, bytes(frame.data), NOW_NS)
        for cycle in cycles for frame in emulator.frames(cycle)
    ]  # fmt: skip
    return [found for found in out if found is not None], dropped


def test_octets_that_were_packed_by_hand_are_read_as_the_layout_says() -> None:
    # 60B: id 7 | DistLong (100+500)/0.2 = 3000, 13 bit | DistLat (-4.6+204.6)/0.2 = 1000, 11 bit
    # | VrelLong (10+128)/0.25 = 552, 10 bit | VrelLat (1+64)/0.25 = 260, 9 bit | 2 spare
    # | DynProp 6, 3 bit | RCS (10+64)/0.5 = 148
    bits = f"{7:08b}{3000:013b}{1000:011b}{552:010b}{260:09b}00{6:03b}{148:08b}"
    general = int(bits, 2).to_bytes(8, "big")
    # 60C: id | five bits each: long 20, lat 10, vlong 12, vlat 15, along, alat, orientation 31
    # | 1 spare … the last octet holds ProbOfExist 3 bit, MeasState 3 bit
    bits = f"{7:08b}{20:05b}{10:05b}{12:05b}{15:05b}{31:05b}{31:05b}{31:05b}"
    quality = int(bits.ljust(48, "0") + f"{5:03b}{2:03b}00", 2).to_bytes(7, "big")
    taken, dropped = lists(options(messages={"extended": None}))
    assert taken.frame(0x60A, bytes((1, 0x12, 0x34, 0x10)), NOW_NS) is None
    assert taken.frame(0x60B, general, NOW_NS) is None
    found = taken.frame(0x60C, quality, NOW_NS)
    assert found is not None
    assert (found.cycle, found.capture_ns) == (0x1234, NOW_NS)
    (item,) = found.objects
    # The axis looks north: forward is y, left is west.
    assert (item.object_id, item.position.x, item.position.y) == (
        7, pytest.approx(4.6), pytest.approx(100.0),
    )  # fmt: skip
    assert (item.velocity.x, item.velocity.y) == (pytest.approx(-1.0), pytest.approx(10.0))
    assert item.dynamic is DynamicProperty.CROSSING_MOVING
    assert (item.rcs, item.existence) == (10.0, 0.99)
    assert item.position_cov.yy == pytest.approx(LINEAR_RMS[20] ** 2 + 0.04 / 12)
    assert item.position_cov.xx == pytest.approx(LINEAR_RMS[10] ** 2 + 0.04 / 12)
    assert item.velocity_cov.yy == pytest.approx(LINEAR_RMS[12] ** 2 + 0.0625 / 12)
    assert item.velocity_cov.xx == pytest.approx(LINEAR_RMS[15] ** 2 + 0.0625 / 12)
    assert (item.size, item.heading) == (None, None)
    assert not dropped


def test_the_quality_tables_run_from_the_stated_least_to_the_stated_most() -> None:
    assert (LINEAR_RMS[0], LINEAR_RMS[30], len(LINEAR_RMS)) == (0.005, 10.0, 31)
    assert (ANGLE_RMS[0], ANGLE_RMS[30], len(ANGLE_RMS)) == (0.005, 180.0, 31)


readings = st.builds(
    RadarReading,
    number=st.integers(0, 255),
    forward=st.floats(0.0, 200.0),
    left=st.floats(-100.0, 100.0),
    speed_forward=st.floats(-60.0, 60.0),
    speed_left=st.floats(-60.0, 60.0),
    dynamic=st.integers(0, 7),
    rcs=st.floats(-60.0, 60.0),
    forward_rms=st.integers(0, 31),
    left_rms=st.integers(0, 31),
    state=st.sampled_from([1, 2, 3, 5]),
    existence=st.integers(0, 7),
    kind=st.integers(0, 7),
    orientation=st.floats(-180.0, 180.0),
    length=st.floats(0.0, 51.0),
    width=st.floats(0.0, 51.0),
)


@settings(max_examples=60)
@given(
    st.lists(readings, max_size=20, unique_by=lambda r: r.number),
    st.floats(0.0, 359.0),
    st.integers(0, 7),
)
def test_what_is_written_is_read_within_half_a_step(
    items: list[RadarReading], heading: float, sensor_id: int
) -> None:
    made = options(heading, sensor_id=sensor_id, max_range=300.0)
    (found,), dropped = heard(made, RadarCycle(9, 0, tuple(items)))
    assert not dropped
    assert [item.object_id for item in found.objects] == [item.number for item in items]
    east, north = math.sin(math.radians(heading)), math.cos(math.radians(heading))
    for item, read in zip(items, found.objects, strict=True):
        forward = read.position.x * east + read.position.y * north
        left = -read.position.x * north + read.position.y * east
        assert forward == pytest.approx(item.forward, abs=0.1001)
        assert left == pytest.approx(item.left, abs=0.1001)
        assert read.rcs == pytest.approx(item.rcs, abs=0.2501)
        cov = read.position_cov
        assert cov.xx * cov.yy - cov.xy**2 > 0.0


@pytest.mark.parametrize("lost", [1, 2, 5, 8])
def test_a_list_that_lacks_a_frame_is_dropped_whole(lost: int) -> None:
    made = options()
    taken, dropped = lists(made)
    emulator = CanRadarEmulator(made)
    first = RadarCycle(1, 0, tuple(RadarReading(n, 20.0, 0.0, 0.0, 0.0) for n in range(3)))
    second = RadarCycle(2, 0, first.objects)
    frames = [f for i, f in enumerate(emulator.frames(first)) if i != lost]
    frames += list(emulator.frames(second))
    out = [taken.frame(f.arbitration_id, bytes(f.data), NOW_NS) for f in frames]
    assert [found.cycle for found in out if found is not None] == [2]
    assert dropped["partial_list"] == 1


def test_old_and_repeated_counters_are_dropped_and_a_restart_is_not() -> None:
    one = (RadarReading(1, 20.0, 0.0, 0.0, 0.0),)
    cycles = [RadarCycle(c, 0, one) for c in (65_534, 65_535, 0, 0, 65_535, 1, 5000, 0)]
    found, dropped = heard(options(), *cycles)
    assert [item.cycle for item in found] == [65_534, 65_535, 0, 1, 5000, 0]
    assert (dropped["repeated_list"], dropped["reordered_list"]) == (1, 1)


def test_an_empty_list_is_a_statement_and_deleted_objects_are_none() -> None:
    gone = RadarReading(1, 20.0, 0.0, 0.0, 0.0, state=0)
    found, dropped = heard(options(), RadarCycle(1, 0, ()), RadarCycle(2, 0, (gone,)))
    assert [item.objects for item in found] == [(), ()]
    assert dropped == {"deleted_object": 1}


def test_a_dialect_is_configuration(tmp_path: Path) -> None:
    ours = files("rsu.hal.radar").joinpath("ars408.dbc").read_text()
    dialect = ours.replace("Obj_1_General", "ObjectData").replace("Obj_RCS", "Echo")
    (tmp_path / "own.dbc").write_text(dialect)
    database = read_database(tmp_path / "own.dbc")
    older = ["moving", "stationary", "oncoming", "crossing_moving", "crossing_moving", "unknown",
             "stopped"]  # fmt: skip
    made = Ars408Options.model_validate_json(
        options(tables={"dynamic": older}, messages={"general": "ObjectData"},
                signals={"Obj_RCS": "Echo"}).model_dump_json(),
    )  # fmt: skip
    taken = Ars408Lists(made, database, Counter())
    cycle = RadarCycle(1, 0, (RadarReading(1, 20.0, 0.0, 0.0, 0.0, dynamic=6, kind=2),))
    out = [
        taken.frame(f.arbitration_id, bytes(f.data), NOW_NS)
        for f in CanRadarEmulator(options()).frames(cycle)
    ]
    assert out[-1] is not None
    assert out[-1].objects[0].dynamic is DynamicProperty.STOPPED
    assert out[-1].objects[0].object_class is ObjectClass.TRUCK
    with pytest.raises(DeviceError, match="no message 'Obj_1_General'"):
        Ars408Lists(options(), database, Counter())
    with pytest.raises(DeviceError, match="no signal Obj_RCS"):
        Ars408Lists(options(messages={"general": "ObjectData"}), database, Counter())


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from([0x60A, 0x60B, 0x60C, 0x60D, 0x701]), st.binary(max_size=8)))
)
def test_no_octets_can_make_it_raise(frames: list[tuple[int, bytes]]) -> None:
    taken, _ = lists(options())
    for can_id, data in frames:
        taken.frame(can_id, data, NOW_NS)


def test_one_cycle_of_a_real_radar_passes_the_wire_unchanged(shared: Path) -> None:
    path = shared / "data" / "radar" / "ars408_front_one_cycle.csv"
    if not path.exists():
        pytest.skip("no recorded radar cycle")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    items = tuple(
        RadarReading(
            int(row["track_id"]), float(row["position_x"]), float(row["position_y"]),
            float(row["velocity_x"]), float(row["velocity_y"]), int(row["dynprop"]),
            float(row["rcs"]), length=float(row["length"]), width=float(row["width"]),
        )
        for row in rows
    )  # fmt: skip
    # Looking east, so that the site frame is the radar's.
    (found,), dropped = heard(options(90.0), RadarCycle(1, 0, items))
    assert len(found.objects) == len(rows) == 13
    assert not dropped
    for item, read in zip(items, found.objects, strict=True):
        # What a real device sent lies on the wire's grid: nothing is rounded.
        assert (read.position.x, read.position.y) == pytest.approx((item.forward, item.left))
        assert (read.velocity.x, read.velocity.y) == pytest.approx(
            (item.speed_forward, item.speed_left)
        )
        assert read.rcs == item.rcs
        assert read.dynamic is DynamicProperty.ONCOMING
        assert read.velocity != Vec2(0.0, 0.0)


SENDER = """
import sys
from rsu.config.radars import Ars408Options
from rsu.sim.emulators.can_radar import CanRadarEmulator
from rsu.sim.sensors.radar import RadarCycle, RadarReading
emulator = CanRadarEmulator(Ars408Options.model_validate_json(sys.argv[1]))
emulator.open()
for number, _ in enumerate(sys.stdin):
    emulator.send(RadarCycle(number + 1, 0, (RadarReading(5, 20.0, 0.0, 0.0, 0.0),)))
emulator.close()
"""


def test_a_radar_of_another_process_is_heard_and_its_wait_in_the_queue_is_known(
    free_port: int,
) -> None:
    pytest.importorskip("msgpack")
    bus = {"interface": "udp_multicast", "channel": "239.74.163.2", "extra": {"port": free_port}}
    made = options(bus=bus)
    place = PlaceOptions(id="p", origin=OriginOptions(latitude=0.0, longitude=0.0))
    driver = make_device(SensorKind.RADAR, made, Path(), lambda: Instant(time.time_ns(), 0), place)
    try:
        driver.open()
    except DeviceError as error:
        pytest.skip(f"no multicast on this machine: {error}")
    command = [sys.executable, "-c", SENDER, made.model_dump_json()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as sender:
        assert sender.stdin is not None
        found: list[object] = []
        for _ in range(60):
            print("next", file=sender.stdin, flush=True)
            found += driver.receive(0.5)
            if found:
                break
        sender.stdin.close()
    driver.close()
    assert isinstance(found[0], RadarObjects)
    assert found[0].objects[0].object_id == 5
    assert 0 <= time.time_ns() - found[0].capture_ns < 60 * 10**9
