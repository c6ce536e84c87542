"""The live recorder: rotation without gaps, the quota, and a disk that refuses."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rsu.config.running import RecordingOptions
from rsu.recording import sink
from rsu.recording.info import info
from rsu.recording.reader import Recording, read_messages
from rsu.recording.recorder import Recorder, RecorderState
from rsu.recording.recover import recover, recovered_path
from rsu.recording.retention import enforce_quota, file_name
from rsu.schema.journal import Journal, Step, StepKind
from rsu.schema.message import Message
from rsu.schema.topics import CAMERA_FRAME, JOURNAL
from rsu.schema.units import Instant

NS = 10**9
START_NS = 1_735_689_600 * NS  # 2025-01-01T00:00:00Z


class Clock:
    """Both clocks, moved by the test."""

    def __init__(self) -> None:
        self.utc_ns, self.mono_ns = START_NS, 5 * NS

    def __call__(self) -> Instant:
        return Instant(self.utc_ns, self.mono_ns)

    def advance(self, seconds: float) -> None:
        self.utc_ns += int(seconds * NS)
        self.mono_ns += int(seconds * NS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock, metadata: dict[str, str]) -> Callable[..., Recorder]:
    def build(**options: object) -> Recorder:
        return Recorder(
            RecordingOptions(folder=Path("rec"), **options),  # type: ignore[arg-type]
            tmp_path, metadata, clock=clock, sync=False,
        )  # fmt: skip

    return build


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.mcap"))


def test_rotation_by_time_loses_nothing_and_names_the_file_before(
    make, clock: Clock, tmp_path: Path, frame, assert_same
) -> None:
    recorder = make(split_s=2.0)
    written = [frame(seq) for seq in range(55)]
    for message in written:
        recorder.write(message)
        clock.advance(0.1)
    recorder.close()
    assert names(tmp_path / "rec") == [
        "demo-20250101T000000Z-0000.mcap",
        "demo-20250101T000002Z-0001.mcap",
        "demo-20250101T000004Z-0002.mcap",
    ]
    assert_same(read_messages(tmp_path / "rec"), written)
    found = info(tmp_path / "rec")
    assert [f.part for f in found.files] == [0, 1, 2]
    assert [f.previous for f in found.files] == ["", *names(tmp_path / "rec")[:2]]
    assert found.exact
    assert found.lost == 0


def test_each_file_is_readable_alone(make, clock: Clock, tmp_path: Path, frame) -> None:
    recorder = make(split_s=1.0)
    for seq in range(30):
        recorder.write(frame(seq))
        clock.advance(0.1)
    recorder.close()
    for path in (tmp_path / "rec").glob("*.mcap"):
        assert len(list(read_messages(path))) == 10
    alone = info(tmp_path / "rec" / names(tmp_path / "rec")[1])
    assert alone.metadata["site"] == "demo"
    assert alone.files[0].previous_missing


def test_rotation_by_size(make, tmp_path: Path, track_list, assert_same) -> None:
    recorder = make(split_bytes=100_000)
    written = [track_list(seq) for seq in range(900)]
    for message in written:
        recorder.write(message)
    recorder.close()
    sizes = [path.stat().st_size for path in (tmp_path / "rec").glob("*.mcap")]
    assert len(sizes) >= 3
    # A file ends with the chunk that passes the limit, its indexes and its schemas.
    assert max(sizes) < 150_000
    assert_same(read_messages(tmp_path / "rec"), written)


def test_a_later_file_tells_how_the_groups_had_started(make, clock: Clock, tmp_path: Path) -> None:
    recorder = make(split_s=1.0)
    first = Step(StepKind.START, Instant(11, 12))
    tick = Step(StepKind.TICK, Instant(13, 14))
    for seq, steps in enumerate([(first, tick), (tick,), (tick, tick)]):
        journal = Journal(group="core", boot_ns=11, first=[0, 2, 3][seq], steps=steps)
        recorder.write(Message.draft(JOURNAL, "core", 1, journal).stamped(11, seq, START_NS + seq))
        clock.advance(0.8)
    recorder.close()
    second = Recording(tmp_path / "rec" / names(tmp_path / "rec")[1])
    fields = second.files[0].metadata_named("rsu.journal")
    assert fields is not None
    assert fields["core"] == '{"boot_ns":11,"start_utc_ns":11,"start_mono_ns":12,"next_step":3}'
    assert info(second.files[0].path).groups == ("core",)


def test_lost_messages_are_counted_also_across_files(
    make, clock: Clock, tmp_path: Path, frame
) -> None:
    recorder = make(split_s=1.0)
    sent = [0, 1, 2, 5, 6, 12, 13, 13]  # 3 4 lost; 7 … 11 lost across the rotation; 13 twice
    for seq in sent:
        recorder.write(frame(seq))
        clock.advance(0.21)
    recorder.close()
    stats = recorder.stats()
    assert (stats.files, stats.lost, stats.written) == (2, 7, 8)
    found = info(tmp_path / "rec")
    assert found.lost == 7
    assert found.streams[0].repeated == 1
    assert not found.exact
    ends = [f.metadata_named("rsu.end") for f in Recording(tmp_path / "rec").files]
    assert [end["lost"] for end in ends if end] == ["2", "5"]


def test_a_second_run_never_touches_the_files_of_the_first(
    make, tmp_path: Path, frame, assert_same
) -> None:
    for boot in (0, 1):
        recorder = make()
        recorder.write(frame(0, boot_ns=START_NS + boot))
        recorder.close()
    assert names(tmp_path / "rec") == [
        "demo-20250101T000000Z-0000.mcap",
        "demo-20250101T000000Z-0001.mcap",
    ]
    assert len(list(read_messages(tmp_path / "rec"))) == 2


def test_the_chunk_goes_to_disk_within_a_second_even_when_nothing_follows(
    make, clock: Clock, tmp_path: Path, frame
) -> None:
    recorder = make()
    recorder.write(frame(0))
    path = tmp_path / "rec" / names(tmp_path / "rec")[0]
    assert not Recording(path).files[0].scan.chunks
    clock.advance(1.0)
    recorder.poll()
    assert len(list(read_messages(path, allow_unfinished=True))) == 1
    recorder.close()


def test_the_quota_deletes_the_oldest_of_ours_only(
    make, clock: Clock, tmp_path: Path, track_list
) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    strangers = ["other-20200101T000000Z-0000.mcap", "demo-notes.txt", "demo-cut.mcap"]
    strangers.append("demo-20200101T000000Z-0000.recovered.mcap")
    for name in strangers:
        (folder / name).write_bytes(bytes(2_000_000))
    old = folder / "demo-20200101T000000Z-0007.mcap"
    old.write_bytes(bytes(200_000))
    recorder = make(split_bytes=100_000, keep_bytes=1_000_000, retention_h=87_600.0)
    largest = 0
    for seq in range(4_000):
        recorder.write(track_list(seq))
        if seq % 50 == 0:
            ours = [p for p in folder.glob("demo-2*Z-????.mcap") if p.name not in strangers]
            largest = max(largest, sum(p.stat().st_size for p in ours))
    recorder.close()
    assert all((folder / name).exists() for name in strangers)
    assert not old.exists()
    stats = recorder.stats()
    assert stats.deleted > 1
    assert stats.files - (stats.deleted - 1) == len(list(folder.glob("demo-2025*.mcap")))
    # One file's indexes may come on top while it is being closed.
    assert largest <= 1_050_000
    # What is left is the newest, without a hole.
    kept = [m.header.seq for m in read_messages(sorted(folder.glob("demo-2025*.mcap")))]
    assert kept == list(range(kept[0], 4_000))


def test_the_quota_knows_this_runs_files_when_the_clock_was_stepped_back(tmp_path: Path) -> None:
    before, after = file_name("s", START_NS, 0), file_name("s", START_NS - 3_600 * NS, 1)
    for name in (before, after):
        (tmp_path / name).write_bytes(bytes(600))
    done = enforce_quota(tmp_path, "s", 1_000, newest=[before, after])
    assert [path.name for path in done.deleted] == [before]


def test_what_is_older_than_the_limit_goes_and_is_counted_apart(
    make, clock: Clock, tmp_path: Path, track_list
) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    old = folder / file_name("demo", START_NS - 3 * 3600 * NS, 0)
    young = folder / file_name("demo", START_NS - 3600 * NS, 0)
    mine = folder / "demo-20200101T000000Z-0000.recovered.mcap"
    for path in (old, young, mine):
        path.write_bytes(bytes(100))
    recorder = make(retention_h=2.0, split_s=60.0)
    for seq in range(3):
        recorder.write(track_list(seq))
        clock.advance(61)
        recorder.poll()
    assert not old.exists()
    assert young.exists()
    assert mine.exists()
    clock.advance(2 * 3600)
    recorder.write(track_list(3))
    recorder.close()
    stats = recorder.stats()
    assert not young.exists()
    assert (stats.expired, stats.deleted) == (5, 0)
    assert len(list(folder.glob("demo-2025*.mcap"))) == 1


def test_a_clock_that_jumps_ahead_does_not_clear_this_run(
    make, clock: Clock, tmp_path: Path, track_list
) -> None:
    recorder = make(retention_h=2.0, split_s=60.0)
    for seq in range(3):
        recorder.write(track_list(seq))
        clock.advance(61)
        recorder.poll()
    clock.utc_ns += 10 * 365 * 86_400 * NS
    recorder.write(track_list(3))
    recorder.close()
    assert recorder.stats().expired == 0
    assert len(list((tmp_path / "rec").glob("demo-*.mcap"))) == 4


def test_unkeepable_messages_are_counted_by_reason(make, frame) -> None:
    recorder = make()
    recorder.write(Message.draft(CAMERA_FRAME, "c", 1, None).stamped(1, 1, 1))
    recorder.write(frame(0).stamped(1, -1, 1))
    recorder.write(frame(0))
    recorder.close()
    recorder.write(frame(1))
    recorder.close()
    stats = recorder.stats()
    assert stats.dropped == {"not_recorded": 1, "not_stamped": 1, "closed": 1}
    assert stats.received == 4
    assert stats.written == 1
    assert stats.state is RecorderState.CLOSED


def test_a_folder_that_cannot_be_made_is_a_state_not_an_exception(
    make, tmp_path: Path, frame
) -> None:
    (tmp_path / "rec").write_text("a file is in the way")
    recorder = make()
    recorder.write(frame(0))
    recorder.write(frame(1))
    recorder.poll()
    stats = recorder.stats()
    assert stats.state is RecorderState.REFUSED
    assert "rec" in stats.detail
    assert sum(stats.dropped.values()) == stats.received == 2
    recorder.close()


def test_a_full_disk_costs_only_what_did_not_fit_and_recording_goes_on_afterwards(
    make, clock: Clock, tmp_path: Path, frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False
    real = os.write

    def write(fd: int, data: memoryview) -> int:
        if full:
            real(fd, data[: len(data) // 2])  # as a disk does: a part still fits
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(sink.os, "write", write)
    recorder = make()
    for seq in range(300):
        full = 95 <= seq < 195
        recorder.write(frame(seq))
        clock.advance(0.1)
        if seq == 150:
            during = recorder.stats()
            assert during.state is RecorderState.REFUSED
            assert "No space left" in during.detail
    recorder.close()
    stats = recorder.stats()
    assert set(stats.dropped) == {"disk_full"}
    assert stats.received == 300 == stats.written + stats.dropped["disk_full"]
    assert stats.lost == 0  # everything reached the recorder
    found: list[int] = []
    for file in Recording(tmp_path / "rec").files:
        found += [m.header.seq for m in read_messages(file.path, allow_unfinished=True)]
    assert len(found) == stats.written
    assert found[0] == 0
    assert found[-1] == 299
    dropped = sorted(set(range(300)) - set(found))
    # At most a second before the disk filled up, and the retry pause after it was free again.
    assert dropped[0] >= 85
    assert dropped[-1] < 195 + 50
    summary = info(tmp_path / "rec")
    assert not summary.exact
    assert summary.lost == len(dropped)


def test_a_disk_that_fills_up_while_the_file_is_closed_keeps_the_messages(
    make, clock: Clock, tmp_path: Path, frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = make()
    for seq in range(10):
        recorder.write(frame(seq))
    recorder.flush()

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sink.os, "write", refuse)
    recorder.close()
    monkeypatch.undo()
    assert len(list(read_messages(tmp_path / "rec", allow_unfinished=True))) == 10
    assert recorder.stats().dropped == {}
    assert "No space left" in recorder.stats().detail


CHILD = """
import sys
from pathlib import Path
from rsu.config.running import RecordingOptions
from rsu.recording.recorder import Recorder
from rsu.schema.message import Message
from rsu.schema.topics import TRACKS
from rsu.schema.tracks import TrackList

recorder = Recorder(RecordingOptions(folder=Path("rec")), Path(sys.argv[1]), {"site": "demo"})
for seq in range(int(sys.argv[2])):
    now = 1_735_689_600_000_000_000 + seq * 10_000_000
    payload = TrackList(time_ns=now, tracks=())
    recorder.write(Message.draft(TRACKS, "fusion", now, payload).stamped(1, seq, now))
    if seq % 50 == 49:
        recorder.flush()
        print(seq, flush=True)
recorder.close()
print(recorder.stats().state, dict(recorder.stats().dropped), flush=True)
"""


def test_killed_hard_everything_flushed_is_there(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), "100000000"], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        flushed = 0
        try:
            while flushed < 1_999:
                line = child.stdout.readline()
                assert line, "the recording process ended early"
                flushed = int(line)
        finally:
            os.kill(child.pid, signal.SIGKILL)
        later = [int(line) for line in child.stdout.read().split()]
    flushed = max([flushed, *later])
    (path,) = (tmp_path / "rec").glob("*.mcap")
    report = recover(path)
    assert report.damaged_chunks == 0
    found = [m.header.seq for m in read_messages(recovered_path(path))]
    assert found == list(range(len(found)))
    assert len(found) > flushed
    assert info(recovered_path(path)).lost == 0


def test_a_real_limit_on_the_file_is_survived(tmp_path: Path) -> None:
    # RLIMIT_FSIZE makes write(2) fail half way with EFBIG, as a full disk does with ENOSPC.
    limit = 60_000

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), "20000"],
        preexec_fn=limited, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    assert child.stderr == ""
    assert "disk_full" in child.stdout.splitlines()[-1]
    files = list((tmp_path / "rec").glob("*.mcap"))
    assert files
    for path in files:
        assert 0 < path.stat().st_size <= limit
        found = [m.header.seq for m in read_messages(path, allow_unfinished=True)]
        assert found
        assert found == list(range(found[0], found[0] + len(found)))
