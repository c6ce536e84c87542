"""The graph that a site file asks for: which stages in which groups, which processes around them.

In: a `SiteConfig` and the folder its paths are relative to. Out: freshly built `StageGroup`s for
either host, and the list of processes of a live unit. The same functions serve live, replay and
simulation, so that there is one pipeline and not three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rsu.config.base import utc_ns
from rsu.config.cameras import CameraOptions, PoseCalibration, RotationCalibration
from rsu.config.model import SiteConfig
from rsu.config.simulation import played
from rsu.runtime.stage import Stage, StageGroup
from rsu.schema.events import RoadSign
from rsu.schema.sensing import SensorKind
from rsu.schema.units import Instant, Vec2

if TYPE_CHECKING:
    from rsu.config.devices import DeviceOptions
    from rsu.config.privacy import PrivacyOptions
    from rsu.fusion.occlusion import Viewpoint
    from rsu.perception.detector import Detector
    from rsu.site.lanes import SiteMap
    from rsu.situation.parking.views import CameraView
    from rsu.uplink.profiles.base import Place
    from rsu.v2x.unit import Unit

SIMULATION_WORKER = "rsu.sim.worker:SimulationWorker"
"""Loaded by name: the runtime does not depend on the simulator."""
RENDERED_CAMERA = "rsu.sim.camera_worker:RenderedCameraWorker"
WEB_WORKER = "rsu.web.worker:WebWorker"
"""Loaded by name, too: nothing of the dashboard is needed to run a unit."""
CORE = "core"
HEARD = "v2x"
"""Sensor id of all that is heard by radio (`V2xObjects.sensor`)."""
REPORTS = "reports"
SIMULATED_SIGNALS = "signals"
"""Controller of a simulated site whose file names none."""


def sensors_of(config: SiteConfig) -> dict[str, SensorKind]:
    """Every configured sensor and its kind. What is heard by radio is none: silence there is no
    fault."""
    cameras = {camera.id: SensorKind.CAMERA for camera in config.cameras}
    return cameras | {name: kind for name, (kind, _) in devices_of(config).items()}


DEVICE_SECTIONS = {
    "radars": SensorKind.RADAR,
    "signals": SensorKind.SIGNAL,
    "bay_sensors": SensorKind.PARKING,
    "gnss": SensorKind.GNSS,
    "environment": SensorKind.ENVIRONMENT,
}
"""Sections of the site file that hold self-sending devices, and what kind these are."""


def devices_of(config: SiteConfig) -> dict[str, tuple[SensorKind, DeviceOptions]]:
    """Self-sending devices by id: kind and options."""
    return {
        options.id: (kind, options)
        for section, kind in DEVICE_SECTIONS.items()
        for options in getattr(config, section, ())
    }


def load_map(config: SiteConfig, base: Path) -> SiteMap:
    """The site's lanes and zones (empty where the site file names none)."""
    from rsu.site.geodesy import LocalFrame
    from rsu.site.lanes import load_site_map

    origin = config.site.origin
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    lanes, zones = config.site.lanes, config.site.zones
    return load_site_map(frame, base / lanes if lanes else None, base / zones if zones else None)


def core_builder(config: SiteConfig, base: Path) -> Callable[[Instant], StageGroup]:
    """Builder of the core: fusion → situation → V2X in one group, so that a detection becomes
    bytes without leaving the process."""
    return partial(_build_core, config, load_map(config, base))


def _build_core(config: SiteConfig, site_map: SiteMap, boot: Instant) -> StageGroup:
    from rsu.fusion.stage import FusionStage
    from rsu.situation.assembly import situation_stage

    stages: list[Stage] = [FusionStage(config.fusion, boot, viewpoints(config), site_map)]
    if config.v2x is not None:
        from rsu.v2x.receive.stage import ReceiveStage
        from rsu.v2x.stage import V2xStage

        unit = unit_of(config, site_map)
        if config.v2x.receive.enabled:
            stages.insert(0, ReceiveStage(config.v2x.receive, unit, boot))
            stages += _priority(config, site_map)
        # Before situation: what goes on the air does not wait for statistics.
        stages.append(V2xStage(config.v2x, unit, boot, signs_of(config, site_map)))
    views = camera_views(config) if site_map.bays else ()
    stages.append(situation_stage(config.situation, site_map, boot, views))
    return StageGroup(CORE, stages, boot)


def camera_views(config: SiteConfig) -> tuple[CameraView, ...]:
    """How every camera projects the site; without one whose calibration cannot be used."""
    from rsu.perception.camera_model import camera_model
    from rsu.perception.errors import CalibrationError
    from rsu.situation.parking.views import CameraView

    views = []
    for camera in config.cameras:
        try:
            model = camera_model(camera.calibration)
        except CalibrationError:  # its own process says so when it starts
            continue
        views.append(
            CameraView(
                camera.id, model.projection, model.width, model.height, model.position,
                camera.max_range,
            )
        )  # fmt: skip
    return tuple(views)


def viewpoints(config: SiteConfig) -> dict[str, Viewpoint]:
    """Where cameras hang, as far as their calibration says so in plain numbers: one by surveyed
    points does not, and working it out needs an image library that the core goes without."""
    from rsu.fusion.occlusion import Viewpoint

    out = {}
    for camera in config.cameras:
        known = camera.calibration
        if isinstance(known, PoseCalibration):
            out[camera.id] = Viewpoint(known.pose.x, known.pose.y, known.pose.z)
        elif isinstance(known, RotationCalibration):
            columns = zip(*known.extrinsic, strict=True)
            *turn, shift = (tuple(column) for column in columns)  # the camera is at −Rᵀ·t
            place = (-sum(r * t for r, t in zip(axis, shift, strict=True)) for axis in turn)
            out[camera.id] = Viewpoint(*place)
    return out


def _priority(config: SiteConfig, site_map: SiteMap) -> list[Stage]:
    """Answers to requests for signal priority, where they are wanted."""
    from rsu.situation.priority import PriorityStage

    options = config.situation.priority
    if not options.enabled:
        return []
    controllers = commanded_controllers(config)
    return [PriorityStage(options, site_map, config.site.intersection, controllers)]


def commanded_controllers(config: SiteConfig) -> frozenset[str]:
    """Signal controllers that take commands: by their drivers' options, or the simulator's."""
    world = config.simulation
    if world is not None and not config.signals:
        return frozenset({SIMULATED_SIGNALS} if world.signals == "actuated" else ())
    return frozenset(
        one.id
        for one in config.signals
        if (
            world.signals == "actuated"
            if world is not None and played(one)
            else getattr(one, "commands", "none") != "none"
        )
    )


def unit_of(config: SiteConfig, site_map: SiteMap) -> Unit:
    """Who speaks and where it stands. Only for a site with a section `v2x`."""
    from rsu.v2x.unit import Unit

    assert config.v2x is not None
    return Unit(
        rsu_id=config.v2x.rsu_id.lower(),
        site=site_map,
        antenna_height=config.v2x.antenna_height,
        region=config.site.region,
        intersection=config.site.intersection,
        name=config.site.title,
        sensors={**sensors_of(config), HEARD: SensorKind.V2X},
    )


def signs_of(config: SiteConfig, site_map: SiteMap) -> list[RoadSign]:
    """The site's traffic signs, in its frame."""
    signs = []
    for sign in config.site.signs:
        x, y, _ = site_map.frame.to_enu(sign.latitude, sign.longitude)
        signs.append(
            RoadSign(
                id=sign.id,
                code=sign.code,
                itis=sign.itis,
                position=Vec2(x, y),
                lanes=sign.lanes,
                description=sign.description,
                severity=sign.severity,
                start_ns=utc_ns(sign.from_utc) if sign.from_utc else None,
                end_ns=utc_ns(sign.until_utc) if sign.until_utc else None,
            )
        )
    return signs


def profiles_of(config: SiteConfig) -> list[str]:
    """The message sets that the unit speaks."""
    v2x = config.v2x
    return [] if v2x is None else [one.profile for one in (v2x.csae, v2x.sae) if one is not None]


def reports_builder(config: SiteConfig, base: Path) -> Callable[[Instant], StageGroup] | None:
    """Builder of the upstream reports; None where the site has no uplink."""
    if config.uplink is None:
        return None
    uplink = config.uplink
    site_map = load_map(config, base)

    def build(boot: Instant) -> StageGroup:
        from rsu.uplink.reports import ReportStage

        place = place_of(config, site_map)
        stages: list[Stage] = [ReportStage(uplink, place, boot)]
        if uplink.downlink.enabled:
            from rsu.uplink.downlink import DownlinkStage

            stages.append(DownlinkStage(uplink.downlink, place))
        return StageGroup(REPORTS, stages, boot)

    return build


def place_of(config: SiteConfig, site_map: SiteMap) -> Place:
    """Who reports, and from where."""
    import rsu
    from rsu.uplink.profiles.base import Place

    v2x = config.v2x
    return Place(
        site=config.site.id, title=config.site.title, frame=site_map.frame, site_map=site_map,
        region=config.site.region, intersection=config.site.intersection,
        rsu_id=None if v2x is None else v2x.rsu_id.lower(),
        profile=v2x.csae.profile if v2x is not None and v2x.csae is not None else "",
        version=rsu.__version__,
    )  # fmt: skip


def replayable_builders(
    config: SiteConfig, base: Path
) -> dict[str, Callable[[Instant], StageGroup]]:
    """Groups whose inputs are all in a recording, by name."""
    builders = {CORE: core_builder(config, base)}
    reports = reports_builder(config, base)
    if reports is not None:
        builders[REPORTS] = reports
    return builders


def camera_group(
    camera: CameraOptions,
    detector: Detector,
    boot: Instant,
    privacy: PrivacyOptions | None = None,
) -> StageGroup:
    """Perception of one camera: frame in, detections on the ground out, previews with `privacy`."""
    from rsu.perception.stage import PerceptionStage

    return StageGroup(f"camera:{camera.id}", [PerceptionStage(camera, detector, privacy)], boot)


@dataclass(frozen=True)
class ProcessPlan:
    """One process of a live unit.

    `role` picks its worker (`rsu.runtime.workers`), `name` is unique; processes of a lower `tier`
    are ready before those of a higher one start, and stop after them.
    """

    name: str
    role: str
    tier: int
    instance: str = ""


def process_plans(config: SiteConfig) -> list[ProcessPlan]:
    """The processes of a live unit: first who keeps and sends, then who thinks, then who sees.

    In this order the recording holds the first detection and the journal's START. Cameras with
    modelled detections, and other devices that the simulator plays, share its process.
    """
    plans: list[ProcessPlan] = []
    if config.recording is not None:
        plans.append(ProcessPlan("recorder", "recorder", 0))
    plans.extend(ProcessPlan(f"radio:{radio.id}", "radio", 1, radio.id) for radio in config.radios)
    if config.uplink is not None:
        plans.append(ProcessPlan("uplink", "uplink", 1))
    plans.append(ProcessPlan("core", "core", 2))
    simulated = config.simulation is not None
    plans.extend(
        ProcessPlan(f"{kind}:{name}", "device", 3, name)
        for name, (kind, options) in devices_of(config).items()
        if not (simulated and played(options))
    )
    cameras: list[ProcessPlan] = []
    for camera in config.cameras:
        name = f"camera:{camera.id}"
        if camera.detector.driver == "modelled":
            continue
        if camera.source.driver == "sim":
            rendered = f"{RENDERED_CAMERA}/{camera.id}"
            cameras.append(ProcessPlan(name, "foreign", 3, rendered))
        else:
            cameras.append(ProcessPlan(name, "camera", 3, camera.id))
    if any(
        one.detector.driver == "modelled" or one.source.driver == "sim" for one in config.cameras
    ):
        # First: it lets its world run for a while before anybody looks; cameras prepare meanwhile.
        plans.append(ProcessPlan("simulation", "foreign", 3, SIMULATION_WORKER))
    plans += cameras
    if config.web is not None and config.web.enabled:
        plans.append(ProcessPlan("web", "foreign", 4, WEB_WORKER))
    return plans
