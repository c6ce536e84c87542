"""Watches one camera: is it there, in time, moving, seeing? Pure; time comes in with every call.

In flow the facts about each frame (`FrameFacts`, from `frame_facts`) and about the link; out flow a
verdict per frame (why it must not be used, if so) and the camera's `SensorHealth`. `LiveCamera`
drives it with real time, lock-step may drive it with virtual time.

A frame from a frozen or blind camera is withheld: "looked and saw nothing" would be a false
statement about the road.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from rsu.config.cameras import SourceOptions
from rsu.hal.camera.base import Image
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.sensing import SensorKind
from rsu.schema.units import NS_PER_S, Instant

SAMPLE_LINES = 108
"""Every n-th pixel is looked at so that about this many lines remain: 60 kB of a 16:9 image
whatever its size. Pixels are picked, not averaged: averaging would hide the sensor noise that tells
a quiet road from a frozen picture."""
SAME_LEVELS = 2
"""Images whose sampled pixels all differ by at most this many of 255 levels are the same picture;
one or two levels is what decoders' rounding and deblocking add to a repeated one. Consecutive
frames of a real 768×432 clip of a nearly empty aisle differ by at least 7."""
CLOCK_STEP_NS = 2 * NS_PER_S
"""Capture times that run back by more than this mean that the host's clock was set; less is a
reordered or repeated frame. No camera or network holds a frame back for two seconds in order."""


UNIFORM_LEVELS = 4.0
"""A picture whose levels deviate by less than this (1 σ) shows nothing: a hand, a cap, snow on the
glass. Rendered pictures deviate by 13 to 51 even in fog of 60 m; sensor noise alone by 1 to 3."""
NOISE_TAIL = 4.2
"""99.5th percentile over median of the differences of neighbouring pixels if all is Gaussian noise:
(2.81 · √2) / (0.674 · √2). What exceeds it are edges."""


class Drop(StrEnum):
    """Why a frame that came out of a driver was not handed on."""

    SUPERSEDED = "superseded"
    DUPLICATE_TIMESTAMP = "duplicate_timestamp"
    NON_MONOTONE_TIMESTAMP = "non_monotone_timestamp"
    FROZEN = "frozen"
    BLACK = "black"
    UNIFORM = "uniform"
    BLURRED = "blurred"


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What monitoring needs of one frame: its time, mean level 0..255, and sampled pixels.

    `contrast` is the deviation of its levels (1 σ); `edges` by how many levels its strongest 0.5 %
    of steps between neighbouring pixels exceed what its noise explains.
    """

    capture_ns: int
    mean_level: float
    sample: npt.NDArray[np.uint8]
    contrast: float = 255.0
    edges: float = 255.0


def frame_facts(image: Image, capture_ns: int) -> FrameFacts:
    """Measure one frame; costs about 1 ms at 640×384, 3 ms at 1920×1080."""
    step = max(1, min(image.shape[:2]) // SAMPLE_LINES)
    sample = np.ascontiguousarray(image[::step, ::step])
    lines = image[::step, :, 1].astype(np.int16)  # green: the sharpest channel of a Bayer sensor
    steps = np.abs(np.diff(lines, axis=1)).astype(np.uint8)
    counts = np.cumsum(np.bincount(steps.ravel(), minlength=256))
    typical, strong = np.searchsorted(counts, (0.5 * counts[-1], 0.995 * counts[-1]))
    contrast = float(sample[:, :, 1].std())
    return FrameFacts(
        capture_ns, float(sample.mean()), sample, contrast, float(strong - NOISE_TAIL * typical)
    )


class CameraMonitor:
    """State of one camera; not thread-safe, its owner locks."""

    def __init__(self, sensor: str, options: SourceOptions, now: Instant) -> None:
        self._sensor = sensor
        self._late_ns = round(options.late_s * NS_PER_S)
        self._frozen_ns = round(options.frozen_s * NS_PER_S)
        self._black_level = options.black_level
        self._blur_level = options.blur_level
        self._blurred_since_ns: int | None = None
        self._link = SensorState.STARTING
        self._detail = ""
        self._blind: Drop | None = None
        self._heard_ns = now.mono_ns  # last sign of life: a frame or a successful opening
        self._last_capture_ns: int | None = None
        self._reference: npt.NDArray[np.uint8] | None = None  # picture that has not changed since …
        self._reference_ns = now.mono_ns  # … this monotonic time
        self._newest_ns = now.mono_ns
        self._state, self._since_ns = SensorState.STARTING, now.utc_ns
        self._connections = 0
        self._clock_steps = 0

    def opened(self, now: Instant) -> None:
        """The device answers; no frame yet."""
        self._connections += 1
        self._link, self._detail = SensorState.STARTING, ""
        self._heard_ns = now.mono_ns
        self._reference = None
        self._blurred_since_ns = None
        self._blind = None
        self._settle(now)

    def lost(self, detail: str, now: Instant) -> None:
        """The device cannot be opened or broke off."""
        self._link, self._detail = SensorState.GONE, detail
        self._settle(now)

    def ended(self, detail: str, now: Instant) -> None:
        """A recorded source came to its end."""
        self._link, self._detail = SensorState.ENDED, detail
        self._settle(now)

    def frame(self, facts: FrameFacts, now: Instant) -> Drop | None:
        """Take note of one frame; the reason why it must not be used, None when it may be."""
        self._link = SensorState.LIVE
        self._heard_ns = now.mono_ns
        wrong_time = self._wrong_time(facts.capture_ns)
        if wrong_time is None:
            self._last_capture_ns = facts.capture_ns
        self._watch_change(facts.sample, now)
        self._blind = self._sees_nothing(facts, now)
        state = self._settle(now)
        if wrong_time is not None:
            return wrong_time
        if state is SensorState.FROZEN:
            return Drop.FROZEN
        return self._blind

    def health(
        self,
        now: Instant,
        received: int = 0,
        dropped: dict[str, int] | None = None,
        remark: str = "",
    ) -> SensorHealth:
        """The state at `now` with the owner's counters."""
        self._settle(now)
        steps = f"clock set back {self._clock_steps} times" if self._clock_steps else ""
        seen = self._blind if self._state is SensorState.BLIND else None
        blind = f"picture is {seen}" if seen is not None else ""
        return SensorHealth(
            sensor=self._sensor,
            kind=SensorKind.CAMERA,
            state=self._state,
            since_ns=self._since_ns,
            time_ns=now.utc_ns,
            detail="; ".join(text for text in (self._detail, blind, remark, steps) if text),
            received=received,
            dropped=dropped or {},
            reconnects=max(0, self._connections - 1),
        )

    def _wrong_time(self, capture_ns: int) -> Drop | None:
        last_ns = self._last_capture_ns
        if last_ns is None or capture_ns > last_ns:
            return None
        if last_ns - capture_ns > CLOCK_STEP_NS:
            self._clock_steps += 1
            return None
        if capture_ns == last_ns:
            return Drop.DUPLICATE_TIMESTAMP
        return Drop.NON_MONOTONE_TIMESTAMP

    def _sees_nothing(self, facts: FrameFacts, now: Instant) -> Drop | None:
        """Why nothing can be made out in a frame: black at once; uniform or blurred when it lasts
        as long as a frozen one (a lorry that fills the picture is gone by then)."""
        if facts.mean_level < self._black_level:
            return Drop.BLACK
        uniform = facts.contrast < UNIFORM_LEVELS
        if self._blur_level == 0.0 or not (uniform or facts.edges < self._blur_level):
            self._blurred_since_ns = None
            return None
        if self._blurred_since_ns is None:
            self._blurred_since_ns = now.mono_ns
        if now.mono_ns - self._blurred_since_ns < self._frozen_ns:
            return None
        return Drop.UNIFORM if uniform else Drop.BLURRED

    def _watch_change(self, sample: npt.NDArray[np.uint8], now: Instant) -> None:
        if self._reference is None or not _same_picture(self._reference, sample):
            self._reference, self._reference_ns = sample, now.mono_ns
        self._newest_ns = now.mono_ns

    def _settle(self, now: Instant) -> SensorState:
        state = self._judge(now)
        if state is not self._state:
            self._state, self._since_ns = state, now.utc_ns
        return state

    def _judge(self, now: Instant) -> SensorState:
        if self._link in (SensorState.ENDED, SensorState.GONE):
            return self._link
        if now.mono_ns - self._heard_ns > self._late_ns:
            return SensorState.LATE
        if self._link is SensorState.STARTING:
            return SensorState.STARTING
        # A blind camera's picture is as still as a frozen one's; "blind" is what helps its owner.
        if self._blind is not None:
            return SensorState.BLIND
        # Both must hold: the same picture, and frames that kept coming over that time. Silence
        # between two equal frames proves nothing but silence.
        if self._newest_ns - self._reference_ns >= self._frozen_ns:
            return SensorState.FROZEN
        return SensorState.LIVE


def _same_picture(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> bool:
    if a.shape != b.shape:
        return False
    # |a − b| without leaving uint8 and without wrapping round.
    difference = np.maximum(a, b) - np.minimum(a, b)
    return int(difference.max()) <= SAME_LEVELS
