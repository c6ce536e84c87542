"""The fusion stage: any sensor's ground detections in, tracks and reasons out.

In: `detections/camera`, `detections/radar`, `detections/v2x`. Out: `tracks` after every applied
message (at most `publish_hz` of them, the last one never lost), also when nothing is there, so that
consumers know fusion lives; `health/alarm` where two sensors contradict each other; `decision` for
every refused message, measurement and birth, for every published track that ended and every alarm.
When all sensors are silent, ticks remove what has gone stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter

from rsu.config.fusion import FusionOptions
from rsu.fusion.blame import concerned, doubted, doubts, in_words
from rsu.fusion.consistency import Consistency
from rsu.fusion.heard import Heard
from rsu.fusion.history import History
from rsu.fusion.lane_heading import LaneHeadings
from rsu.fusion.measurements import Scan, scan_from_camera, scan_from_radar
from rsu.fusion.occlusion import Viewpoint
from rsu.fusion.publication import track_list
from rsu.fusion.table import NEVER
from rsu.fusion.tracker import Outcome, Tracker
from rsu.schema.decision_log import DecisionLog
from rsu.schema.health import SensorAlarm, Verdict
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections, RadarObjects, V2xObjects
from rsu.schema.topics import (
    CAMERA_DETECTIONS,
    DECISION,
    RADAR_OBJECTS,
    SENSOR_ALARM,
    TRACKS,
    V2X_OBJECTS,
    Topic,
)
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.site.lanes import SiteMap

# A capture time further ahead of now is a broken clock. Tighter than "too old", because one
# accepted future stamp would make every honest sensor too late until the present catches up.
LARGEST_LEAD_NS = 200 * NS_PER_MS
LARGEST_AGE_NS = 10 * NS_PER_S
MOST_SENSORS = 64  # four times what one site may configure
SILENCE_NS = 500 * NS_PER_MS  # ns without an accepted message: five frames of a slow camera
_NUMBER, _UPDATED = attrgetter("id"), attrgetter("updated_ns")
BURST = 2.0  # messages that may leave back to back: two cameras exposed together


class FusionStage:
    """Deterministic: the same messages and instants give the same bytes.

    `boot` seeds the ids: they count up from a number made of the boot second, so that ids of
    successive boots differ, and are never used twice within one.
    """

    name = "fusion"
    inputs: tuple[Topic, ...] = (CAMERA_DETECTIONS, RADAR_OBJECTS, V2X_OBJECTS)
    outputs: tuple[Topic, ...] = (TRACKS, SENSOR_ALARM, DECISION)
    period_ns: int | None = 100 * NS_PER_MS

    def __init__(
        self,
        options: FusionOptions,
        boot: Instant,
        viewpoints: Mapping[str, Viewpoint] | None = None,
        site: SiteMap | None = None,
    ) -> None:
        """`viewpoints`: where the cameras hang, by id, as far as it is known; `site`: lanes, which
        tell where those face who hardly move."""
        self._lanes = None if site is None else LaneHeadings(site)
        self._tracker = Tracker(options, viewpoints)
        # Second of boot (mod 10⁶) × 10⁶ + count: readable, below 2⁵³ (exact in JSON).
        first_id = boot.utc_ns // NS_PER_S % 1_000_000 * 1_000_000 + 1
        self._history = History(self._tracker, first_id, round(options.buffer_s * NS_PER_S))
        self._rate = options.publish_hz
        self._tokens = BURST
        self._filled_ns = boot.mono_ns
        self._fused_ns = boot.mono_ns
        self._looked_ns = boot.mono_ns - SILENCE_NS - 1  # no camera or radar yet
        self._heard = Heard(self._tracker.motion)
        self._consistency = Consistency()
        self._doubts: dict[str, float] = {}  # m² by sensor
        self._alarms: list[SensorAlarm] = []
        self._pending = False
        self._published: frozenset[int] = frozenset()
        self._endings: dict[int, str] = {}
        self._log = DecisionLog(self.name)

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """Fuse one detection message and publish what is now believed."""
        payload = message.payload
        if isinstance(payload, CameraDetections):
            scan, refused = scan_from_camera(payload)
        elif isinstance(payload, RadarObjects):
            scan, refused = scan_from_radar(payload)
        elif isinstance(payload, V2xObjects):
            return self._hear(payload, now)
        else:
            return []
        self._looked_ns = now.mono_ns
        self._fuse(scan, refused, now)
        if self._heard.due(now.mono_ns):
            self._fuse_heard(now)
        return [*self._publish(now), *self._alarm_messages(), *self._log.drafts(now)]

    def _hear(self, payload: V2xObjects, now: Instant) -> list[Message]:
        subject = f"sensor:{payload.sensor}"
        reason = None
        if payload.capture_ns > now.utc_ns + LARGEST_LEAD_NS:
            reason = "capture_in_future"
        elif payload.objects:
            reason = self._heard.add(payload, now.mono_ns)
        if reason is not None:
            self._drop(now, subject, reason, len(payload.objects))
        if self._heard.due(now.mono_ns):
            self._fuse_heard(now)
        return [*self._publish(now), *self._alarm_messages(), *self._log.drafts(now)]

    def _fuse_heard(self, now: Instant) -> None:
        looking = now.mono_ns - self._looked_ns <= SILENCE_NS
        time_ns = self._history.table.time_ns
        for scan, refused in self._heard.take(
            time_ns if looking and time_ns != NEVER else None, now.mono_ns
        ):
            self._fuse(scan, refused, now)

    def _fuse(self, scan: Scan, refused: dict[str, int], now: Instant) -> None:
        subject = f"sensor:{scan.sensor}"
        if self._history.table.time_ns > now.utc_ns + LARGEST_LEAD_NS:
            self._note_endings(self._history.restart())
            self._drop(now, "clock", "clock_set_back")
            self._pending = True
        reason = self._refusal(scan, now)
        if reason is None:
            believed = doubted(scan, self._doubts)
            reason, outcome = self._history.offer(believed)
            self._note_endings(outcome)
            if outcome.unborn:
                self._drop(now, subject, "max_tracks", outcome.unborn)
        if reason is not None:
            self._drop(now, subject, reason)
        else:
            self._fused_ns = now.mono_ns
            self._pending = True
            self._compare(scan, outcome, now)
            for code in sorted(refused):
                self._drop(now, subject, code, refused[code])

    def _compare(self, scan: Scan, outcome: Outcome, now: Instant) -> None:
        if outcome.hit is None or outcome.which is None or outcome.velocity is None:
            return
        if not scan.surveys or not len(outcome.hit):
            return  # what is heard comes from many senders
        changed = self._consistency.take(scan, outcome.hit, outcome.which, outcome.velocity)
        for alarm in changed:
            self._alarms.append(alarm)
            reason = f"{alarm.kind}_{'doubtful' if alarm.active else 'consistent'}"
            for name in concerned(alarm):
                self._log.note(now, f"sensor:{name}", Verdict.WITHHELD, reason, in_words(alarm))
        if changed:
            self._doubts = doubts(self._consistency.standing())

    def _alarm_messages(self) -> list[Message]:
        alarms, self._alarms = self._alarms, []
        return [Message.draft(SENSOR_ALARM, self.name, one.since_ns, one) for one in alarms]

    def tick(self, now: Instant) -> Iterable[Message]:
        """Remove tracks gone stale while sensors are silent; let out what the rate held back."""
        if self._heard.due(now.mono_ns):
            self._fuse_heard(now)
        silence_ns = now.mono_ns - self._fused_ns
        if silence_ns > SILENCE_NS:
            outcome = self._history.expire(silence_ns)
            if outcome.ended:
                self._note_endings(outcome)
                self._pending = True
        return [*self._publish(now), *self._alarm_messages(), *self._log.drafts(now)]

    def _refusal(self, scan: Scan, now: Instant) -> str | None:
        if scan.capture_ns > now.utc_ns + LARGEST_LEAD_NS:
            return "capture_in_future"
        if scan.capture_ns < now.utc_ns - LARGEST_AGE_NS:
            return "capture_too_old"
        known = self._tracker.sensors
        if scan.sensor not in known and len(known) >= MOST_SENSORS:
            return "too_many_sensors"
        return None

    def _publish(self, now: Instant) -> list[Message]:
        passed = max(now.mono_ns - self._filled_ns, 0) / NS_PER_S
        self._tokens = min(self._tokens + passed * self._rate, BURST)
        self._filled_ns = max(now.mono_ns, self._filled_ns)
        table = self._history.table
        if not self._pending or self._tokens < 1.0 or table.time_ns == NEVER:
            return []
        self._tokens -= 1.0
        self._pending = False
        tracks = track_list(table, self._history.settled_ns, self._tracker.sensors, self._lanes)
        self._explain_endings(frozenset(map(_NUMBER, tracks.tracks)), now)
        oldest = min(map(_UPDATED, tracks.tracks), default=tracks.time_ns)
        return [Message.draft(TRACKS, self.name, oldest, tracks)]

    def _note_endings(self, outcome: Outcome) -> None:
        self._endings.update(outcome.ended)

    def _explain_endings(self, present: frozenset[int], now: Instant) -> None:
        """Say why each track of the last list is missing in this one."""
        gone = self._published - present
        alive = frozenset(self._history.table.rows.id.tolist()) if gone else gone
        for number in sorted(gone):
            reason = self._endings.get(number, "existence_low")
            if number in alive:
                reason = "existence_doubtful"
            self._drop(now, f"track:{number}", reason)
        self._published = present
        self._endings.clear()

    def _drop(self, now: Instant, subject: str, reason: str, count: int = 1) -> None:
        self._log.note(now, subject, Verdict.DROPPED, reason, count=count)
