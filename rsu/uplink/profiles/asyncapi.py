"""AsyncAPI 3 documents of profiles, from their channels: docs/asyncapi/ is written from here.

In: the channels of a profile built with {parameters} in place of what a site file would say, and
examples of bodies. Out: one document of plain values, ready for YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rsu.config.platforms import (
    FiwareProfile,
    HisenseProfile,
    HuaweiDrisProfile,
    OpenV2xProfile,
    PlainProfile,
)
from rsu.schema.reports import BINARY, JSON
from rsu.schema.units import Instant
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap
from rsu.uplink.profiles import plain_schema
from rsu.uplink.profiles.base import Channel, Place
from rsu.uplink.profiles.mapping import Document
from rsu.uplink.profiles.table import make_profile

VERSION = "1.0.0"
TITLES = {
    "plain": "Our own complete documents",
    "fiware": "NGSI-LD entities of the Smart Data Models",
    "huawei_dris": "JSON of Huawei's road digitisation service",
    "openv2x": "JSON of OpenV2X",
    "hisense_binary": "Binary frames of Hisense's centre",
    "downlink": "Messages on the air by map tile, over 5G Uu",
}
PARAMETERS = {
    "prefix": "uplink.topic_prefix, by default rsu/<site id>",
    "site": "site.id",
    "name": "lane, bay or lot; of an Alert the second of the unit's start and the event's number",
    "esn": "the unit's equipment serial number on the platform",
    "edge": "the edge's id on the platform",
    "radar": "the device id that the site file gives",
    "quadkey": "key of a map tile, one digit 0..3 a level",
    "message": "name of the message: RSM, SPAT, MAP, RSI, SSM, … or sae/SDSM, sae/SPAT, …",
}
_SAID = {
    "huawei_dris": {"esn": "{esn}", "edge": "{edge}"},
    "openv2x": {"esn": "{esn}", "radar": "{radar}"},
    "hisense_binary": {"rsu_id": "unit"},
}
_OPTIONS: dict[str, Any] = {
    "plain": PlainProfile,
    "fiware": FiwareProfile,
    "huawei_dris": HuaweiDrisProfile,
    "openv2x": OpenV2xProfile,
    "hisense_binary": HisenseProfile,
}
STATUS = Channel(
    name="status", address="{prefix}/status",
    summary="Is the unit there? Retained; the broker says `offline` when the connection is lost",
    schema={
        "type": "object",
        "properties": {
            "schema": {"const": "rsu.status/1"}, "site": plain_schema.TEXT,
            "state": {"enum": ["online", "offline"]},
            "reason": {"enum": ["started", "stopped", "connection lost"]},
            "boot_utc_ns": {"type": "string", "pattern": r"^\d+$"},
        },
        "required": ["schema", "site", "state", "reason", "boot_utc_ns"],
    },
)  # fmt: skip
DOWNLINK = Channel(
    name="frame", address="v2x/{quadkey}/{message}",
    summary="The very UPER MessageFrame that is on PC5; QoS 0, never retained, never late",
    layout="UPER MessageFrame of the unit's message set (T/CSAE 53, 157 or SAE J2735)",
)  # fmt: skip


def channels_of(kind: str) -> tuple[Channel, ...]:
    """Channels of a profile as every unit has them; `downlink` is the live downlink."""
    if kind == "downlink":
        return (DOWNLINK,)
    # Unchecked: parameters stand where a site file would name something.
    options = _OPTIONS[kind].model_construct(kind=kind, **_SAID.get(kind, {}))
    frame = LocalFrame(0.0, 0.0)
    place = Place(site="{site}", frame=frame, site_map=SiteMap(frame))
    channels = make_profile(options, place, Instant(0, 0)).channels()
    return (*channels, STATUS) if kind == "plain" else channels


def channel_of(topic: str, channels: Iterable[Channel]) -> Channel | None:
    """The channel that a real topic belongs to."""
    for channel in channels:
        pattern = re.sub(r"\\\{prefix\\\}", ".+", re.escape(channel.address))
        pattern = re.sub(r"\\\{message\\\}", "(sae/)?[^/]+", pattern)
        pattern = re.sub(r"\\\{[a-z]+\\\}", "[^/]+", pattern)
        if re.fullmatch(pattern, topic):
            return channel
    return None


def asyncapi(kind: str, examples: Mapping[str, Sequence[Any]]) -> Document:
    """The AsyncAPI document of a profile; `examples` are bodies by channel name."""
    channels = channels_of(kind)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Uplink profile {kind}: {TITLES[kind]}",
            "version": VERSION,
            "description": "MQTT 5 over TLS. QoS 1, at least once; the user property `id` is the "
            "same in a repetition. Written by tools/make_asyncapi.py from the profile's tables."
            if kind != "downlink"
            else "MQTT 5 over TLS, QoS 0. Written by tools/make_asyncapi.py.",
        },
        "defaultContentType": JSON,
        "channels": {channel.name: _channel(channel) for channel in channels},
        "operations": {
            f"send{channel.name}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{channel.name}"},
                "summary": channel.summary,
                "bindings": {"mqtt": {"qos": int(kind != "downlink"), "bindingVersion": "0.2.0"}},
            }
            for channel in channels
        },
        "components": {
            "messages": {
                channel.name: _message(kind, channel, examples.get(channel.name, ()))
                for channel in channels
            }
        },
    }


def _channel(channel: Channel) -> Document:
    parameters = re.findall(r"\{([a-z]+)\}", channel.address)
    said: Document = {
        "address": channel.address,
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
    }
    if parameters:
        said["parameters"] = {name: {"description": PARAMETERS[name]} for name in parameters}
    return said


def _message(kind: str, channel: Channel, examples: Sequence[Any]) -> Document:
    content = BINARY
    if channel.schema is not None:
        content = "application/ld+json" if kind == "fiware" else JSON
    message: Document = {"contentType": content, "summary": channel.summary}
    if channel.schema is not None:
        message["payload"] = channel.schema
    else:
        message["payload"] = {"type": "string", "format": "binary", "description": channel.layout}
    if examples:
        message["examples"] = [{"payload": body} for body in examples]
    return message
