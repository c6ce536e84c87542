"""Section `simulation`: the built-in world, its sensor models, and which devices it plays."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import NonNegative, Options, Positive, Probability, misfit
from rsu.config.devices import DeviceOptions
from rsu.config.environment import MqttEnvironmentOptions
from rsu.config.gnss import NmeaOptions
from rsu.config.parking import BayMqttOptions
from rsu.config.radars import Ars408Options
from rsu.config.signals import TscbmOptions


class ObuOptions(Options):
    """On-board units: vehicles that tell where they are, and ask signals for priority."""

    share: Probability = Field(
        0.3, description="Of motor vehicles; emergency vehicles and buses in service always speak."
    )
    worlds: tuple[Literal["csae", "sae"], ...] = Field(
        ("csae",), min_length=1, max_length=2, description="Message sets that each of them speaks; "
        "with both it is heard twice, under two names."
    )  # fmt: skip
    loss: Probability = Field(
        0.05, description="Datagrams that are lost on the air (urban PC5 within 150 m; assumed)."
    )
    latency_s: NonNegative = Field(0.02, le=1.0, description="From the state to its arrival, s.")


class SimulationOptions(Options):
    """A world made from the site's lanes; deterministic in (options, seed)."""

    engine: Literal["built-in", "sumo"] = Field(
        "built-in", description="Who drives; sumo needs the extra sim-sumo and a network."
    )
    network: Path | None = Field(
        None, description="SUMO's network (.net.xml), made from the site's lanes by "
        "tools/make_sumo_net.py; relative to the site file."
    )  # fmt: skip
    seed: int = Field(1, ge=0, description="The same seed, the same traffic (`rsu run`).")
    vehicles_per_hour: NonNegative = Field(
        900.0, le=20_000, description="Demand over all entry lanes, veh/h."
    )
    pedestrians_per_hour: NonNegative = Field(240.0, le=20_000)
    cycle_s: Positive = Field(60.0, description="Signal cycle, s.")
    signals: Literal["fixed", "actuated"] = Field(
        "fixed", description="actuated: greens answer to demand and to requests for priority."
    )
    obus: ObuOptions | None = Field(None, description="None: no vehicle speaks.")
    road_temperature: float = Field(
        15.0, ge=-40.0, le=80.0, description="Of the road's surface, °C: wet and below 0 is ice."
    )
    miss_probability: Probability = Field(0.05, description="Of a modelled detection.")
    clutter_per_frame: NonNegative = Field(0.02, description="Mean false detections per frame.")
    latency_s: NonNegative = Field(0.045, description="Modelled capture-to-detection delay, s.")
    jitter_s: NonNegative = Field(0.008, description="1 σ of that delay, s.")

    @model_validator(mode="after")
    def _engine_and_network(self) -> Self:
        if self.engine == "sumo" and self.network is None:
            raise misfit("sumo needs a network: name its .net.xml", "engine")
        if self.engine != "sumo" and self.network is not None:
            raise misfit(f"only sumo drives on a network, and engine is {self.engine}", "network")
        return self


SIMULATOR = "simulator"
"""Host of devices that the simulator plays: no name that a real network resolves."""


def played(options: DeviceOptions) -> bool:
    """Whether a device of a simulated site is the simulator's: a radar on the in-process CAN bus, a
    controller that sends TSCBM, and what is reached at the host `simulator` (bay sensors, weather
    stations, GNSS receivers). Others are real ones that look at nothing."""
    if isinstance(options, Ars408Options):
        return options.bus.interface == "virtual"
    if isinstance(options, BayMqttOptions | MqttEnvironmentOptions):
        return options.host == SIMULATOR
    if isinstance(options, NmeaOptions):
        return options.link.kind == "tcp" and options.link.host == SIMULATOR
    return isinstance(options, TscbmOptions)
