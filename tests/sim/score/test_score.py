"""A whole recording: every number is there, events are matched, the page holds itself together."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rsu.cli.main import run_command
from rsu.config.model import SiteConfig
from rsu.recording.info import site_of
from rsu.recording.writer import McapFile
from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.message import Message
from rsu.schema.reports import Truth, TruthEvent, TruthLight
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import ROAD_EVENT, SIGNAL_STATE, TRUTH
from rsu.schema.units import NS_PER_S, Vec2
from rsu.sim.errors import SimulationError
from rsu.sim.score import score_recording

START_NS = 1_750_000_000 * NS_PER_S


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("score") / "run.mcap"
    assert run_command(["sim", "--duration", "8", "--cameras", "modelled", "--out", str(out)]) == 0
    return out


def test_a_simulated_run_scores_as_it_should(run: Path, junction: SiteConfig) -> None:
    numbers = score_recording(run, junction).to_json()
    assert numbers["near.vehicles_60m.recall"] > 0.8
    assert numbers["near.vru_40m.recall"] > 0.8
    assert 0.0 < numbers["position_m.mean"] < 1.0
    assert numbers["signals.accuracy"] > 0.99
    assert numbers["message.RSM.rate_hz"] >= 9
    assert 40 < numbers["age_ms.RSM.p50"] < 80
    assert numbers["message.SPAT.accuracy"] > 0.99
    for sensor in ("north-east", "south-west", "west"):
        assert numbers[f"sensor.{sensor}.precision"] > 0.9
        assert 0.3 < numbers[f"sensor.{sensor}.recall"] <= 1.0
    assert numbers["age_ms.RSM.p50"] <= numbers["evidence_age_ms.RSM.p50"]
    assert {"mota", "idf1", "hota", "gospa_m.mean", "nees.mean"} <= set(numbers)


def test_the_recording_brings_its_site(run: Path, rendered_junction: SiteConfig) -> None:
    found = site_of(run)
    assert found is not None
    assert found.cameras == rendered_junction.cameras


class _Tags(HTMLParser):
    """Every opening tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_is_whole_and_fetches_nothing(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert run_command(["score", str(run), "--html", str(out), "--json"]) == 0
    tags = _Tags()
    text = out.read_text(encoding="utf-8")
    tags.feed(text)
    assert text.count("<svg") == text.count("</svg>")
    assert sum(tag == "svg" for tag, _ in tags.seen) >= 6
    assert not any(tag in {"script", "link", "img", "iframe"} for tag, _ in tags.seen)
    assert not any({"src", "href", "onload"} & set(attrs) for _, attrs in tags.seen)


def test_the_command_prints_numbers(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["score", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mota"] > 0.5
    assert run_command(["score", str(run)]) == 0
    assert "HOTA" in capsys.readouterr().out
    assert run_command(["score", "nowhere.mcap"]) == 2


def record(path: Path, messages: list[tuple[int, Any, Any]]) -> Path:
    """Messages of (ms, topic, payload)."""
    with McapFile(path, {}, overwrite=True) as file:
        for number, (ms, topic, payload) in enumerate(messages):
            at = START_NS + ms * 1_000_000
            file.write(Message.draft(topic, "test", at, payload).stamped(START_NS, number, at))
    return path


def test_a_recording_without_truth_is_refused(tmp_path: Path) -> None:
    state = SignalState(controller="c", intersection=1, capture_ns=START_NS, groups=())
    path = record(tmp_path / "r.mcap", [(0, SIGNAL_STATE, state)])
    with pytest.raises(SimulationError, match="no truth"):
        score_recording(path)
    assert run_command(["score", str(path)]) == 2


def test_events_are_matched_by_kind_time_and_place(tmp_path: Path) -> None:
    def true(number: int, kind: str, x: float) -> TruthEvent:
        return TruthEvent(
            id=number, kind=kind, start_ns=START_NS + NS_PER_S, position=Vec2(x, 0.0),
            lanes=(f"lane-{number}",),
        )  # fmt: skip

    def told(number: int, kind: str, x: float) -> RoadEvent:
        return RoadEvent(
            id=number, kind=kind, phase=EventPhase.ONSET, code=None, position=Vec2(x, 0.0),
            radius=5.0, confidence=0.9, start_ns=START_NS, time_ns=START_NS,
        )  # fmt: skip

    truths = [
        (
            ms, TRUTH,
            Truth(
                time_ns=START_NS + ms * 1_000_000, objects=(),
                events=(
                    (true(1, "stopped-vehicle", 0.0), true(2, "stopped-vehicle", 300.0))
                    if 1000 <= ms <= 5000 else ()
                ),
            ),
        )
        for ms in range(0, 8000, 100)
    ]  # fmt: skip
    reports = [
        (2500, ROAD_EVENT, told(10, "stopped-vehicle", 4.0)),
        (2600, ROAD_EVENT, told(11, "wrong-way", 4.0)),
        (500, ROAD_EVENT, told(12, "obstacle", 4.0)),
    ]
    path = record(tmp_path / "r.mcap", sorted([*truths, *reports], key=lambda one: one[0]))
    numbers = score_recording(path).to_json()
    assert numbers["event.stopped-vehicle.recall"] == 0.5
    assert numbers["event.stopped-vehicle.precision"] == 1.0
    assert numbers["event.stopped-vehicle.delay_s"] == pytest.approx(1.5)
    assert numbers["event.wrong-way.precision"] == numbers["event.obstacle.precision"] == 0.0


def test_lights_are_right_where_they_show_the_same_colour(tmp_path: Path) -> None:
    def truth(ms: int, light: LightState) -> tuple[int, Any, Any]:
        moment = START_NS + ms * 1_000_000
        lights = (TruthLight(group=1, light=light),)
        return ms, TRUTH, Truth(time_ns=moment, objects=(), lights=lights)

    def said(ms: int, light: LightState) -> tuple[int, Any, Any]:
        state = SignalState(
            controller="c", intersection=1, capture_ns=START_NS + ms * 1_000_000,
            groups=(SignalGroup(group=1, light=light),),
        )  # fmt: skip
        return ms, SIGNAL_STATE, state

    path = record(
        tmp_path / "r.mcap",
        [
            # The same light before and after decides: right (greens are one colour), wrong …
            truth(0, LightState.PROTECTED_GREEN), said(10, LightState.PERMISSIVE_GREEN),
            truth(100, LightState.PROTECTED_GREEN), said(110, LightState.RED),
            truth(200, LightState.PROTECTED_GREEN), truth(300, LightState.PROTECTED_GREEN),
            # … left out: just before and just after a change nobody is wrong; told to be unknown …
            truth(900, LightState.PROTECTED_GREEN), said(950, LightState.YELLOW),
            truth(1000, LightState.YELLOW), said(1010, LightState.PERMISSIVE_GREEN),
            said(1400, LightState.UNAVAILABLE),
            # … right.
            truth(1500, LightState.YELLOW), said(1510, LightState.YELLOW),
        ],
    )  # fmt: skip
    assert score_recording(path).to_json()["signals.accuracy"] == pytest.approx(2 / 3)
