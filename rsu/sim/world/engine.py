"""Who drives: the traffic of the world from our own drivers, or from SUMO.

The options' `engine` goes in, a maker of `Traffic` comes out. Everything else in the world (lights,
walkers, incidents, weather, truth) is the same for both; what only one of them can do is named
here, so that a scenario is refused before it begins.
"""

from __future__ import annotations

from pathlib import Path

from rsu.config.simulation import SimulationOptions
from rsu.sim.scenario.model import Action, ParkingDemand
from rsu.sim.world.traffic import MakeTraffic, Traffic


def traffic_engine(options: SimulationOptions, base: Path) -> MakeTraffic:
    """The maker that the options name; the network's path is relative to `base`.

    Raises SimulationError at once where SUMO is asked for and not installed.
    """
    if options.engine == "built-in":
        return Traffic.build
    from rsu.sim.world.sumo import sumo_engine

    assert options.network is not None  # the option model sees to that
    return sumo_engine(base / options.network)


def refused(options: SimulationOptions, action: Action) -> str | None:
    """Why the engine cannot carry out an action of a script; None where it can."""
    if options.engine == "sumo" and isinstance(action, ParkingDemand):
        return "the engine sumo knows no parking manoeuvres: use the built-in one"
    return None
