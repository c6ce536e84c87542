"""Cross-checks of bay sensors, GNSS receivers and weather stations: names on the map, files there.

Lanes and bays that are named have to be on the map, which a unit would else find out by silence.
"""

from __future__ import annotations

from collections.abc import Iterator

from rsu.config.messages import nearest, quote
from rsu.config.model import SiteConfig
from rsu.config.problems import Note
from rsu.site.features import MapFeatures, ZoneKind


def notes(config: SiteConfig, features: MapFeatures | None) -> Iterator[Note]:
    """Everything that these sections name; `features` None: the map itself does not read."""
    if features is None:
        return
    yield from _bays(config, features)
    yield from _lanes(config, features)


def _bays(config: SiteConfig, features: MapFeatures) -> Iterator[Note]:
    known = [zone.id for zone in features.zones if zone.kind is ZoneKind.BAY]
    first: dict[str, str] = {}
    for index, source in enumerate(config.bay_sensors):
        if not known:
            message = "the map has no bays: draw some in site.zones"
            yield Note(("bay_sensors", index), message, warning=True)
        for name, bay in (source.bays or {}).items():
            at = ("bay_sensors", index, "bays", name)
            if known and bay not in known:
                message = f"there is no bay {quote(bay)} on the map"
                yield Note(at, message, nearest(bay, known))
            if bay in first:
                yield Note(at, f"bay {quote(bay)} already has a sensor of '{first[bay]}'")
        first.update(dict.fromkeys((source.bays or {}).values(), source.id))


def _lanes(config: SiteConfig, features: MapFeatures) -> Iterator[Note]:
    known = [lane.id for lane in features.lanes]
    for index, station in enumerate(config.environment):
        for number, one in enumerate(station.mapping.quantities):
            if one.lane is not None and one.lane not in known:
                at = ("environment", index, "mapping", "quantities", number, "lane")
                message = f"there is no lane {quote(one.lane)} on the map"
                yield Note(at, message, nearest(one.lane, known))
