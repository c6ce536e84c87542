"""Cross-checks of one camera: source, calibration, detector, classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rsu.config import check_files
from rsu.config.cameras import (
    CameraOptions,
    FileSourceOptions,
    ImagesSourceOptions,
    ModelledDetectorOptions,
    OnnxDetectorOptions,
    RtspSourceOptions,
    SimSourceOptions,
    V4l2SourceOptions,
)
from rsu.config.ground import findings
from rsu.config.messages import nearest, quote
from rsu.config.problems import Location, Note
from rsu.schema.sensing import ObjectClass

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def notes(camera: CameraOptions, at: Location, base: Path) -> Iterator[Note]:
    yield from _source(camera, (*at, "source"), base)
    for finding in findings(camera.calibration, camera.max_range):
        yield Note((*at, "calibration", *finding.at), finding.message, warning=finding.warning)
    yield from _detector(camera, (*at, "detector"), base)
    known = [member.value for member in ObjectClass]
    for index, name in enumerate(camera.classes):
        if name not in known:
            message = f"{quote(name)} is no class; known: {', '.join(known)}"
            yield Note((*at, "classes", index), message, nearest(name, known))


def _source(camera: CameraOptions, at: Location, base: Path) -> Iterator[Note]:
    source, calibration = camera.source, camera.calibration
    if isinstance(source, FileSourceOptions):
        yield from check_files.file(source.path, base, (*at, "path"), "video file")
    elif isinstance(source, ImagesSourceOptions):
        yield from _images(source, base, (*at, "path"))
    elif isinstance(source, RtspSourceOptions):
        yield from check_files.secret(source.credentials_file, base, (*at, "credentials_file"))
    elif isinstance(source, V4l2SourceOptions):
        device = Path(f"/dev/video{source.device}" if source.device.isdigit() else source.device)
        if not device.exists():
            yield Note((*at, "device"), f"there is no {device} on this machine", warning=True)
    start = getattr(source, "start_utc", None)
    if start is not None and not check_files.is_time(start):
        yield Note((*at, "start_utc"), f"{quote(start)} is no date that exists")
    reconnect = source.reconnect
    if reconnect.first_s > reconnect.longest_s:
        yield Note((*at, "reconnect", "first_s"), "is longer than longest_s")
    width, height = getattr(source, "width", None), getattr(source, "height", None)
    if width and height:
        # A stream may be scaled, but not stretched: 1 % is rounding to whole macroblocks.
        stretch = width / height * calibration.image_height / calibration.image_width
        if not 0.99 < stretch < 1.01:
            message = (
                f"frames of {width}×{height} px do not have the shape of the calibration's "
                f"{calibration.image_width}×{calibration.image_height} px"
            )
            yield Note((*at, "width"), message)


def _images(source: ImagesSourceOptions, base: Path, at: Location) -> Iterator[Note]:
    folder = base / source.path
    try:
        if not folder.is_dir():
            yield Note(at, f"there is no folder {quote(str(source.path))}")
        elif not any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in folder.iterdir()):
            yield Note(at, f"the folder {quote(str(source.path))} holds no images")
    except OSError as error:
        yield Note(at, f"cannot be looked into: {error.strerror}", warning=True)


def _detector(camera: CameraOptions, at: Location, base: Path) -> Iterator[Note]:
    detector = camera.detector
    if isinstance(detector, ModelledDetectorOptions):
        if not isinstance(camera.source, SimSourceOptions):
            message = "'modelled' invents detections: only cameras with `driver: sim` may have it"
            yield Note((*at, "driver"), message)
    elif isinstance(detector, OnnxDetectorOptions):
        name = detector.model
        if name.endswith(".onnx") or "/" in name:
            onnx = base / Path(name)
            for path, what in ((onnx, "model"), (onnx.with_suffix(".yaml"), "model card")):
                if not path.is_file():
                    message = f"there is no {what} {quote(str(path))} yet: see `rsu models add`"
                    yield Note((*at, "model"), message, warning=True)
                    break
        elif not any((folder / f"{name}.onnx").is_file() for folder in _model_folders(base)):
            message = f"no model {quote(name)} is installed: see `rsu models list`"
            yield Note((*at, "model"), message, warning=True)


def _model_folders(base: Path) -> Iterable[Path]:
    """Where a model may lie; the same folders as `rsu.perception.registry`."""
    import os

    data = os.environ.get("XDG_DATA_HOME")
    home = Path(data) if data else Path("~/.local/share").expanduser()
    own = os.environ.get("RSU_MODELS")
    base = base.absolute()
    yield from (base / "models", base.parent / "models", Path("models"))
    yield Path(own) if own else home / "rsu" / "models"
