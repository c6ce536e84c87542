"""`rsu score` as a person and a script use it, on small recordings made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rsu.cli.main import run_command
from rsu.recording.writer import McapFile
from rsu.schema.message import Message
from rsu.schema.reports import Truth, TruthObject
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import TRACKS, TRUTH
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_MS, NS_PER_S, Size, Vec2
from rsu.sim.score.tracking import CLASSES, STANDING

START_NS = 1_750_000_000 * NS_PER_S
CAR = Size(4.5, 1.8, 1.5)
OVERALL = {
    "recall", "precision", "mota", "misses", "false_tracks", "id_switches", "fragmentations",
    "idf1", "idp", "idr", "hota", "hota.deta", "hota.assa", "gospa_m.mean", "gospa_m.localisation",
    "gospa_m.missed", "gospa_m.false", "position_m.mean", "position_m.p95", "speed_mps.mean",
    "speed_mps.p95", "heading_deg.mean", "heading_deg.p95", "nees.mean", "nees.inside_95",
    "nees.band_low", "nees.band_high", "class_accuracy", "objects",
}  # fmt: skip


def track(x: float) -> Track:
    diagonal = {0: 0.25, 5: 0.25, 9: 0.01, 12: 0.25, 14: 0.01}
    return Track(
        id=7, object_class=ObjectClass.CAR, class_probability=0.9, position=Vec2(x, 0.0),
        heading=0.0, speed=10.0, turn_rate=0.0,
        covariance=tuple(diagonal.get(i, 0.0) for i in range(15)),  # type: ignore[arg-type]
        size=CAR, existence=0.99, status=TrackStatus.CONFIRMED, sources=("c",), born_ns=START_NS,
        updated_ns=START_NS,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """One car at 10 m/s for a second; its track is 0.1 s old each time and right."""
    path = tmp_path / "run.mcap"
    with McapFile(path, {}) as file:

        def write(topic: Any, number: int, capture: int, publish: int, payload: Any) -> None:
            draft = Message.draft(topic, "test", START_NS + capture * NS_PER_MS, payload)
            file.write(draft.stamped(START_NS, number, START_NS + publish * NS_PER_MS))

        for number, ms in enumerate(range(0, 1000, 100)):
            at = START_NS + ms * NS_PER_MS
            body = TruthObject(
                id=1, object_class=ObjectClass.CAR, position=Vec2(ms * 0.01, 0.0), heading=0.0,
                speed=10.0, size=CAR,
            )  # fmt: skip
            write(TRUTH, number, ms, ms, Truth(time_ns=at, objects=(body,)))
            write(TRACKS, number, ms, ms + 60, TrackList(time_ns=at, tracks=(track(ms * 0.01),)))
    return path


def numbers(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run_command(["score", str(path), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_tracks_are_carried_to_the_truth(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers(run, capsys)
    # The first truth comes before any track; nine follow, each a metre ahead of the list's state.
    assert found["recall"] == pytest.approx(0.9)
    assert found["position_m.mean"] == pytest.approx(0.0, abs=1e-6)
    assert found["age_ms.tracks.p50"] == pytest.approx(60.0)


def test_names_are_stable_and_nothing_is_null(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = numbers(run, capsys)
    for group in STANDING:
        prefix = "" if group == "all" else f"{group}."
        assert {f"{prefix}{name}" for name in OVERALL} <= set(found), group
    for name in ("class.bus.recall", "range.080-120m.hota", "bays.accuracy", "events.recall",
                 "signals.accuracy"):  # fmt: skip
        assert name in found
        assert found[name] is None


def test_classes_that_were_not_there_show_a_dash(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["score", str(run)]) == 0
    told = capsys.readouterr()
    assert "no usable site in the recording" in told.err
    for kind in CLASSES:
        rows = [line.split() for line in told.out.splitlines() if line.split()[:1] == [kind]]
        assert len(rows) == 2, kind
        if kind is not ObjectClass.CAR:
            assert rows[0][1:4] == ["0", "–", "–"]


def test_a_site_file_may_be_named(
    run: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = root / "configs" / "junction.yaml"
    assert run_command(["score", str(run), "--site", str(site), "--json"]) == 0
    assert (
        "in view of north-east, south-west, west" in json.loads(capsys.readouterr().out)["counted"]
    )


def test_a_damaged_recording_is_scored_as_far_as_it_is_whole(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run.read_bytes()
    with run.open("r+b") as file:  # spoil the end: the summary and what closes the file
        file.truncate(len(whole) - 200)
    assert run_command(["score", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["moments"] == 10


def test_mistakes_are_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["score", str(run), "--html", str(tmp_path / "no" / "page.html")]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert run_command(["score", str(tmp_path / "none.mcap")]) == 2
    assert "does not exist" in capsys.readouterr().err
    empty = tmp_path / "empty.mcap"
    with McapFile(empty, {}):
        pass
    assert run_command(["score", str(empty)]) == 2
    assert "holds no truth" in capsys.readouterr().err
    empty.write_bytes(b"no recording")
    assert run_command(["score", str(empty)]) == 2
