"""Cross-checks of the uplink's profiles and downlink against message sets, map and each other.

In: a valid `SiteConfig` and the features of its map (None where the map itself has errors). Out:
notes.
"""

from __future__ import annotations

from collections.abc import Iterator

from rsu.config.messages import nearest, quote
from rsu.config.model import SiteConfig
from rsu.config.platforms import (
    FiwareProfile,
    HisenseProfile,
    HuaweiDrisProfile,
    OpenV2xProfile,
    PlainProfile,
    Profile,
)
from rsu.config.problems import Location, Note
from rsu.config.uplink import UplinkOptions
from rsu.site.features import MapFeatures, ZoneKind

Topics = tuple[str, ...]


def notes(config: SiteConfig, features: MapFeatures | None) -> Iterator[Note]:
    """All notes on `uplink.profiles` and `uplink.downlink`."""
    uplink = config.uplink
    if uplink is None:
        return
    first: dict[Topics, int] = {}
    for index, profile in enumerate(uplink.profiles):
        at: Location = ("uplink", "profiles", index)
        topics = _topics(profile, uplink)
        if topics in first:
            yield Note(at, f"has the topics of uplink.profiles[{first[topics]}]")
        first.setdefault(topics, index)
        yield from _needs(config, profile, at)
        if isinstance(profile, FiwareProfile) and features is not None:
            yield from _lots(profile, features, at)
    if not uplink.profiles:
        yield Note(("uplink", "profiles"), "is empty: nothing is reported", warning=True)
    if uplink.downlink.enabled and config.v2x is None:
        at = ("uplink", "downlink", "enabled")
        yield Note(at, "nothing is said without a section v2x", warning=True)


def _topics(profile: Profile, uplink: UplinkOptions) -> Topics:
    """What tells its topics from those of another."""
    if isinstance(profile, PlainProfile):
        return (profile.topic_prefix or uplink.topic_prefix,)
    if isinstance(profile, FiwareProfile):
        return (profile.topic_prefix,)
    if isinstance(profile, OpenV2xProfile):
        return profile.kind, profile.delimiter, profile.esn
    if isinstance(profile, HuaweiDrisProfile):
        return profile.kind, profile.esn
    return (profile.kind,)


def _needs(config: SiteConfig, profile: Profile, at: Location) -> Iterator[Note]:
    """Some pass on what is on the air, or what is heard."""
    if isinstance(profile, HuaweiDrisProfile | OpenV2xProfile | HisenseProfile) and (
        config.v2x is None or config.v2x.csae is None
    ):
        yield Note((*at, "kind"), "passes on what is said on the air: it needs v2x.csae")
    deaf = config.v2x is not None and not config.v2x.receive.enabled
    if isinstance(profile, HisenseProfile) and profile.heard and deaf:
        message = "nothing is heard: v2x.receive.enabled is false"
        yield Note((*at, "heard"), message, warning=True)


def _lots(profile: FiwareProfile, features: MapFeatures, at: Location) -> Iterator[Note]:
    lots = sorted({z.lot for z in features.zones if z.kind is ZoneKind.BAY and z.lot is not None})
    for index, name in enumerate(profile.on_street):
        if name not in lots:
            known = f"there is no lot {quote(name)} on the map"
            yield Note((*at, "on_street", index), known, nearest(name, lots))
