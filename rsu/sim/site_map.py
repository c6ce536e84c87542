"""The map that a simulated site drives on."""

from __future__ import annotations

from pathlib import Path

from rsu.config.model import SiteConfig
from rsu.sim.errors import SimulationError
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap, SiteMapError, load_site_map


def simulated_map(config: SiteConfig, base: Path) -> SiteMap:
    """The site's map; SimulationError with every problem where there is none to drive on."""
    if config.site.lanes is None:
        raise SimulationError("site.lanes is missing: the simulated world drives on a map's lanes")
    origin = config.site.origin
    zones = None if config.site.zones is None else base / config.site.zones
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    try:
        return load_site_map(frame, base / config.site.lanes, zones)
    except (SiteMapError, OSError) as error:
        raise SimulationError(str(error)) from error
