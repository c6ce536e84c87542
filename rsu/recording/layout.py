"""What lies where in one of our MCAP files, shared by everything that writes or reads them.

A message's payload is the MCAP message as plain JSON, so that other tools see the fields at once.
Its header survives beside it: log_time is `publish_ns`, publish_time is `capture_ns`, and the
channel, one per (topic, source, boot), names the rest in its metadata. MCAP's `sequence` has 32
bits; the upper ones are the channel's `seq_high`, so a stream that passes 2³² changes its channel.

Chunks carry a CRC, but records outside them do not. Ours therefore carry a `check` (CRC-32 of
their content), and what does not match its check is not believed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from mcap.records import Channel

from rsu.schema.topics import TOPICS, V2X_TX, Topic
from rsu.schema.units import NS_PER_S
from rsu.schema.wire import json_schema

PROFILE = "rsu"
FORMAT = "1"
JSON = "json"
OCTETS = "application/octet-stream"
RAW_TX_TOPIC = f"{V2X_TX.name}/raw"
"""The bare UPER of every transmitted frame, for tools that know nothing of our JSON."""

METADATA_RECORDING = "rsu.recording"  # who recorded what; which file precedes this one
METADATA_SITE = "rsu.site"  # the site file's text and its SHA-256
METADATA_JOURNAL = "rsu.journal"  # per process group: its START, when an earlier file holds it
METADATA_END = "rsu.end"  # written at close: counts, losses, drops
METADATA_RECOVERED = "rsu.recovered"  # in a repaired file: what was lost

CHUNK_BYTES = 768 * 1024
"""A chunk is closed at this size; with the message that filled it, it stays below 1 MiB."""
CHUNK_NS = NS_PER_S
"""… or when it spans this much publishing time: at most this much is lost in a power cut."""
CLOCK_STEP_NS = 5 * NS_PER_S
"""A message stamped this much earlier than its forerunners means that the clock was stepped back.
Processes of one unit read the same clock; their messages cross by milliseconds, not seconds."""

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Largest message written, bytes; 512 tracks are 0.4 MB of JSON."""
RECORD_LIMIT = 64 * 1024 * 1024
"""Longest MCAP record read into memory, bytes: a corrupt length never allocates more."""
UNPACKED_LIMIT = 256 * 1024 * 1024
"""Largest chunk after decompression, bytes."""
CHANNEL_LIMIT = 60_000
"""Channels per file; their number is a 16-bit integer in MCAP."""


class ChannelIdentity(NamedTuple):
    """What a channel adds to the MCAP fields of its messages."""

    topic: Topic
    source: str
    boot_ns: int
    seq_high: int


def channel_metadata(
    topic: str, source: str, boot_ns: int, seq_high: int, channel: int
) -> dict[str, str]:
    """Metadata of the channel with that number; the check covers the number too."""
    fields = {"source": source, "boot_ns": str(boot_ns), "seq_high": str(seq_high)}
    return checked(fields, f"{topic} {channel}")


def identify(channel: Channel) -> ChannelIdentity | None:
    """Whose messages a channel holds; None when it is not one of ours."""
    topic, metadata = TOPICS.get(channel.topic), channel.metadata
    if topic is None or topic.payload is None or channel.message_encoding != JSON:
        return None
    if not intact(metadata, f"{channel.topic} {channel.id}"):
        return None
    try:
        boot_ns, seq_high = int(metadata["boot_ns"]), int(metadata["seq_high"])
        return ChannelIdentity(topic, metadata["source"], boot_ns, seq_high)
    except (KeyError, ValueError):
        return None


def checked(fields: Mapping[str, str], name: str) -> dict[str, str]:
    """The fields with a CRC over them and the name of their record."""
    return {**fields, "check": _check(fields, name)}


def intact(fields: Mapping[str, str], name: str) -> bool:
    """Whether the check of a record of ours matches its content."""
    rest = {key: value for key, value in fields.items() if key != "check"}
    return fields.get("check") == _check(rest, name)


def _check(fields: Mapping[str, str], name: str) -> str:
    return f"{zlib.crc32(msgspec.json.encode([name, sorted(fields.items())])):08x}"


def viewer_schema(topic: Topic) -> bytes:
    """JSON Schema of a topic in the plain subset that viewers such as Foxglove understand.

    Their readers want `type: object` at the root and, at least the older ones, know neither
    references nor unions nor tuples. `properties` therefore says only what the subset can say
    truthfully (fields that may be null and arrays of arrays are left out, not misstated); the
    complete schema stays beside it under `$defs`.
    """
    full = msgspec.json.decode(json_schema(topic))
    definitions = full["$defs"]
    root = definitions[full["$ref"].rpartition("/")[2]]
    plain = _plain(root, definitions)
    if plain is None:  # not an object: nothing a viewer could show by name
        plain = {"type": "object", "properties": {}}
    return msgspec.json.encode({**plain, "$defs": definitions})


def _plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any] | None:
    """The schema without references, unions and tuples; None where that would not be true."""
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "enum" in schema:
        whole = all(isinstance(value, int) for value in schema["enum"])
        return {"type": "integer" if whole else "string", "enum": schema["enum"]}
    kind = schema.get("type")
    if kind == "object":
        return _plain_object(schema, definitions)
    if kind == "array":
        return _plain_array(schema, definitions)
    if kind in {"boolean", "integer", "number", "string"}:
        wanted = ("type", "contentEncoding", "description")
        return {key: schema[key] for key in wanted if key in schema}
    return None


def _plain_object(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    fields = {
        name: _plain(field, definitions) for name, field in schema.get("properties", {}).items()
    }
    kept = {name: field for name, field in fields.items() if field is not None}
    plain: dict[str, Any] = {"type": "object", "properties": kept}
    for key in ("title", "description"):
        if key in schema:
            plain[key] = schema[key]
    if "required" in schema:
        plain["required"] = schema["required"]
    return plain


def _plain_array(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any] | None:
    """An array of one kind of item; None for arrays of arrays, of octets and mixed tuples."""
    if isinstance(schema.get("items"), dict):
        item = _plain(schema["items"], definitions)
    else:
        items = [_plain(item, definitions) for item in schema.get("prefixItems", ())]
        item = items[0] if items and all(item == items[0] for item in items) else None
    if item is None or item["type"] == "array" or "contentEncoding" in item:
        return None
    return {"type": "array", "items": item}
