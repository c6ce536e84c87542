"""The table of camera drivers and the one way to make a frame source from its options.

Adding a driver is one module and one line here (or an entry point in the group
`rsu.drivers.camera` of another package).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from rsu.hal.driver_table import driver_class
from rsu.hal.errors import UnknownDriver

if TYPE_CHECKING:
    from rsu.config.cameras import SourceOptions
    from rsu.hal.camera.base import FrameSource, FrameSourceClass, LivePace

ENTRY_POINTS = "rsu.drivers.camera"

DRIVERS = {
    "file": "rsu.hal.camera.file:FileSource",
    "images": "rsu.hal.camera.images:ImagesSource",
    "rtsp": "rsu.hal.camera.rtsp:RtspSource",
    "v4l2": "rsu.hal.camera.v4l2:V4l2Source",
    "sim": "rsu.sim.camera:SimCamera",
}


def frame_source(options: SourceOptions, base: Path, pace: LivePace | None) -> FrameSource:
    """A closed frame source for these options; raises UnknownDriver.

    `options` is a member of `rsu.config.cameras.CameraSource` (or a plug-in's own model): its
    `driver` names the class.
    """
    return source_class(options)(options, base, pace)


def source_class(options: SourceOptions) -> FrameSourceClass:
    """The class that `options.driver` names; raises UnknownDriver."""
    name = str(getattr(options, "driver", ""))
    try:
        return cast("FrameSourceClass", driver_class(name, DRIVERS, ENTRY_POINTS))
    except UnknownDriver as error:
        if name == "sim":
            raise UnknownDriver(
                "this version renders no camera images",
                "set `detector: {driver: modelled}`: the simulator then hands over detections",
            ) from error
        raise
