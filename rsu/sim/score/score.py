"""The score of a recording: every number by its dotted name, and what the report draws.

One pass over the recording in publishing order. The newest track list before a truth is what the
unit knew then; detections are compared with the truth nearest to their capture.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from rsu.config.model import SiteConfig
from rsu.schema.message import Message
from rsu.schema.reports import Truth, TruthEvent
from rsu.schema.sensing import CameraDetections
from rsu.schema.situation import BayStatus, EventPhase, LightState, ParkingState, SignalState
from rsu.schema.topics import (
    CAMERA_DETECTIONS,
    PARKING,
    ROAD_EVENT,
    SIGNAL_STATE,
    TRACKS,
    TRUTH,
    V2X_TX,
)
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.score.moments import Coverage, moment_of, scene_of
from rsu.sim.score.tracking import GATE_M, Tracking

EVENT_LATE_S, EVENT_NEAR_M = 30.0, 40.0
"""A report after this, or this far away, is of something else (congestion needs the time)."""
KEPT_TRUTHS = 30
"""Truths kept for detections that arrive later: three seconds at 10 Hz."""
FLICKER_NS = 150_000_000
"""Around a change of light nobody is wrong: one period of the truth and one of a controller."""


@dataclass(eq=False)
class Score:
    """What was found. `numbers` by dotted name; the rest is for the report."""

    title: str
    seconds: float
    numbers: dict[str, float]
    gospa: list[tuple[float, float]]
    truth_paths: dict[int, list[tuple[float, float]]]
    track_paths: dict[int, list[tuple[float, float]]]
    position_errors: list[float]
    ages_ms: dict[str, list[float]]
    events: list[tuple[str, float, float, float | None]]
    """Kind, from, until (s), and the delay of its report (None: not reported)."""

    def to_json(self) -> dict[str, Any]:
        """Numbers by dotted name, with the length of the recording."""
        return {"seconds": round(self.seconds, 3)} | {
            name: round(value, 6) for name, value in self.numbers.items()
        }


@dataclass
class _TruthEvent:
    event: TruthEvent
    last_ns: int


@dataclass
class _Collector:
    coverage: Coverage
    tracking: Tracking = field(default_factory=Tracking)
    tracks: TrackList | None = None
    truths: deque[Truth] = field(default_factory=lambda: deque(maxlen=KEPT_TRUTHS))
    first_ns: int | None = None
    last_ns: int = 0
    detected: dict[str, Counter[str]] = field(default_factory=dict)
    lights: Counter[bool] = field(default_factory=Counter)
    bays: Counter[bool] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    ages: dict[str, list[float]] = field(default_factory=dict)
    true_events: dict[int, _TruthEvent] = field(default_factory=dict)
    told: dict[int, tuple[int, Any]] = field(default_factory=dict)
    changed_ns: dict[int, int] = field(default_factory=dict)
    truth_paths: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    track_paths: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        payload, publish_ns = message.payload, message.header.publish_ns
        self.last_ns = max(self.last_ns, publish_ns)
        if self.first_ns is None:
            self.first_ns = publish_ns
        if message.topic == TRUTH:
            self._truth(payload)
        elif message.topic == TRACKS:
            self.tracks = payload
            self._age("tracks", publish_ns - payload.time_ns)
        elif message.topic == CAMERA_DETECTIONS:
            self._detections(payload)
        elif message.topic == SIGNAL_STATE:
            self._signals(payload)
        elif message.topic == PARKING:
            self._parking(payload)
        elif message.topic == V2X_TX:
            self.said[payload.name] += 1
            self._age(payload.name, publish_ns - payload.time_ns)
        elif message.topic == ROAD_EVENT and payload.phase is not EventPhase.END:
            self.told.setdefault(payload.id, (publish_ns, payload))

    def _truth(self, truth: Truth) -> None:
        before = {one.group: one.light for one in self.truths[-1].lights} if self.truths else {}
        for one in truth.lights:
            if before.get(one.group, one.light) is not one.light:
                self.changed_ns[one.group] = truth.time_ns
        self.truths.append(truth)
        for event in truth.events:
            known = self.true_events.setdefault(event.id, _TruthEvent(event, truth.time_ns))
            known.last_ns = truth.time_ns
        moment = moment_of(truth, self.tracks, self.coverage)
        self.tracking.take(moment)
        for paths, ids, places in (
            (self.truth_paths, moment.truth_ids, moment.truth_xy),
            (self.track_paths, moment.track_ids, moment.track_xy),
        ):
            for number, (x, y) in zip(ids, places.tolist(), strict=True):
                paths.setdefault(number, []).append((x, y))

    def _detections(self, seen: CameraDetections) -> None:
        camera = self.coverage.cameras.get(seen.sensor)
        truth = self._nearest(seen.capture_ns)
        if camera is None or truth is None:
            return
        counts = self.detected.setdefault(seen.sensor, Counter())
        scene = scene_of(truth)
        visible = camera.view(scene).seen if len(scene.ids) else np.zeros(0, dtype=np.bool_)
        found = np.array([(one.position.x, one.position.y) for one in seen.detections])
        offset = scene.position[:, None, :] - found.reshape(-1, 2)[None, :, :]
        # Single looks from afar are metres off along the line of sight: a tenth of the distance.
        from_camera = np.hypot(*(scene.position - camera.position).T)
        gate = GATE_M + 0.1 * from_camera
        distance = np.hypot(offset[..., 0], offset[..., 1])
        cost = np.where(distance <= gate[:, None], distance, 1e6)
        rows, cols = linear_sum_assignment(cost)
        hits = [(i, j) for i, j in zip(rows, cols, strict=True) if cost[i, j] < 1e6]
        counts["objects"] += int(visible.sum())
        counts["found"] += sum(bool(visible[i]) for i, _ in hits)
        counts["detections"] += len(seen.detections)
        counts["true"] += len(hits)

    def _signals(self, state: SignalState) -> None:
        truth = self._nearest(state.capture_ns)
        if truth is None:
            return
        lights = {one.group: one.light for one in truth.lights}
        for group in state.groups:
            changed = self.changed_ns.get(group.group)
            near = changed is not None and abs(state.capture_ns - changed) < FLICKER_NS
            if group.group in lights and not near:
                self.lights[_colour(lights[group.group]) == _colour(group.light)] += 1

    def _parking(self, state: ParkingState) -> None:
        truth = self._nearest(state.time_ns)
        if truth is None:
            return
        taken = {bay.bay: bay.object is not None for bay in truth.bays}
        for bay in state.bays:
            if bay.bay in taken and bay.status in (BayStatus.FREE, BayStatus.OCCUPIED):
                self.bays[taken[bay.bay] == (bay.status is BayStatus.OCCUPIED)] += 1

    def _nearest(self, time_ns: int) -> Truth | None:
        if not self.truths:
            return None
        return min(self.truths, key=lambda truth: abs(truth.time_ns - time_ns))

    def _age(self, name: str, age_ns: int) -> None:
        self.ages.setdefault(name, []).append(age_ns / 1e6)


def score_recording(recording: Path, config: SiteConfig | None = None) -> Score:
    """Score a recording that holds truth. `config` gives the geometry of its cameras.

    Raises SimulationError for one without truth, RecordingError for none at all.
    """
    from rsu.recording.reader import read_messages

    topics = (TRUTH, TRACKS, CAMERA_DETECTIONS, SIGNAL_STATE, PARKING, V2X_TX, ROAD_EVENT)
    collector = _Collector(Coverage(config))
    for message in read_messages(recording, topics, allow_unfinished=True):
        collector.take(message)
    if not collector.tracking.moments:
        raise SimulationError(f"{recording} holds no truth: record it with `rsu sim --out`")
    return _score(collector, recording.name)


def _score(collector: _Collector, title: str) -> Score:
    first_ns = collector.first_ns or 0
    seconds = max((collector.last_ns - first_ns) / NS_PER_S, 1e-9)
    numbers = collector.tracking.numbers()
    for sensor, counts in sorted(collector.detected.items()):
        if counts["objects"]:
            numbers[f"sensor.{sensor}.recall"] = counts["found"] / counts["objects"]
        if counts["detections"]:
            numbers[f"sensor.{sensor}.precision"] = counts["true"] / counts["detections"]
    for name, right in (("signals.accuracy", collector.lights), ("bays.accuracy", collector.bays)):
        if right.total():
            numbers[name] = right[True] / right.total()
    for name, count in sorted(collector.said.items()):
        numbers[f"message.{name}.rate_hz"] = count / seconds
    for name, ages in sorted(collector.ages.items()):
        for share, label in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
            numbers[f"age_ms.{name}.{label}"] = float(np.quantile(ages, share))
    events, of_events = _events(collector, first_ns)
    return Score(
        title=title,
        seconds=seconds,
        numbers=numbers | of_events,
        gospa=[((row[0] - first_ns) / NS_PER_S, row[1]) for row in collector.tracking.gospa],
        truth_paths=collector.truth_paths,
        track_paths=collector.track_paths,
        position_errors=collector.tracking.everything.position,
        ages_ms=collector.ages,
        events=events,
    )


def _events(
    collector: _Collector, first_ns: int
) -> tuple[list[tuple[str, float, float, float | None]], dict[str, float]]:
    """Every true event with the delay of its report, and precision, recall and delay by kind."""
    free = dict(collector.told)
    rows: list[tuple[str, float, float, float | None]] = []
    delays: dict[str, list[float]] = {}
    kinds: Counter[str] = Counter()
    for known in sorted(collector.true_events.values(), key=lambda one: one.event.start_ns):
        event = known.event
        kinds[event.kind] += 1
        match = next(iter(sorted(_candidates(event, known.last_ns, free.items()))), None)
        delay = None
        if match is not None:
            delay = match[0]
            del free[match[1]]
            delays.setdefault(event.kind, []).append(delay)
        begin = (event.start_ns - first_ns) / NS_PER_S
        rows.append((event.kind, begin, (known.last_ns - first_ns) / NS_PER_S, delay))
    told = Counter(event.kind for _, event in collector.told.values())
    numbers: dict[str, float] = {}
    for kind in sorted({*kinds, *told}):
        found = len(delays.get(kind, ()))
        if kinds[kind]:
            numbers[f"event.{kind}.recall"] = found / kinds[kind]
        if told[kind]:
            numbers[f"event.{kind}.precision"] = found / told[kind]
        if found:
            numbers[f"event.{kind}.delay_s"] = float(np.mean(delays[kind]))
    return rows, numbers


def _candidates(
    event: TruthEvent, last_ns: int, told: Iterable[tuple[int, tuple[int, Any]]]
) -> Iterable[tuple[float, int]]:
    for number, (publish_ns, report) in told:
        delay = (publish_ns - event.start_ns) / NS_PER_S
        away = np.hypot(report.position.x - event.position.x, report.position.y - event.position.y)
        same_lane = bool(set(report.lanes) & set(event.lanes))
        in_time = delay >= -1.0 and publish_ns <= last_ns + EVENT_LATE_S * NS_PER_S
        if report.kind == event.kind and in_time and (same_lane or away <= EVENT_NEAR_M):
            yield delay, number


def _colour(light: LightState) -> str:
    """Greens are one: no controller tells whether a green is protected."""
    greens = (LightState.PERMISSIVE_GREEN, LightState.PROTECTED_GREEN)
    return "green" if light in greens else str(light)


def site_of(recording: Path) -> SiteConfig | None:
    """The site that a recording carries in its metadata; None where it has none that still
    validates."""
    import tempfile

    from rsu.config.load import load_site
    from rsu.config.problems import ConfigError
    from rsu.recording.info import site_text

    text = site_text(recording)
    if not text:
        return None
    with tempfile.TemporaryDirectory() as folder:
        # A live recording holds the site as JSON, which is YAML as well.
        file = Path(folder) / "site.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            return load_site(file)
        except ConfigError:
            return None


def as_text(score: Score) -> str:
    """One number a line, grouped by the first part of its name."""
    lines, group = [f"{score.title}: {score.seconds:.1f} s"], ""
    width = max(map(len, score.numbers), default=0)
    for name, value in score.numbers.items():
        head = name.split(".")[0] if "." in name else ""
        if head != group:
            lines.append("")
            group = head
        lines.append(f"  {name:{width}}  {_figure(value)}")
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.3f}"


def as_json(score: Score) -> str:
    """One object by dotted name."""
    return json.dumps(score.to_json(), ensure_ascii=False)
