"""Section `simulation`: the built-in world and its sensor models."""

from typing import Literal

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive, Probability
from rsu.config.devices import DeviceOptions
from rsu.config.radars import Ars408Options
from rsu.config.signals import TscbmOptions


class SimulationOptions(Options):
    """A world made from the site's lanes; deterministic in (options, seed)."""

    seed: int = Field(1, ge=0, description="The same seed, the same traffic (`rsu run`).")
    vehicles_per_hour: NonNegative = Field(
        900.0, le=20_000, description="Demand over all entry lanes, veh/h."
    )
    pedestrians_per_hour: NonNegative = Field(240.0, le=20_000)
    cycle_s: Positive = Field(60.0, description="Signal cycle, s.")
    signals: Literal["fixed", "actuated"] = Field(
        "fixed", description="actuated: greens answer to demand and to requests for priority."
    )
    miss_probability: Probability = Field(0.05, description="Of a modelled detection.")
    clutter_per_frame: NonNegative = Field(0.02, description="Mean false detections per frame.")
    latency_s: NonNegative = Field(0.045, description="Modelled capture-to-detection delay, s.")
    jitter_s: NonNegative = Field(0.008, description="1 σ of that delay, s.")


def played(options: DeviceOptions) -> bool:
    """Whether a device of a simulated site is the simulator's: a radar on the in-process CAN bus, a
    controller that sends TSCBM. Others are real ones that look at nothing."""
    if isinstance(options, Ars408Options):
        return options.bus.interface == "virtual"
    return isinstance(options, TscbmOptions)
