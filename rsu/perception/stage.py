"""The perception stage of one camera: frames in, detections on the ground out.

One CAMERA_DETECTIONS message per frame, also when nothing was seen: "looked and saw nothing" is
evidence too. What was found but not placed is counted in the message and, merged over a second, in
the decision trace. With the site's privacy options, a small masked picture for people now and then.
"""

from __future__ import annotations

from collections.abc import Iterable

from rsu.config.cameras import CameraOptions
from rsu.config.privacy import PrivacyOptions
from rsu.perception.detector import Detector
from rsu.perception.preview import Previews
from rsu.perception.projection import GroundProjector
from rsu.schema.decision_log import DecisionLog
from rsu.schema.frame import CameraFrame
from rsu.schema.health import Verdict
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections, ImageDetection
from rsu.schema.topics import CAMERA_DETECTIONS, CAMERA_FRAME, CAMERA_PREVIEW, DECISION, Topic
from rsu.schema.units import NS_PER_S, Instant


class PerceptionStage:
    """Detects (unless read-ahead already has) and projects. Its only state is the decision log."""

    inputs: tuple[Topic, ...] = (CAMERA_FRAME,)

    def __init__(
        self, camera: CameraOptions, detector: Detector, privacy: PrivacyOptions | None = None
    ) -> None:
        """`privacy` None: no previews. Raises CalibrationError when the camera cannot place
        anything on the road."""
        self.name = f"perception:{camera.id}"
        self._sensor = camera.id
        self._regions = camera.regions
        self._detector = detector
        self._projector = GroundProjector(camera)
        self._log = DecisionLog(self.name)
        self.previews_wanted = True
        """False: none are made, while the unit sheds load."""
        self._previews: Previews | None = None
        self.outputs: tuple[Topic, ...] = (CAMERA_DETECTIONS, DECISION)
        self.period_ns: int | None = NS_PER_S  # tells what the log has merged
        if privacy is not None and camera.preview.rate_hz > 0:
            self._previews = Previews(camera, privacy, detector)
            self.outputs = (*self.outputs, CAMERA_PREVIEW)
            self.period_ns = min(NS_PER_S, self._previews.period_ns)

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        frame = message.payload
        assert isinstance(frame, CameraFrame)
        if frame.sensor != self._sensor:
            return
        found = self._look(frame, now)
        height, width = frame.image.shape[:2]
        placed = self._projector.place(found, width, height)
        for reason, count in placed.rejected.items():
            self._log.note(now, f"sensor:{self._sensor}", Verdict.DROPPED, reason, count=count)
        yield Message.draft(
            CAMERA_DETECTIONS,
            self._sensor,
            frame.capture_ns,
            CameraDetections(
                sensor=self._sensor,
                frame=frame.frame,
                capture_ns=frame.capture_ns,
                image_width=width,
                image_height=height,
                detections=placed.detections,
                rejected=placed.rejected,
            ),
        )
        yield from self._log.drafts(now)

    def _look(self, frame: CameraFrame, now: Instant) -> tuple[ImageDetection, ...]:
        """What the detector reports; previews also learn what it doubts."""
        if frame.detected is not None:
            return frame.detected
        if self._previews is None or not self.previews_wanted:
            return self._detector.detect(frame.image, self._regions)
        return self._previews.look(frame, now)

    def tick(self, now: Instant) -> Iterable[Message]:
        pictures = (
            () if self._previews is None or not self.previews_wanted else self._previews.take(now)
        )
        return [*self._log.drafts(now), *pictures]
