"""The whole site file as one model."""

from pydantic import Field

from rsu.config.base import Options
from rsu.config.cameras import CameraOptions
from rsu.config.environment import Environment
from rsu.config.fusion import FusionOptions
from rsu.config.gnss import Gnss
from rsu.config.parking import BaySensor
from rsu.config.place import PlaceOptions
from rsu.config.privacy import PrivacyOptions
from rsu.config.radars import Radar
from rsu.config.radios import Radio
from rsu.config.running import AuditOptions, RecordingOptions, RuntimeOptions
from rsu.config.signals import Signal
from rsu.config.simulation import SimulationOptions
from rsu.config.situation import SituationOptions
from rsu.config.uplink import UplinkOptions
from rsu.config.v2x import V2xOptions
from rsu.config.web import WebOptions


class SiteConfig(Options):
    """One roadside unit at one site."""

    site: PlaceOptions
    cameras: tuple[CameraOptions, ...] = Field((), max_length=16)
    radars: tuple[Radar, ...] = Field((), max_length=16)
    signals: tuple[Signal, ...] = Field((), max_length=32)
    bay_sensors: tuple[BaySensor, ...] = Field((), max_length=32)
    gnss: tuple[Gnss, ...] = Field((), max_length=4)
    environment: tuple[Environment, ...] = Field((), max_length=64)
    fusion: FusionOptions = FusionOptions()
    situation: SituationOptions = SituationOptions()
    v2x: V2xOptions | None = Field(None, description="None: perceive and report, say nothing.")
    radios: tuple[Radio, ...] = Field((), max_length=8)
    uplink: UplinkOptions | None = Field(None, description="None: no broker.")
    recording: RecordingOptions | None = Field(None, description="None: nothing is recorded.")
    privacy: PrivacyOptions = PrivacyOptions()
    audit: AuditOptions = AuditOptions()
    runtime: RuntimeOptions = RuntimeOptions()
    web: WebOptions | None = Field(None, description="None: no dashboard.")
    simulation: SimulationOptions | None = None
