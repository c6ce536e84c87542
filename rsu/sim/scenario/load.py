"""Scenario file → `Scenario` with its site, or every reason why not, each with its place.

`load_scenario` reads what `rsu sim --scenario` names; `find_scenario` finds it by file or by name
among the shipped ones. What a scenario says of its site (lanes, zones, sensors, stations) is
checked against the site's files here, so that nothing is found out half an hour into a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rsu.config.document import Document, read_document
from rsu.config.load import load_site, validate
from rsu.config.messages import nearest, quote
from rsu.config.model import SiteConfig
from rsu.config.problems import ConfigError, Location, Problem
from rsu.config.simulation import SimulationOptions
from rsu.sim.errors import SimulationError
from rsu.sim.scenario.model import (
    Action,
    Expectation,
    FailSensor,
    MoveSensor,
    ParkIllegally,
    ParkingDemand,
    Scenario,
    SkewSensor,
    WrongWay,
)
from rsu.sim.world.engine import refused
from rsu.site.features import LaneRole
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap, SiteMapError, load_site_map


@dataclass(frozen=True, eq=False)
class LoadedScenario:
    """A scenario, its site file's content and folder, and the site's map."""

    scenario: Scenario
    config: SiteConfig
    base: Path
    site_map: SiteMap


def load_scenario(path: Path) -> LoadedScenario:
    """Read and check. Raises ConfigError with all problems of the scenario or of its site."""
    document = read_document(path)
    problems = list(document.problems)
    scenario = validate(document, Scenario, problems)
    if scenario is None or any(not problem.warning for problem in problems):
        raise ConfigError(problems)
    site = path.parent / scenario.site
    if not site.is_file():
        message = f"there is no site file {quote(str(scenario.site))}"
        raise ConfigError([document.problem(("site",), message)])
    config = load_site(site)
    if config.site.lanes is None:
        raise ConfigError([document.problem(("site",), "the site has no lanes to drive on")])
    try:
        site_map = _site_map(config, site.parent)
    except SiteMapError as error:
        raise ConfigError([document.problem(("site",), str(error))]) from error
    found = list(_misfits(scenario, _Site(config, site_map, document)))
    if found:
        raise ConfigError(found)
    return LoadedScenario(scenario, config, site.parent, site_map)


def scenario_folders() -> tuple[Path, ...]:
    """Where shipped scenarios lie: in a checkout, and in an installed wheel."""
    package = Path(__file__).resolve().parents[2]
    return (package.parent / "configs" / "scenarios", package / "example_sites" / "scenarios")


def scenario_names() -> list[str]:
    """Names of the shipped scenarios."""
    return sorted({file.stem for folder in scenario_folders() for file in folder.glob("*.yaml")})


def find_scenario(name: str) -> Path:
    """The file of a scenario, by path or by the name of a shipped one. Raises SimulationError."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    for folder in scenario_folders():
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = scenario_names()
    close = nearest(name, known)
    hint = f"did you mean {close}?" if close else f"known: {', '.join(known)}"
    raise SimulationError(f"no scenario {quote(name)} ({hint} `rsu sim --list` names them)")


def _site_map(config: SiteConfig, base: Path) -> SiteMap:
    origin, lanes, zones = config.site.origin, config.site.lanes, config.site.zones
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    return load_site_map(frame, base / lanes if lanes else None, base / zones if zones else None)


class _Site:
    """What a scenario may name, and the complaint where it names something else."""

    def __init__(self, config: SiteConfig, site_map: SiteMap, document: Document) -> None:
        self.document = document
        self.simulation = config.simulation or SimulationOptions()
        self.lanes = {lane.id: lane for lane in site_map.lanes}
        self.zones = {zone.id for zone in site_map.zones}
        self.lots = {bay.lot for bay in site_map.bays if bay.lot}
        self.eyes = {one.id for one in (*config.cameras, *config.radars)}
        # Every section whose entries have an id is a sensor or another device that can fail.
        self.sensors = {
            str(one.id)
            for section in type(config).model_fields
            if isinstance(entries := getattr(config, section), tuple)
            for one in entries
            if hasattr(one, "id")
        }

    def unknown(
        self, at: Location, value: str | None, known: Iterable[str], what: str
    ) -> Iterator[Problem]:
        names = sorted(known)
        if value is not None and value not in names:
            message = f"no {what} {quote(value)} at this site"
            yield self.document.problem(at, message, nearest(value, names))


def _misfits(scenario: Scenario, site: _Site) -> Iterator[Problem]:
    """What the scenario says that its site does not have, or that cannot come to pass."""
    for index, action in enumerate(scenario.script):
        at: Location = ("script", index)
        if action.at_s >= scenario.duration_s:
            message = f"comes after the scenario's end ({scenario.duration_s:g} s)"
            yield site.document.problem((*at, "at_s"), message)
        yield from _places(action, at, site)
        if why := refused(site.simulation, action):
            yield site.document.problem((*at, "do"), why)
        if isinstance(action, ParkIllegally):
            yield from site.unknown((*at, "zone"), action.zone, site.zones, "zone")
        if isinstance(action, ParkingDemand):
            yield from site.unknown((*at, "lot"), action.lot, site.lots, "lot")
        if isinstance(action, FailSensor):
            yield from site.unknown((*at, "sensor"), action.sensor, site.sensors, "sensor")
        if isinstance(action, SkewSensor | MoveSensor):
            yield from site.unknown((*at, "sensor"), action.sensor, site.eyes, "camera or radar")
    for index, expectation in enumerate(scenario.expect):
        at = ("expect", index)
        for number, name in enumerate(getattr(expectation, "lanes", ())):
            yield from site.unknown((*at, "lanes", number), name, site.lanes, "lane")
        yield from _windows(expectation, at, scenario.duration_s, site.document)


def _places(action: Action, at: Location, site: _Site) -> Iterator[Problem]:
    for key in ("lane", "to_lane"):
        yield from site.unknown((*at, key), getattr(action, key, None), site.lanes, "lane")
    lane = site.lanes.get(getattr(action, "lane", None) or "")
    if lane is None:
        return
    for key in ("station", "from_station", "to_station", "stop_station"):
        station = getattr(action, key, None)
        if station is not None and station > lane.length:
            message = f"is beyond the end of {lane.id} ({lane.length:.1f} m)"
            yield site.document.problem((*at, key), message)
    if isinstance(action, WrongWay) and lane.role is not LaneRole.EXIT:
        yield site.document.problem((*at, "lane"), f"{lane.id} is no exit lane")


def _windows(
    expectation: Expectation, at: Location, duration_s: float, document: Document
) -> Iterator[Problem]:
    for key in ("begins_s", "ends_s", "during_s"):
        window = getattr(expectation, key, None)
        if window is None:
            continue
        if window[0] >= window[1]:
            yield document.problem((*at, key), "is empty: from, until")
        elif window[1] > duration_s:
            message = f"reaches beyond the scenario's end ({duration_s:g} s)"
            yield document.problem((*at, key), message)
