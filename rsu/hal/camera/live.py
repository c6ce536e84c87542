"""A camera in real time: one reader thread, a slot of one frame, reconnecting, monitoring.

In goes a driver's frame source, out come the newest frame (`take`) and the camera's health. The
newest frame always wins: a consumer that is too slow loses old frames, never gets behind, and every
lost frame is counted by reason. Counters balance at all times:
received = handed out + in the slot + dropped.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rsu.config.cameras import ReconnectOptions, SourceOptions
from rsu.hal.camera.base import LivePace, RawFrame
from rsu.hal.camera.drivers import frame_source
from rsu.hal.camera.monitor import CameraMonitor, Drop, frame_facts
from rsu.hal.errors import DeviceError, EndOfSource
from rsu.schema.frame import CameraFrame
from rsu.schema.health import SensorHealth
from rsu.schema.units import Instant

READ_S = 0.25
"""Longest wait in one `read`, s: how often the thread looks whether it should stop."""
STOP_S = 2.0
"""How long `stop` waits for the thread, s; a unit has 4 s to stop altogether. A thread that sits in
a native open longer than that is left behind: it is a daemon and lets the device go when it can."""


class LiveCamera:
    """One camera of a running unit. `start` once, `take` from one thread, `stop` once.

    `options` is the camera's `source` section, `base` the folder of the site file. Raises
    UnknownDriver when made; device trouble shows in `health`, never as an exception. `wait`
    replaces sleeping in tests: it takes seconds and returns True when stopping.
    """

    def __init__(
        self,
        sensor: str,
        options: SourceOptions,
        base: Path,
        clock: Callable[[], Instant],
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._sensor = sensor
        self._options = options
        self._clock = clock
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._source = frame_source(options, base, LivePace(clock, self._wait))
        self._monitor = CameraMonitor(sensor, options, clock())
        self._slot: CameraFrame | None = None
        self._news = threading.Condition()  # guards everything above and below
        self._frames = 0  # that came out of the driver
        self._dropped: Counter[str] = Counter()  # here, after the driver
        self._lost: Counter[str] = Counter()  # inside the driver
        self._remark = ""
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"camera-{sensor}", daemon=True)

    @property
    def ended(self) -> bool:
        """A recorded source has reached its end and its last frame was taken."""
        with self._news:
            return self._ended and self._slot is None

    def start(self) -> None:
        self._thread.start()

    def take(self, timeout_s: float) -> CameraFrame | None:
        """The newest frame not yet taken; waits for one up to `timeout_s`, then None."""
        with self._news:
            self._news.wait_for(self._worth_waking, timeout_s)
            frame, self._slot = self._slot, None
            return frame

    def health(self, now: Instant) -> SensorHealth:
        """State and counters at `now`; may be asked from any thread at any time."""
        with self._news:
            received = self._frames + self._lost.total()
            dropped = dict(sorted((self._dropped + self._lost).items()))
            return self._monitor.health(now, received, dropped, self._remark)

    def stop(self) -> bool:
        """Stop and let the device go; True when the thread ended within `STOP_S`."""
        self._stopping.set()
        with self._news:
            self._news.notify_all()
        if not self._thread.is_alive():
            return True
        self._source.close()
        self._thread.join(STOP_S)
        return not self._thread.is_alive()

    def _worth_waking(self) -> bool:
        return self._slot is not None or self._ended or self._stopping.is_set()

    def _run(self) -> None:
        pauses = Backoff(self._options.reconnect)
        while not self._stopping.is_set():
            try:
                self._source.open()
                with self._news:
                    self._monitor.opened(self._clock())
                self._read_until_broken(pauses)
            except EndOfSource as end:
                self._finish(str(end))
                return
            except DeviceError as error:
                self._note_loss(str(error))
            except Exception as error:
                # A driver that breaks its contract must not end the camera silently.
                self._note_loss(f"driver failed: {type(error).__name__}: {error}")
            finally:
                self._source.close()
            if self._stopping.is_set() or self._wait(pauses.next_s()):
                return

    def _read_until_broken(self, pauses: Backoff) -> None:
        while not self._stopping.is_set():
            raw = self._source.read(READ_S)
            if raw is None:
                with self._news:
                    self._note_driver()
                continue
            self._accept(raw)
            pauses.reset()

    def _accept(self, raw: RawFrame) -> None:
        facts = frame_facts(raw.image, raw.capture_ns)  # outside the lock: takes a moment
        with self._news:
            self._note_driver()
            number = self._frames + self._lost.total()
            self._frames += 1
            reason = self._monitor.frame(facts, self._clock())
            if reason is not None:
                self._dropped[reason.value] += 1
                return
            if self._slot is not None:
                self._dropped[Drop.SUPERSEDED.value] += 1
            self._slot = CameraFrame(self._sensor, number, raw.capture_ns, raw.image)
            self._news.notify_all()

    def _note_driver(self) -> None:
        """Copy the driver's counters, which only its own thread may read while it runs."""
        self._lost = Counter(self._source.dropped)
        self._remark = self._source.remark

    def _note_loss(self, detail: str) -> None:
        if self._stopping.is_set():
            return
        with self._news:
            self._note_driver()
            self._monitor.lost(detail, self._clock())

    def _finish(self, detail: str) -> None:
        with self._news:
            self._note_driver()
            self._remark = ""  # the end's own text says it all
            self._monitor.ended(detail, self._clock())
            self._ended = True
            self._news.notify_all()


class Backoff:
    """Pauses between attempts, s: `first_s`, doubled each time up to `longest_s`."""

    def __init__(self, options: ReconnectOptions) -> None:
        self._options = options
        self._next_s = options.first_s

    def next_s(self) -> float:
        pause_s = min(self._next_s, self._options.longest_s)
        self._next_s = min(2 * self._next_s, self._options.longest_s)
        return pause_s

    def reset(self) -> None:
        self._next_s = self._options.first_s
