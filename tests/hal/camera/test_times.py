"""Where capture times come from: containers, arrivals, file names, tables, kernel stamps."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.hal.camera.arrival_time import MAX_BACKLOG, ArrivalTime
from rsu.hal.camera.base import utc_ns
from rsu.hal.camera.image_times import time_in_name, timed_images
from rsu.hal.camera.stream_time import StreamTime
from rsu.hal.camera.v4l2 import capture_time
from rsu.hal.errors import DeviceError
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant

MS = NS_PER_MS
UTC = 1_735_689_600 * NS_PER_S


def stream_times(rate_hz: float, *positions_ms: float) -> tuple[list[int], int]:
    clock = StreamTime(rate_hz)
    return [clock.next(position) // MS for position in positions_ms], clock.estimated


def test_good_container_times_are_kept_relative_to_the_first() -> None:
    assert stream_times(25.0, 500.0, 540.0, 600.0, 700.0) == ([0, 40, 100, 200], 0)


def test_a_container_without_times_is_timed_by_its_rate() -> None:
    assert stream_times(12.5, 0.0, 0.0, 0.0, 0.0) == ([0, 80, 160, 240], 3)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, math.nan, math.inf, 90_000.0])
def test_a_container_without_times_and_rate_is_taken_for_25_hz(rate_hz: float) -> None:
    assert stream_times(rate_hz, 0.0, 0.0, 0.0) == ([0, 40, 80], 2)


def test_time_goes_on_where_a_recording_starts_again_in_the_middle() -> None:
    assert stream_times(10.0, 0.0, 100.0, 0.0, 100.0, 200.0) == ([0, 100, 200, 300, 400], 1)


def test_a_jump_of_hours_and_a_broken_number_are_not_believed() -> None:
    assert stream_times(10.0, 0.0, 100.0, 9e9, 9e9 + 100) == ([0, 100, 200, 300], 1)
    assert stream_times(10.0, 0.0, math.nan, 100.0) == ([0, 100, 200], 2)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(width=64), min_size=1, max_size=50), st.floats(width=64))
def test_stream_time_always_grows(positions: list[float], rate_hz: float) -> None:
    clock = StreamTime(rate_hz)
    times = [clock.next(position) for position in positions]
    assert times[0] == 0
    assert all(after > before for before, after in itertools.pairwise(times))


def arrivals(*frames: tuple[float, float]) -> list[int | None]:
    """(arrival ms, timestamp ms) → capture time in ms on the arrival scale."""
    clock = ArrivalTime()
    found = []
    for arrived_ms, stamp_ms in frames:
        capture = clock.capture_ns(
            Instant(UTC + round(arrived_ms * MS), round(arrived_ms * MS)), stamp_ms
        )
        found.append(None if capture is None else round((capture - UTC) / MS))
    return found


def test_frames_that_waited_while_the_stream_opened_are_not_believed() -> None:
    backlog = [(1000.0 + index, 40.0 * max(0, index - 1)) for index in range(10)]
    fresh = [(1040.0, 360.0), (1080.0, 400.0)]
    assert arrivals(*backlog, *fresh) == [None] * 10 + [1040, 1080]


def test_a_burst_after_a_stall_keeps_its_true_times() -> None:
    steady = [(100.0 + 40 * index, 40.0 * index) for index in range(10)]
    burst = [(900.0, 40.0 * index) for index in range(10, 20)]  # held back, delivered at once
    found = arrivals(*steady, *burst)
    assert found[0] is None
    assert found[1:] == [100 + 40 * index for index in range(1, 20)]


def test_jitter_is_taken_out_once_the_fastest_frame_was_seen() -> None:
    delays = [5.0, 0.0, 12.0, 3.0, 9.0, 1.0]
    found = arrivals(*((40 * index + delay, 40.0 * index) for index, delay in enumerate(delays)))
    assert found[1:] == [40, 80, 120, 160, 200]


def test_a_stream_without_timestamps_is_timed_by_arrival() -> None:
    assert arrivals((0.0, 0.0), (40.0, 0.0), (81.0, 0.0)) == [None, 40, 81]


def test_a_flood_of_old_frames_is_believed_in_the_end() -> None:
    flood = [(float(index), 40.0 * index) for index in range(MAX_BACKLOG + 2)]
    found = arrivals(*flood)
    assert found.count(None) == MAX_BACKLOG
    assert found[-1] is not None


def test_a_clock_that_runs_slow_by_100_ppm_is_followed() -> None:
    hour = [(40.004 * index, 40.0 * index) for index in range(90_000)]
    found = arrivals(*hour)
    assert abs(float(found[-1] or 0) - hour[-1][0]) <= 1.0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 500), st.floats(width=64)), min_size=1, max_size=60))
def test_no_frame_is_taken_after_it_arrived(frames: list[tuple[float, float]]) -> None:
    clock = ArrivalTime()
    arrived = 0
    for gap_ms, stamp_ms in frames:
        arrived += round(gap_ms * MS)
        capture = clock.capture_ns(Instant(UTC + arrived, arrived), stamp_ms)
        assert capture is None or capture <= UTC + arrived


def test_a_kernel_stamp_is_brought_to_utc_and_a_foreign_one_is_not_used() -> None:
    now = Instant(UTC, 5000 * MS)
    assert capture_time(now, 4970.0) == UTC - 30 * MS
    assert capture_time(now, 5001.0) == UTC
    assert capture_time(now, 1000.0) == UTC
    assert capture_time(now, 0.0) == UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2025-01-01T00:00:00Z", UTC),
        ("2025-01-01T00:00:00.5Z", UTC + 500 * MS),
        ("2025-01-01T00:00:00.000000001Z", UTC + 1),
    ],
)
def test_start_times_are_read_to_the_nanosecond(text: str, expected: int) -> None:
    assert utc_ns(text) == expected


def test_a_start_time_that_is_no_date_is_a_device_error() -> None:
    with pytest.raises(DeviceError, match="2025-13-01"):
        utc_ns("2025-13-01T00:00:00Z")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1735689600123.png", 1_735_689_600_123_000_000),
        ("cam-1735689600123456.png", 1_735_689_600_123_456_000),
        ("1735689600123456789_left.png", 1_735_689_600_123_456_789),
        ("1735689600_044719684_s110_camera_8mm.jpg", 1_735_689_600_044_719_684),
        ("1735689600.250.jpg", 1_735_689_600_250_000_000),
        ("frame-000123.png", None),
        ("20250101120000.png", None),
        ("x.png", None),
    ],
)
def test_times_in_file_names(name: str, expected: int | None) -> None:
    assert time_in_name(name) == expected


def table(folder: Path, text: str) -> list[tuple[int, str]]:
    (folder / "timestamps.csv").write_text(text, encoding="utf-8")
    return [(time_ns, path.name) for time_ns, path in timed_images(folder, UTC, None)]


def test_the_table_wins_over_names_and_sorts_by_time(tmp_path: Path) -> None:
    (tmp_path / "1735689600123.png").touch()
    assert table(tmp_path, "name,utc_ns\nb.png,20\na.png,10\n") == [(10, "a.png"), (20, "b.png")]


def test_seconds_are_relative_or_unix_time(tmp_path: Path) -> None:
    relative = table(tmp_path, "name,seconds\r\na.png,0.1\r\n")
    absolute = table(tmp_path, "name,seconds\na.png,1735689600.1\n")
    assert relative == absolute == [(UTC + 100 * MS, "a.png")]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", ":1"),
        ("file,time\n", ":1"),
        ("name,utc_ns\na.png\n", ":2"),
        ("name,utc_ns\na.png,1\nb.png,1.5\n", ":3"),
        ("name,seconds\na.png,NaN\n", ":2"),
        ("name,seconds\na.png,1e999999999\n", ":2"),
        ("name,utc_ns\na.png,99999999999999999999\n", ":2"),
        ("name,utc_ns\n../a.png,1\n", ":2"),
        ("name,utc_ns\na.png,-1\n", ":2"),
    ],
)
def test_a_wrong_table_is_an_error_with_its_line(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(DeviceError) as caught:
        table(tmp_path, text)
    assert f"timestamps.csv{where}" in caught.value.problem


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=200))
def test_any_octets_in_the_table_are_read_or_refused(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("images")
    (folder / "timestamps.csv").write_bytes(b"name,seconds\n" + data)
    try:
        images = timed_images(folder, UTC, None)
    except DeviceError as error:
        assert error.next_step  # noqa: PT017  either outcome is right
    else:
        assert all(0 <= image.time_ns < 2**63 for image in images)


def test_a_rate_times_images_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "c.txt"):
        (tmp_path / name).touch()
    images = timed_images(tmp_path, UTC, 4.0)
    assert [(i.time_ns - UTC, i.path.name) for i in images] == [(0, "a.png"), (250 * MS, "b.png")]


def test_images_without_any_time_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "1735689600123.png").touch()
    (tmp_path / "odd.png").touch()
    with pytest.raises(DeviceError, match=r"odd\.png"):
        timed_images(tmp_path, UTC, None)
