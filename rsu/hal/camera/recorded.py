"""A recorded camera in lock-step: every frame in order, as fast as it is asked for, no clock.

The same file and options give the same frames with the same times on every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from rsu.config.cameras import SourceOptions
from rsu.hal.camera.base import FrameSource
from rsu.hal.camera.drivers import source_class
from rsu.hal.errors import DeviceError, EndOfSource
from rsu.schema.frame import CameraFrame


def recorded_frames(sensor: str, options: SourceOptions, base: Path) -> RecordedFrames:
    """Iterate over all frames of a `file` or `images` source (or a plug-in's recorded one).

    Raises UnknownDriver, or DeviceError for a live device, at once; DeviceError for a source that
    cannot be opened with the first frame. Damage at the end shows in `remark`, not as an error.
    """
    make = source_class(options)
    if not make.recorded:
        raise DeviceError(
            f"camera {sensor} is a live device and has no lock-step",
            "replay a recording of it, or use a `file` or `images` source",
        )
    return RecordedFrames(sensor, make(options, base, None))


class RecordedFrames(Iterator[CameraFrame]):
    """The frames of one recorded source.

    The device is let go at the end, by `close`, on leaving a `with` block, and when the iterator is
    simply forgotten. `remark` and `dropped` say what was missing so far; `end` how it ended.
    """

    def __init__(self, sensor: str, source: FrameSource) -> None:
        self.end = ""
        self._sensor = sensor
        self._source = source
        self._frames = 0
        self._opened = False
        self._closed = False

    @property
    def remark(self) -> str:
        return self._source.remark

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self._source.dropped)

    def __next__(self) -> CameraFrame:
        if self._closed:
            raise StopIteration
        try:
            if not self._opened:
                self._source.open()
                self._opened = True
            while (raw := self._source.read(0.0)) is None:
                continue
        except EndOfSource as end:
            self.end = str(end)
            self.close()
            raise StopIteration from None
        except BaseException:
            self.close()
            raise
        number = self._frames + sum(self._source.dropped.values())
        self._frames += 1
        return CameraFrame(self._sensor, number, raw.capture_ns, raw.image)

    def close(self) -> None:
        self._closed = True
        self._source.close()

    def __enter__(self) -> RecordedFrames:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Forgotten half-way: the file must not stay open until some later collection.
        if not getattr(self, "_closed", True):
            self.close()
