"""The parts that interpret the scene at a site, in the order in which they read a picture.

In: the options and the map. Out: the `SituationStage`. Whoever adds a part adds it here.
"""

from __future__ import annotations

from collections.abc import Sequence

from rsu.config.situation import SituationOptions
from rsu.schema.units import Instant
from rsu.site.lanes import SiteMap
from rsu.situation.conflicts.warnings import Warnings
from rsu.situation.events.book import EventIds
from rsu.situation.events.part import Events
from rsu.situation.parking.part import Parking
from rsu.situation.parking.views import CameraView
from rsu.situation.stage import Part, SituationStage
from rsu.situation.traffic.part import Traffic


def situation_stage(
    options: SituationOptions,
    site_map: SiteMap,
    boot: Instant,
    cameras: Sequence[CameraView] = (),
) -> SituationStage:
    """All parts that this site's map has something to say for; `cameras` are those whose view of
    parking bays is known."""
    ids = EventIds(boot)
    parts: list[Part] = [Events(options.events, site_map, boot, ids)]
    parts.append(Traffic(options.traffic, site_map, boot))
    if site_map.bays:
        parts.append(Parking(options.parking, site_map, ids, cameras))
    if options.warnings.enabled and site_map.lanes:
        parts.append(Warnings(options.warnings, site_map, ids))
    return SituationStage(parts, site_map)
