"""The camera driver table, entry points of other packages, and the device check of v4l2."""

from __future__ import annotations

import errno
import struct
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from rsu.config.cameras import SimSourceOptions, SourceOptions
from rsu.hal import driver_table
from rsu.hal.camera import v4l2
from rsu.hal.camera.drivers import DRIVERS, ENTRY_POINTS, frame_source, source_class
from rsu.hal.driver_table import driver_class, driver_names
from rsu.hal.errors import DeviceError, UnknownDriver


class PigeonOptions(SourceOptions):
    driver: str = "pigeon"


def install(monkeypatch: pytest.MonkeyPatch, name: str, target: str) -> None:
    """Make it look as if another package had registered a camera driver."""

    def entry_points(*, group: str) -> EntryPoints:
        assert group == ENTRY_POINTS
        return EntryPoints([EntryPoint(name, target, group)])

    monkeypatch.setattr(driver_table, "entry_points", entry_points)


def test_an_unknown_driver_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownDriver, match=r"'pigeon'.*file, images, rtsp, sim, v4l2"):
        source_class(PigeonOptions())


def test_another_package_can_bring_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "pigeon", "rsu.hal.camera.file:FileSource")
    assert source_class(PigeonOptions()).__name__ == "FileSource"
    assert "pigeon" in driver_names(DRIVERS, ENTRY_POINTS)


def test_another_package_cannot_replace_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "file", "rsu.hal.camera.images:ImagesSource")
    assert driver_class("file", DRIVERS, ENTRY_POINTS).__name__ == "FileSource"


@pytest.mark.parametrize("target", ["no_such_package:Camera", "rsu.hal.camera.file:Absent"])
def test_a_driver_that_cannot_be_loaded_says_why(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "pigeon", target)
    with pytest.raises(UnknownDriver, match="cannot be loaded") as caught:
        source_class(PigeonOptions())
    assert caught.value.next_step


def test_simulated_cameras_point_to_modelled_detections_until_they_can_render(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(DRIVERS, "sim", "rsu.sim.no_such_module:SimCamera")
    with pytest.raises(UnknownDriver, match="driver: modelled"):
        frame_source(SimSourceOptions(driver="sim"), Path(), None)


def test_looking_a_driver_up_imports_no_other_driver() -> None:
    code = (
        "import sys; from rsu.config.radios import FileRadioOptions as O;"
        "from rsu.hal.radio.drivers import make_radio; from pathlib import Path;"
        "import rsu.hal.camera.drivers; make_radio(O(id='r', driver='file', path='x'), Path());"
        "sys.exit(any(m in sys.modules for m in ('cv2', 'numpy', 'rsu.hal.radio.udp')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_device_index_means_dev_video(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="/dev/video97 is missing"):
        v4l2.check_device("/dev/video97")


def test_what_is_no_video_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    with pytest.raises(DeviceError, match="is no device"):
        v4l2.check_device(str(tmp_path / "video0"))
    with pytest.raises(DeviceError, match="is no video device"):
        v4l2.check_device("/dev/null")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.EBUSY, "is busy"),
        (errno.EACCES, "may not be opened"),
        (errno.ENODEV, "is missing"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_why_a_device_does_not_open_is_told(
    code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, __import__("os").strerror(code))

    monkeypatch.setattr(v4l2.os, "open", refuse)
    with pytest.raises(DeviceError, match=says) as caught:
        v4l2.check_device("/dev/null")
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("whole", "own", "camera"),
    [
        (0x00000001, 0, True),  # an old driver: no device_caps
        (0x84A00001, 0x04200001, True),  # the image node of a USB camera
        (0x84A00001, 0x04A00000, False),  # its metadata node
        (0x84201000, 0x04201000, True),  # multi-planar (CSI)
        (0x00000002, 0, False),  # an output
    ],
)
def test_image_nodes_are_told_from_metadata_nodes(
    whole: int, own: int, camera: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ioctl(_handle: int, request: int, _buffer: bytes) -> bytes:
        asked.append(request)
        return struct.pack("=16s32s32sIII12x", b"uvc", b"cam", b"usb", 0x060100, whole, own)

    monkeypatch.setattr(v4l2.fcntl, "ioctl", ioctl)
    if camera:
        v4l2.check_device("/dev/null")
    else:
        with pytest.raises(DeviceError, match="delivers no images"):
            v4l2.check_device("/dev/null")
    assert asked == [0x80685600]  # VIDIOC_QUERYCAP of linux/videodev2.h
