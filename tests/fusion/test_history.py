"""Scans in any order within the buffer give the result of capture order, exactly."""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.fusion import FusionOptions
from rsu.fusion.history import History
from rsu.fusion.measurements import Scan, scan_from_camera, scan_from_radar
from rsu.fusion.publication import track_list
from rsu.fusion.tracker import Tracker
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, RadarObjects
from rsu.schema.units import NS_PER_MS, Cov2
from rsu.schema.wire import to_json

BUFFER_NS = 200 * NS_PER_MS


def scan_of(message: Message) -> Scan:
    reader = scan_from_radar if isinstance(message.payload, RadarObjects) else scan_from_camera
    return reader(message.payload)[0]


def busy_scans(world: SimpleNamespace, seed: int, seconds: float) -> list[Scan]:
    """Two cameras and a radar over crossing traffic with clutter, in capture order."""
    scene = world.Scene(seed=seed)
    scene.add(ObjectClass.CAR, world.line(-20, 0, 9, 0))
    scene.add(ObjectClass.CAR, world.turn(-15, -6, 7, 0.5, 1, 3))
    scene.add(ObjectClass.PEDESTRIAN, world.line(3, -4, 0, 1.4))
    scene.add(ObjectClass.CAR, world.line(12, 9, 0, 0))
    scene.sensors = [
        world.Sensor("north", clutter=1.0),
        world.Sensor("south", clutter=1.0, phase_s=0.03, rate_hz=25),
        world.Sensor("radar", radar=True, clutter=0.5, rate_hz=14, phase_s=0.01),
    ]
    scans = [scan_of(message) for _, message in scene.messages(seconds)]
    return sorted(scans, key=lambda scan: scan.key)


def history() -> History:
    return History(Tracker(FusionOptions()), 1, BUFFER_NS)


def everything(past: History) -> dict[str, object]:
    """All of the table, with sensors by name, and what would be published."""
    table, names = past.table, past._tracker.sensors
    order = [names.index(name) for name in sorted(names)]
    columns = {f.name: getattr(table.rows, f.name).tolist() for f in fields(table.rows)}
    padded = table.copy()
    padded.widen(len(names))
    columns["last_seen"] = padded.rows.last_seen[:, order].tolist()
    columns["last_look"] = padded.last_look[order].tolist()
    said = to_json(track_list(padded, past.settled_ns, names))
    return {"time": table.time_ns, "next": table.next_id, "said": said, **columns}


@given(seed=st.integers(0, 50), shuffle=st.randoms(use_true_random=False))
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_within_the_buffer_gives_the_in_order_result(
    world: SimpleNamespace, seed: int, shuffle: object
) -> None:
    scans = busy_scans(world, seed, 1.6)
    newest = scans[-1].capture_ns
    recent = [scan for scan in scans if scan.capture_ns >= newest - BUFFER_NS]
    before = scans[: len(scans) - len(recent)]
    assert len(recent) >= 8
    ordered, mixed = history(), history()
    for scan in scans:
        assert ordered.offer(scan)[0] is None
    for scan in before:
        mixed.offer(scan)
    shuffle.shuffle(recent)  # type: ignore[attr-defined]
    for scan in recent:
        assert mixed.offer(scan)[0] is None
    assert everything(mixed) == everything(ordered)
    assert ordered.table.rows.confirmed.any()


def test_a_permanently_late_sensor_changes_nothing(world: SimpleNamespace) -> None:
    """Live: the south camera is 150 ms later than the rest, all the time."""
    scans = busy_scans(world, 3, 4.0)
    late = sorted(
        scans, key=lambda s: s.capture_ns + (150 * NS_PER_MS if s.sensor == "south" else 0)
    )
    assert late != scans
    ordered, mixed = history(), history()
    for scan in scans:
        ordered.offer(scan)
    for scan in late:
        assert mixed.offer(scan)[0] is None
    assert everything(mixed) == everything(ordered)


def test_in_order_scans_are_applied_at_once(world: SimpleNamespace) -> None:
    past = history()
    for scan in busy_scans(world, 1, 0.5):
        past.offer(scan)
        assert past.table.time_ns == scan.capture_ns


def test_what_is_later_than_the_buffer_is_refused_and_changes_nothing(
    world: SimpleNamespace,
) -> None:
    scans = busy_scans(world, 1, 2.0)
    held_back = scans[10]
    past = history()
    for scan in scans:
        if scan is not held_back:
            past.offer(scan)
    state = everything(past)
    assert past.offer(held_back)[0] == "too_late"
    assert everything(past) == state


def test_the_edge_of_the_buffer_still_counts(world: SimpleNamespace) -> None:
    def empty(sensor: str, ns: int) -> Scan:
        return scan_of(world.camera_message(sensor, ns, ns, []))

    past = history()
    past.offer(empty("north", 10**12))
    assert past.offer(empty("south", 10**12 - BUFFER_NS - 1))[0] == "too_late"
    assert past.offer(empty("south", 10**12 - BUFFER_NS))[0] is None


def test_a_message_delivered_twice_counts_once(world: SimpleNamespace) -> None:
    scans = busy_scans(world, 2, 0.6)
    once, twice = history(), history()
    for scan in scans:
        once.offer(scan)
        twice.offer(scan)
        assert twice.offer(scan)[0] == "duplicate"
    assert everything(twice) == everything(once)


def test_without_a_buffer_scans_of_one_moment_apply_as_they_arrive(world: SimpleNamespace) -> None:
    """Nothing gets in front of the newest births any more: they may be told at once."""
    past = History(Tracker(FusionOptions(confirm_probability=0.1)), 1, 0)
    moment = 10**12

    def look(sensor: str, x: float) -> Scan:
        seen = [(ObjectClass.CAR, x, 0.0, Cov2(0.04, 0.0, 0.04), 0.9)]
        return scan_of(world.camera_message(sensor, 1, moment, seen))

    assert past.offer(look("south", 1.0))[0] is None
    assert past.table.rows.born_ns.tolist() == [moment]
    assert moment < past.settled_ns
    assert past.offer(look("north", 51.0))[0] is None
    assert past.offer(look("south", 1.0))[0] == "duplicate"
    assert past.offer(look("north", 51.0))[0] == "duplicate"
    assert past.table.rows.state[:, 0].tolist() == [1.0, 51.0]  # ids in order of arrival


def test_memory_of_the_past_is_bounded(world: SimpleNamespace) -> None:
    past = history()
    for scan in busy_scans(world, 2, 4.0):
        past.offer(scan)
        assert all(step.scan.capture_ns >= past.table.time_ns - BUFFER_NS for step in past._steps)


def test_a_flood_within_the_buffer_settles_the_oldest(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rsu.fusion.history.LONGEST_HISTORY", 20)
    past = history()
    for number in range(100):
        past.offer(scan_of(world.camera_message("north", number, 10**12 + number * 1000, [])))
    assert len(past._steps) == 20
    assert past.offer(scan_of(world.camera_message("south", 0, 10**12 + 500, [])))[0] == "too_late"


def test_dropping_in_silence_closes_the_past(world: SimpleNamespace) -> None:
    past = history()
    scans = busy_scans(world, 2, 1.0)
    for scan in scans[:-1]:
        past.offer(scan)
    assert len(past.table.rows) > 0
    assert {reason for _, reason in past.expire(5_000 * NS_PER_MS).ended} == {"coast_expired"}
    assert len(past.table.rows) == 0
    straggler = scan_of(world.camera_message("west", 0, past.table.time_ns - 1, []))
    assert past.offer(straggler)[0] == "too_late"
    assert past.offer(scans[-1])[0] is None


def test_ids_go_on_after_a_restart(world: SimpleNamespace) -> None:
    past = history()
    for scan in busy_scans(world, 2, 1.0):
        past.offer(scan)
    used = past.table.next_id
    ended = past.restart().ended
    assert {reason for _, reason in ended} == {"clock_set_back"}
    assert past.table.next_id == used
    assert np.array_equal(past.table.rows.id, [])
