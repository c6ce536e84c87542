"""Section `uplink.profiles`: in which platforms' words the unit reports, and `uplink.downlink`.

One model per profile; several may stand side by side, each with its own topics. What they say is in
`rsu.uplink.profiles`, field by field in docs/platforms/.
"""

from typing import Annotated, Literal

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive

TopicPrefix = Annotated[str, Field(pattern=r"^[^#+\s]+$")]
Esn = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
"""Equipment serial number as both Chinese platforms register units by it."""


class PlainProfile(Options):
    """Our own complete documents."""

    kind: Literal["plain"]
    topic_prefix: TopicPrefix | None = Field(None, description="None: uplink.topic_prefix.")


class FiwareProfile(Options):
    """NGSI-LD entities of the Smart Data Models."""

    kind: Literal["fiware"]
    topic_prefix: TopicPrefix = "fiware/{site}"
    context: str = Field(
        "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld", min_length=1,
        description="@context of every entity.",
    )  # fmt: skip
    on_street: tuple[str, ...] = Field(
        (), max_length=64, description="Lots at the roadside; every other lot is off-street."
    )
    provider: str | None = Field(None, max_length=80, description="dataProvider; none: not said.")


class LiveOptions(Options):
    """What profiles share that pass on what is said on the air."""

    up_limit_hz: Positive = Field(
        1.0, le=20.0, description="RSM and SPAT at most this often each, Hz (`upLimit`)."
    )
    unchanged_s: Positive = Field(
        60.0, description="RSI and MAP that say nothing new are repeated after this long, s."
    )


class HuaweiDrisProfile(LiveOptions):
    """JSON over MQTT of Huawei's road digitisation service (DRIS)."""

    kind: Literal["huawei_dris"]
    esn: Esn = Field(description="The unit's esn as registered on the platform.")
    position: Literal["steps", "degrees"] = Field(
        "steps", description="Whole 1e-7 degrees, as its samples of messages of a unit have them, "
        "or decimal degrees, as its tables say."
    )  # fmt: skip
    edge: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Edge id: lane counts go there."
    )
    flow_topic: TopicPrefix = Field(
        "v2x/v1/edge/{edge}/flow/up", description="Where lane counts go. The platform documents "
        "their fields, not this topic: ask yours."
    )  # fmt: skip


class OpenV2xProfile(LiveOptions):
    """JSON over MQTT of OpenV2X (T/ITS unit to centre)."""

    kind: Literal["openv2x"]
    esn: Esn
    delimiter: Literal["/", "."] = Field("/", description="Between the words of a topic.")
    heartbeat_s: Positive = Field(
        5.0, le=15.0, description="s; the platform forgets a unit after 15 s."
    )
    running_info_s: Positive = Field(60.0, description="Period of RunningInfo, s.")
    radar: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Device id: tracks are also sent as those of a radar.",
    )  # fmt: skip


class HisenseProfile(LiveOptions):
    """Binary frames over MQTT, as deployed units of Hisense's centre send them."""

    kind: Literal["hisense_binary"]
    rsu_id: str = Field(
        pattern=r"^[!-~]{1,8}$", description="1 to 8 ASCII characters; filled with NUL to 8."
    )
    state_s: Positive = Field(3.0, description="Period of STATE, s.")
    heard: bool = Field(
        False, description="Pass on the BSM of vehicles that are heard; never one with a plate."
    )


Profile = Annotated[
    PlainProfile | FiwareProfile | HuaweiDrisProfile | OpenV2xProfile | HisenseProfile,
    Field(discriminator="kind"),
]


class DownlinkOptions(Options):
    """The messages on the air once more over 5G Uu, by map tile: `<prefix>/<quadkey>/<message>`."""

    enabled: bool = False
    topic_prefix: TopicPrefix = "v2x"
    level: int = Field(18, ge=10, le=23, description="Tile level; 18: 131 m at 31° north.")
    radius_m: NonNegative = Field(
        100.0, le=2000.0, description="Tiles within this distance of the unit get all messages, m."
    )
    max_tiles: int = Field(
        32, ge=1, le=256, description="Per message; the nearest to the unit stay."
    )
    max_age_s: Positive = Field(
        0.5, le=10.0, description="A message that waited longer is dropped, s (as at a radio)."
    )
    rate_hz: Positive = Field(10.0, le=20.0, description="Each message at most this often, Hz.")
