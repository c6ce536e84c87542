"""The score of a recording: every number by its dotted name, and what the report draws.

One pass over the recording in publishing order. The newest track list before a truth is what the
unit knew then; single looks and statements are compared with the truth of their moment.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsu.config.model import SiteConfig
from rsu.schema.message import Message
from rsu.schema.reports import Truth
from rsu.schema.topics import (
    CAMERA_DETECTIONS,
    LANES,
    PARKING,
    RADAR_OBJECTS,
    ROAD_EVENT,
    SIGNAL_STATE,
    TRACKS,
    TRAFFIC,
    TRUTH,
    V2X_TX,
)
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.score.conflicts import SUFFIX, Conflicts
from rsu.sim.score.coverage import Coverage
from rsu.sim.score.curves import Curves
from rsu.sim.score.distribution import Distribution
from rsu.sim.score.flows import Flows
from rsu.sim.score.happenings import FalseReport, Happenings, Outcome
from rsu.sim.score.looks import Looks
from rsu.sim.score.moments import moment_of
from rsu.sim.score.statements import KEPT_TRUTHS, Ages, Bays, Lights, nearest
from rsu.sim.score.tracking import ALL, Numbers, Tracking
from rsu.site.lanes import SiteMap

SCORED = (
    TRUTH, TRACKS, CAMERA_DETECTIONS, RADAR_OBJECTS, SIGNAL_STATE, PARKING, V2X_TX, ROAD_EVENT,
    TRAFFIC, LANES,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Score:
    """What was found. `numbers` by dotted name, None where there was nothing to measure; `counted`
    says which truth counts; `remarks` what was wrong with the recording; the rest is drawn."""

    title: str
    seconds: float
    first_ns: int
    counted: str
    numbers: Numbers
    remarks: tuple[str, ...]
    curves: Curves
    errors: dict[str, Distribution]
    ages: dict[str, Distribution]
    outcomes: list[Outcome]
    false_reports: list[FalseReport]
    places: dict[str, tuple[float, float]]
    """Where the sensors hang, m."""

    def to_json(self) -> dict[str, Any]:
        """One flat object: the recording's name and length, and the numbers by dotted name."""
        return {
            "recording": self.title,
            "counted": self.counted,
            "seconds": round(self.seconds, 3),
        } | {
            name: value if value is None else round(value, 6)
            for name, value in self.numbers.items()
        }


@dataclass(eq=False)
class _Collector:
    """Hands each message to those whom it concerns."""

    coverage: Coverage
    tracking: Tracking
    flows: Flows | None = None
    looks: Looks = field(init=False)
    lights: Lights = field(default_factory=Lights)
    bays: Bays = field(default_factory=Bays)
    ages: Ages = field(default_factory=Ages)
    happenings: Happenings = field(default_factory=Happenings)
    conflicts: Conflicts = field(default_factory=Conflicts)
    curves: Curves = field(default_factory=Curves)
    tracks: TrackList | None = None
    truths: deque[Truth] = field(default_factory=lambda: deque(maxlen=KEPT_TRUTHS))
    first_ns: int | None = None
    last_ns: int = 0

    def __post_init__(self) -> None:
        self.looks = Looks(self.coverage)

    def take(self, message: Message) -> None:
        payload, header, topic = message.payload, message.header, message.topic
        publish_ns = header.publish_ns
        self.last_ns = max(self.last_ns, publish_ns)
        if self.first_ns is None:
            self.first_ns = publish_ns
        if topic == TRUTH:
            self._truth(payload)
        elif topic == TRACKS:
            self.tracks = payload
            self.ages.take("tracks", payload.time_ns, header.capture_ns, publish_ns)
        elif topic in (CAMERA_DETECTIONS, RADAR_OBJECTS):
            if (truth := nearest(self.truths, payload.capture_ns)) is not None:
                self.looks.take(payload, publish_ns, truth)
        elif topic == SIGNAL_STATE:
            self.lights.said(payload)
        elif topic == PARKING:
            if (truth := nearest(self.truths, payload.time_ns)) is not None:
                self.bays.said(payload, truth)
        elif topic == V2X_TX:
            self.ages.on_air(payload, header.capture_ns, publish_ns)
            self.lights.on_air(payload, publish_ns)
        elif topic == ROAD_EVENT:
            if payload.kind.endswith(SUFFIX):
                self.conflicts.report(payload, publish_ns)
            else:
                self.happenings.report(payload, publish_ns)

    def _truth(self, truth: Truth) -> None:
        self.truths.append(truth)
        self.happenings.truth(truth)
        self.conflicts.truth(truth)
        self.bays.saw(truth)
        moment = moment_of(truth, self.tracks, self.coverage)
        pairs = self.tracking.take(moment)
        self.curves.take(moment, pairs, self.tracking.gospa)
        self.lights.judge(self.truths)

    def score(self, title: str, remarks: tuple[str, ...]) -> Score:
        self.lights.judge(self.truths, end=True)
        first_ns = self.first_ns or 0
        seconds = max((self.last_ns - first_ns) / NS_PER_S, 1e-9)
        outcomes, false_reports = self.happenings.outcomes()
        whole = self.tracking.groups[ALL]
        return Score(
            title=title,
            seconds=seconds,
            first_ns=first_ns,
            counted=str(self.coverage),
            numbers=self._numbers(seconds),
            remarks=remarks,
            curves=self.curves,
            errors={"position_m": whole.position, "speed_mps": whole.speed,
                    "heading_deg": whole.heading, "nees": whole.nees},
            ages=self.ages.statement,
            outcomes=outcomes,
            false_reports=false_reports,
            places={
                name: (float(view.position[0]), float(view.position[1]))
                for name, view in self.coverage.views.items()
            },
        )  # fmt: skip

    def _numbers(self, seconds: float) -> Numbers:
        out: Numbers = {"moments": self.tracking.moments}
        for group, numbers in self.tracking.numbers().items():
            prefix = "" if group == ALL else f"{group}."
            out |= {f"{prefix}{name}": value for name, value in numbers.items()}
        return (
            out
            | self.looks.numbers()
            | self.happenings.numbers()
            | self.conflicts.numbers()
            | self.lights.numbers()
            | self.bays.numbers()
            | ({} if self.flows is None else self.flows.numbers())
            | self.ages.numbers(seconds)
        )


def score_recording(
    recording: Path, config: SiteConfig | None = None, site_map: SiteMap | None = None
) -> Score:
    """Score a recording that holds truth. `config` gives the views of its sensors, `site_map` the
    lanes on which traffic is judged; without it there are no numbers of traffic.

    A damaged recording is scored as far as it is whole, which `Score.remarks` tells. Raises
    SimulationError for one without truth, RecordingError for none at all.
    """
    from rsu.recording.errors import DamagedRecordingError
    from rsu.recording.reader import read_messages

    remarks: tuple[str, ...] = ()
    with Tracking() as tracking:
        coverage = Coverage(config)
        flows = None if site_map is None else Flows(site_map, coverage)
        collector = _Collector(coverage, tracking, flows)
        try:
            for message in read_messages(recording, SCORED, allow_unfinished=True):
                collector.take(message)
                if flows is not None:
                    flows.take(message.payload)
        except DamagedRecordingError as error:
            remarks = (str(error),)
        if not tracking.moments:
            raise SimulationError(f"{recording} holds no truth: record it with `rsu sim --out`")
        return collector.score(recording.name, remarks)
