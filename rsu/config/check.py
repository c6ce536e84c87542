"""Cross-checks over a whole site file: does it fit together, and the world it stands in?

`check_site` examines one file and adds what no single field can tell: ids that clash, map files
that do not read, videos and models that are not there, calibrations that miss the road, settings
that contradict each other. Errors keep a unit from doing what the file says; warnings are for a
person to weigh. Nothing heavy is imported, no device is opened, no network is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rsu.config import check_cameras, check_devices, check_links, check_uplink, check_v2x, check_web
from rsu.config.document import Document
from rsu.config.load import examine
from rsu.config.model import SiteConfig
from rsu.config.problems import ConfigError, Note, Problem
from rsu.config.radios import FileRadioOptions
from rsu.site.features import MapFeatures, read_map

_WITH_IDS = ("cameras", "radars", "signals", "bay_sensors", "gnss", "environment", "radios")
"""Sections whose entries share one name space: a source of facts, of health, a process."""


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
    features = _features(config, base)
    yield from _map(config, base, features)
    for index, camera in enumerate(config.cameras):
        yield from check_cameras.notes(camera, ("cameras", index), base)
    yield from _fusion(config)
    readable = None if features.errors else features
    yield from check_devices.notes(config, readable)
    yield from check_v2x.notes(config, readable)
    yield from check_links.notes(config, base)
    yield from check_uplink.notes(config, readable)
    yield from check_web.notes(config, base)
    yield from _radios(config)
    yield from _recording(config)


def _ids(config: SiteConfig) -> Iterator[Note]:
    first: dict[str, str] = {}
    for section in _WITH_IDS:
        for index, one in enumerate(getattr(config, section)):
            if one.id in first:
                message = f"'{one.id}' is already the id of {first[one.id]}"
                yield Note((section, index, "id"), message)
            first.setdefault(one.id, f"{section}[{index}]")


def _features(config: SiteConfig, base: Path) -> MapFeatures:
    site = config.site
    lanes = base / site.lanes if site.lanes is not None else None
    zones = base / site.zones if site.zones is not None else None
    return read_map(lanes, zones, (site.origin.latitude, site.origin.longitude))


def _map(config: SiteConfig, base: Path, found: MapFeatures) -> Iterator[Note]:
    site = config.site
    lanes = base / site.lanes if site.lanes is not None else None
    for problem in found.problems:
        where = "lanes" if problem.file == lanes else "zones"
        written = site.lanes if problem.file == lanes else site.zones
        place = f":{problem.line}:{problem.column}" if problem.line is not None else ""
        yield Note(("site", where), f"{written}{place}: {problem.text}", warning=problem.warning)
    if lanes is None and config.simulation is not None:
        yield Note(("simulation",), "the simulated world needs lanes: set site.lanes")


# --- sections that must agree ---------------------------------------------------------------------


def _fusion(config: SiteConfig) -> Iterator[Note]:
    fusion = config.fusion
    if fusion.birth_probability < fusion.delete_probability:
        message = "is below delete_probability: no track would live"
        yield Note(("fusion", "birth_probability"), message)
    if fusion.confirm_probability <= fusion.delete_probability:
        message = "is not above delete_probability: tracks would be published as they are dropped"
        yield Note(("fusion", "confirm_probability"), message)


def _radios(config: SiteConfig) -> Iterator[Note]:
    files: dict[Path, str] = {}
    for index, radio in enumerate(config.radios):
        if isinstance(radio, FileRadioOptions):
            if radio.path in files:
                message = f"radio '{files[radio.path]}' writes there already"
                yield Note(("radios", index, "path"), message)
            files.setdefault(radio.path, radio.id)


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
