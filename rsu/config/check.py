"""Cross-checks over a whole site file: does it fit together, and the world it stands in?

`check_site` examines one file and adds what no single field can tell: ids that clash, map files
that do not read, videos and models that are not there, calibrations that miss the road, settings
that contradict each other. Errors keep a unit from doing what the file says; warnings are for a
person to weigh. Nothing heavy is imported, no device is opened, no network is touched.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

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
from rsu.config.document import Document
from rsu.config.ground import findings
from rsu.config.load import examine
from rsu.config.messages import nearest, quote
from rsu.config.model import SiteConfig
from rsu.config.problems import ConfigError, Location, Problem
from rsu.config.radios import FileRadioOptions, UdpRadioOptions
from rsu.config.uplink import UplinkOptions
from rsu.schema.sensing import ObjectClass

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class Note:
    """What a check found: where in the config, what, and what was probably meant."""

    at: Location
    message: str
    suggestion: str | None = None
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known about one site file; `config` is None when it is not valid."""

    file: Path
    config: SiteConfig | None
    document: Document | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.warning]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.warning]


def check_site(path: Path) -> Report:
    """Read, validate and cross-check one site file; never raises for what it holds."""
    examined = examine(path)
    problems = list(examined.problems)
    if examined.config is not None and examined.document is not None:
        seen = {(problem.line, problem.column) for problem in problems}
        for note in notes(examined.config, path.parent):
            problem = examined.document.problem(
                note.at, note.message, note.suggestion, warning=note.warning
            )
            if (problem.line, problem.column) not in seen:  # the first complaint is the cause
                problems.append(problem)
    valid = not any(problem.warning is False for problem in examined.problems)
    problems.sort(key=lambda p: (p.line, p.column, p.path, p.message))
    return Report(path, examined.config if valid else None, examined.document, tuple(problems))


def checked_site(path: Path) -> SiteConfig:
    """The config of a file without errors (warnings pass); ConfigError with all of them else."""
    report = check_site(path)
    if report.errors or report.config is None:
        raise ConfigError(report.errors)
    return report.config


def notes(config: SiteConfig, base: Path) -> Iterator[Note]:
    """All cross-checks; `base` is the folder that relative paths start from."""
    yield from _ids(config)
    yield from _map(config, base)
    for index, camera in enumerate(config.cameras):
        yield from _camera(camera, ("cameras", index), base)
    yield from _fusion(config)
    yield from _air(config)
    yield from _radios(config)
    if config.uplink is not None:
        yield from _uplink(config.uplink, base)
    yield from _recording(config)


def _ids(config: SiteConfig) -> Iterator[Note]:
    first: dict[str, str] = {}
    named = [("cameras", camera.id) for camera in config.cameras]
    named += [("radios", radio.id) for radio in config.radios]
    counts = {"cameras": 0, "radios": 0}
    for section, name in named:
        index = counts[section]
        counts[section] += 1
        if name in first:
            yield Note((section, index, "id"), f"'{name}' is already the id of {first[name]}")
        first.setdefault(name, f"{section}[{index}]")


def _map(config: SiteConfig, base: Path) -> Iterator[Note]:
    from rsu.site.features import read_map

    site = config.site
    lanes = base / site.lanes if site.lanes is not None else None
    zones = base / site.zones if site.zones is not None else None
    found = read_map(lanes, zones, (site.origin.latitude, site.origin.longitude))
    for problem in found.problems:
        where = "lanes" if problem.file == lanes else "zones"
        written = site.lanes if problem.file == lanes else site.zones
        place = f":{problem.line}:{problem.column}" if problem.line is not None else ""
        yield Note(("site", where), f"{written}{place}: {problem.text}", warning=problem.warning)
    if lanes is None and config.simulation is not None:
        yield Note(("simulation",), "the simulated world needs lanes: set site.lanes")


# --- cameras --------------------------------------------------------------------------------------


def _camera(camera: CameraOptions, at: Location, base: Path) -> Iterator[Note]:
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
        yield from _file(source.path, base, (*at, "path"), "video file")
    elif isinstance(source, ImagesSourceOptions):
        yield from _images(source, base, (*at, "path"))
    elif isinstance(source, RtspSourceOptions):
        yield from _secret(source.credentials_file, base, (*at, "credentials_file"))
    elif isinstance(source, V4l2SourceOptions):
        device = Path(f"/dev/video{source.device}" if source.device.isdigit() else source.device)
        if not device.exists():
            yield Note((*at, "device"), f"there is no {device} on this machine", warning=True)
    start = getattr(source, "start_utc", None)
    if start is not None and not _is_time(start):
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


# --- sections that must agree ---------------------------------------------------------------------


def _fusion(config: SiteConfig) -> Iterator[Note]:
    fusion = config.fusion
    if fusion.birth_probability < fusion.delete_probability:
        message = "is below delete_probability: no track would live"
        yield Note(("fusion", "birth_probability"), message)
    if fusion.confirm_probability <= fusion.delete_probability:
        message = "is not above delete_probability: tracks would be published as they are dropped"
        yield Note(("fusion", "confirm_probability"), message)


def _air(config: SiteConfig) -> Iterator[Note]:
    """What is said on the air, and whether it may be."""
    v2x, radios = config.v2x, config.radios
    if v2x is None:
        if radios:
            yield Note(("radios",), "nothing is sent without a section v2x", warning=True)
        return
    if not radios:
        yield Note(("v2x",), "no radio is configured: nothing leaves the unit", warning=True)
    if not int(v2x.rsu_id, 16):
        yield Note(("v2x", "rsu_id"), "is all zero: it must name this unit")
    if v2x.csae is None and v2x.sae is None:
        yield Note(("v2x",), "neither csae nor sae is spoken: nothing is said", warning=True)
    for index, sign in enumerate(config.site.signs):
        for key in ("from_utc", "until_utc"):
            text = getattr(sign, key)
            if text is not None and not _is_time(text):
                at = ("site", "signs", index, key)
                yield Note(at, f"{quote(text)} is no date that exists")
    on_air = next((r for r in radios if not isinstance(r, FileRadioOptions)), None)
    if on_air is None:
        return
    if v2x.trust_clock:
        message = f"radio '{on_air.id}' would send even with a wrong clock"
        yield Note(("v2x", "trust_clock"), message, warning=True)
    for index, camera in enumerate(config.cameras):
        if isinstance(camera.source, SimSourceOptions):
            message = f"road users that do not exist would go on the air by radio '{on_air.id}'"
            yield Note(("cameras", index, "source", "driver"), message, warning=True)


def _radios(config: SiteConfig) -> Iterator[Note]:
    ports: dict[tuple[str, int], str] = {}
    files: dict[Path, str] = {}
    for index, radio in enumerate(config.radios):
        if isinstance(radio, UdpRadioOptions) and radio.listen_port is not None:
            address = (radio.listen_host, radio.listen_port)
            if address in ports:
                message = f"radio '{ports[address]}' listens there already"
                yield Note(("radios", index, "listen_port"), message)
            ports.setdefault(address, radio.id)
        elif isinstance(radio, FileRadioOptions):
            if radio.path in files:
                message = f"radio '{files[radio.path]}' writes there already"
                yield Note(("radios", index, "path"), message)
            files.setdefault(radio.path, radio.id)


def _uplink(uplink: UplinkOptions, base: Path) -> Iterator[Note]:
    yield from _secret(uplink.password_file, base, ("uplink", "password_file"))
    if uplink.password_file is not None and uplink.username is None:
        yield Note(("uplink", "password_file"), "a password without username is not sent")
    tls = uplink.tls
    if tls is None:
        return
    if tls.ca_file is not None:
        yield from _file(tls.ca_file, base, ("uplink", "tls", "ca_file"), "CA bundle")
    if tls.cert_file is not None:
        yield from _file(tls.cert_file, base, ("uplink", "tls", "cert_file"), "certificate")
    yield from _secret(tls.key_file, base, ("uplink", "tls", "key_file"))
    if (tls.cert_file is None) != (tls.key_file is None):
        missing = "cert_file" if tls.cert_file is None else "key_file"
        yield Note(("uplink", "tls"), f"a client certificate needs {missing} too")


def _recording(config: SiteConfig) -> Iterator[Note]:
    recording = config.recording
    if recording is None:
        return
    if recording.split_bytes > recording.keep_bytes:
        message = f"one file of split_bytes ({recording.split_bytes}) is larger"
        yield Note(("recording", "keep_bytes"), message)
    elif 2 * recording.split_bytes > recording.keep_bytes:
        message = "holds less than two files of split_bytes: half of it is lost at every split"
        yield Note(("recording", "keep_bytes"), message, warning=True)


# --- files ----------------------------------------------------------------------------------------


def _file(path: Path, base: Path, at: Location, what: str) -> Iterator[Note]:
    full = base / path
    try:
        if not full.exists():
            yield Note(at, f"there is no {what} {quote(str(path))}", _sibling(full))
        elif not full.is_file():
            yield Note(at, f"{quote(str(path))} is no file")
    except (OSError, ValueError) as error:
        yield Note(at, f"{quote(str(path))} cannot be looked at: {error}", warning=True)


def _sibling(missing: Path) -> str | None:
    """A file beside a missing one whose name is nearly the same."""
    try:
        names = [entry.name for entry in missing.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    return nearest(missing.name, names)


def _secret(path: Path | None, base: Path, at: Location) -> Iterator[Note]:
    """A secret's file: it is there, and nobody but its owner reads it."""
    if path is None:
        return
    missing = list(_file(path, base, at, "file"))
    yield from missing
    if missing:
        return
    mode = (base / path).stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        octal = f"{stat.S_IMODE(mode):04o}"
        message = f"{quote(str(path))} can be read by others (mode {octal}; 0600 is right)"
        yield Note(at, message, warning=True)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
