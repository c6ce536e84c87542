"""What the child processes of a live unit do, one class per role.

Each worker takes bounded turns: wait for input at most `timeout_s`, act, return what is to be
published (drafts, unless a stage group has stamped them). Everything around a turn — bus,
heartbeat, metrics, signals — is the child loop's business (`rsu.runtime.child`). I/O lives in
drivers; decisions live in stages.
"""

from __future__ import annotations

import importlib
import resource
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rsu.config.model import SiteConfig
from rsu.runtime import graph
from rsu.runtime.audit import accounted_privacy
from rsu.runtime.group_turns import due_ticks, group_turn
from rsu.runtime.load_shedding import DEBUG_TOPICS, NO_DEBUG_TOPICS, NO_PREVIEWS, FrameRation
from rsu.runtime.worker import Surroundings, Worker
from rsu.schema.health import SensorState
from rsu.schema.message import Message
from rsu.schema.topics import (
    CAMERA_FRAME,
    JOURNAL,
    RADIO_REPORT,
    SENSOR_HEALTH,
    TOPICS,
    TRACKS,
    UNIT_HEALTH,
    V2X_RX,
    V2X_TX,
    Topic,
)
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import RadioReport, ReceivedV2x, V2xFrame

if TYPE_CHECKING:
    from rsu.config.radios import RadioBase
    from rsu.hal.radio.base import Radio


TELL_AGAIN_NS = 60 * NS_PER_S
"""A radio that goes on failing in the same way is logged this often; each loss is counted."""


class CoreWorker:
    """Runs the core group: fusion, V2X, situation."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._group = graph.core_builder(around.config, around.base)(around.boot)
        self.topics = self._group.inputs

    def start(self) -> None:
        self._around.bus.publish(self._group.take_journal(self._around.clock()))

    def turn(self, timeout_s: float) -> Iterable[Message]:
        for message in group_turn(self._group, self._around, timeout_s):
            if message.topic == TRACKS:
                self._around.meter.gauge("tracks", len(message.payload.tracks))
            elif message.topic == V2X_TX:
                frame = message.payload
                # SPAT, MAP and RSM are names of both worlds: the profile tells whose.
                self._around.meter.count(
                    "v2x_frames_total", profile=frame.profile, message=frame.message
                )
            yield message

    def stop(self) -> None:
        """Nothing is open."""


class CameraWorker:
    """Grabs frames of one camera and looks at the newest."""

    topics: frozenset[Topic] = frozenset((UNIT_HEALTH,))  # tells how much load to shed

    def __init__(self, around: Surroundings, camera_id: str) -> None:
        from rsu.hal.camera.live import LiveCamera
        from rsu.perception.detector import load_detector

        self._around = around
        camera = next(c for c in around.config.cameras if c.id == camera_id)
        privacy = accounted_privacy(around.config, around.base, camera_id)
        detector = load_detector(camera, around.base)
        self._group = graph.camera_group(camera, detector, around.boot, privacy)
        self._camera = LiveCamera(camera.id, camera.source, around.base, around.clock)
        self._ration = FrameRation()
        self._health_due = 0
        self._state: SensorState | None = None

    def start(self) -> None:
        # A core file would hold frames.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        self._camera.start()

    def turn(self, timeout_s: float) -> Iterable[Message]:
        frame = self._camera.take(timeout_s)
        self._follow_shedding()
        taken = self._around.clock()
        if frame is not None and not self._ration.grants(taken):
            self._around.meter.count("frames_shed_total", camera=frame.sensor)
        elif frame is not None:
            draft = Message.draft(CAMERA_FRAME, frame.sensor, frame.capture_ns, frame)
            message = draft.stamped(self._around.boot.utc_ns, frame.frame, taken.utc_ns)
            outputs = self._group.handle(message, taken)
            self._group.take_journal(taken)
            done = self._around.clock()
            self._around.meter.count("frames_total", camera=frame.sensor)
            self._around.meter.observe(
                "detect_seconds", (done.mono_ns - taken.mono_ns) / NS_PER_S, camera=frame.sensor
            )
            yield from (_published_at(message, done) for message in outputs)
        # Frames are not recorded, so nothing can replay this group: its journal is not published.
        yield from (m for m in due_ticks(self._group, self._around.clock) if m.topic != JOURNAL)
        yield from self._health(self._around.clock())

    def stop(self) -> None:
        self._camera.stop()

    def _follow_shedding(self) -> None:
        for message in self._around.bus.receive(0.0):
            self._ration.level = message.payload.shed_level
            for stage in self._group.stages:
                if hasattr(stage, "previews_wanted"):
                    stage.previews_wanted = self._ration.level < NO_PREVIEWS

    def _health(self, now: Instant) -> Iterable[Message]:
        health = self._camera.health(now)
        if now.mono_ns < self._health_due and health.state is self._state:
            return
        self._health_due = now.mono_ns + NS_PER_S
        self._state = health.state
        yield Message.draft(SENSOR_HEALTH, health.sensor, now.utc_ns, health)


class RadioWorker:
    """Puts frames on the air, drops those that waited too long, passes on what it hears."""

    topics: frozenset[Topic] = frozenset((V2X_TX,))

    def __init__(self, around: Surroundings, radio_id: str) -> None:
        from rsu.hal.radio.drivers import make_radio

        self._around = around
        self._options: RadioBase = next(r for r in around.config.radios if r.id == radio_id)
        self._radio: Radio = make_radio(self._options, around.base)
        self._opened = False
        self._retry_mono_ns = 0
        self._problem = ""
        self._tell_again_mono_ns = 0

    def start(self) -> None:
        """Nothing: the radio is opened by the first turn and again whenever it fails."""

    def turn(self, timeout_s: float) -> Iterable[Message]:
        self._try_open()
        for message in self._around.bus.receive(timeout_s):
            yield self._send(message)
        if self._opened and self._radio.receives:
            yield from self._receive()

    def stop(self) -> None:
        self._radio.close()

    def _try_open(self) -> None:
        from rsu.hal.errors import HalError

        now = self._around.clock()
        if self._opened or now.mono_ns < self._retry_mono_ns:
            return
        try:
            self._radio.open()
            self._opened = True
        except HalError as error:
            self._fail(error)

    def _send(self, message: Message) -> Message:
        from rsu.hal.errors import HalError

        frame: V2xFrame = message.payload
        now = self._around.clock()
        age_ns = now.utc_ns - frame.time_ns
        evidence_age_ns = now.utc_ns - message.header.capture_ns
        error: str | None = None
        if age_ns > self._options.max_age_s * NS_PER_S:
            error = "stale_at_radio"
        elif not self._opened:
            error = "radio_closed"
        else:
            try:
                self._radio.send(frame)
            except HalError as problem:
                error = "radio_error"
                self._fail(problem)
        meter = self._around.meter
        if error is None:
            meter.count("radio_frames_total", radio=self._options.id, message=frame.message)
            meter.observe("age_seconds", age_ns / NS_PER_S, message=frame.message)
            meter.observe("evidence_age_seconds", evidence_age_ns / NS_PER_S, message=frame.message)
        else:
            meter.count("radio_dropped_total", radio=self._options.id, reason=error)
        report = RadioReport(
            radio=self._options.id,
            frame_source=message.header.source,
            frame_boot_ns=message.header.boot_ns,
            frame_seq=message.header.seq,
            message=frame.message,
            sent_ns=now.utc_ns,
            age_ns=age_ns,
            evidence_age_ns=evidence_age_ns,
            error=error,
        )
        return Message.draft(RADIO_REPORT, self._options.id, message.header.capture_ns, report)

    def _receive(self) -> Iterable[Message]:
        from rsu.hal.errors import HalError

        while True:
            try:
                payload = self._radio.receive(0.0)
            except HalError as error:
                self._fail(error)
                return
            if payload is None:
                return
            now = self._around.clock()
            heard = ReceivedV2x(radio=self._options.id, capture_ns=now.utc_ns, payload=payload)
            yield Message.draft(V2X_RX, self._options.id, now.utc_ns, heard)

    def _fail(self, error: Exception) -> None:
        import structlog

        now = self._around.clock()
        if str(error) != self._problem or now.mono_ns >= self._tell_again_mono_ns:
            self._problem = str(error)
            self._tell_again_mono_ns = now.mono_ns + TELL_AGAIN_NS
            structlog.get_logger().warning("radio", radio=self._options.id, problem=self._problem)
        self._radio.close()
        self._opened = False
        self._retry_mono_ns = now.mono_ns + NS_PER_S


class RecorderWorker:
    """Keeps every recorded topic."""

    topics = frozenset(topic for topic in TOPICS.values() if topic.recorded)

    def __init__(self, around: Surroundings) -> None:
        from rsu.recording.recorder import Recorder

        if around.config.recording is None:
            raise ValueError("the site file has no recording section")
        self._around = around
        self._shed = False
        self._recorder = Recorder(
            around.config.recording, around.base, site_metadata(around.config, around.boot)
        )

    def start(self) -> None:
        """Nothing: the first message opens the first file."""

    def turn(self, timeout_s: float) -> Iterable[Message]:
        for message in self._around.bus.receive(timeout_s):
            if message.topic == UNIT_HEALTH:
                self._shed = message.payload.shed_level >= NO_DEBUG_TOPICS
            if self._shed and message.topic.name in DEBUG_TOPICS:
                self._around.meter.count("recording_shed_total")
                continue
            self._recorder.write(message)
        self._recorder.poll()
        stats, meter = self._recorder.stats(), self._around.meter
        meter.total("recorded_messages_total", stats.written)
        for reason, count in stats.dropped.items():
            meter.total("recording_dropped_total", count, reason=reason)
        meter.total("recording_files_deleted_total", stats.deleted, reason="quota")
        meter.total("recording_files_deleted_total", stats.expired, reason="age")
        return ()

    def told_of(self, config: SiteConfig) -> None:
        """A recording says which configuration it was made with: a new file for a new one."""
        self._recorder.describe(site_metadata(config, self._around.boot))

    def stop(self) -> None:
        self._recorder.close()


def site_metadata(config: SiteConfig, boot: Instant) -> dict[str, str]:
    """What a recording says about where it was made."""
    import rsu

    return {
        "site": config.site.id,
        "profile": ",".join(graph.profiles_of(config)),
        "version": rsu.__version__,
        "boot_ns": str(boot.utc_ns),
        "config": config.model_dump_json(exclude_unset=True),
    }


def make_worker(role: str, instance: str, around: Surroundings) -> Worker:
    """The worker for a role of `rsu.runtime.graph.process_plans`."""
    if role == "camera":
        return CameraWorker(around, instance)
    if role == "radio":
        return RadioWorker(around, instance)
    if role == "device":
        from rsu.runtime.device_worker import DeviceWorker

        return DeviceWorker(around, instance)
    if role == "uplink":
        from rsu.runtime.uplink_worker import UplinkWorker

        return UplinkWorker(around)
    if role == "foreign":
        # "module:Class", or "module:Class/id" for one of several.
        target, *of = instance.split("/")
        module, name = target.split(":")
        foreign: Worker = getattr(importlib.import_module(module), name)(around, *of)
        return foreign
    makers: dict[str, Callable[[Surroundings], Worker]] = {
        "core": CoreWorker,
        "recorder": RecorderWorker,
    }
    return makers[role](around)


def _published_at(message: Message, now: Instant) -> Message:
    """Stamp the time at which slow work was done instead of when it began."""
    return message.stamped(message.header.boot_ns, message.header.seq, now.utc_ns)
