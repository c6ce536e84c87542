"""Every profile by the kind that the site file names."""

from __future__ import annotations

from rsu.config.platforms import (
    FiwareProfile,
    HisenseProfile,
    HuaweiDrisProfile,
    OpenV2xProfile,
    PlainProfile,
)
from rsu.config.platforms import Profile as ProfileOptions
from rsu.schema.units import Instant
from rsu.uplink.profiles.base import Place, Profile


def make_profile(options: ProfileOptions, place: Place, boot: Instant) -> Profile:
    """The profile for its options; what it needs is imported only now."""
    if isinstance(options, PlainProfile):
        from rsu.uplink.profiles.plain import Plain

        return Plain(options, place, boot)
    if isinstance(options, FiwareProfile):
        from rsu.uplink.profiles.fiware import Fiware

        return Fiware(options, place, boot)
    if isinstance(options, HuaweiDrisProfile):
        from rsu.uplink.profiles.huawei import HuaweiDris

        return HuaweiDris(options, place, boot)
    if isinstance(options, OpenV2xProfile):
        from rsu.uplink.profiles.openv2x import OpenV2x

        return OpenV2x(options, place, boot)
    assert isinstance(options, HisenseProfile)
    from rsu.uplink.profiles.hisense import Hisense

    return Hisense(options, place, boot)
