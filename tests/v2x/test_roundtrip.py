"""Any value that the schema allows comes back: every message of every set.

Values are drawn from the schema, message by message and, for what stands in open fields, id by id,
so that rare ones get as much attention as common ones. Encoded by the codec, they are decoded by it
and by the plain one, which was written apart.
Drawing large messages is slow: the short run holds the frame of each set (test_specialised.py) and
what stands in open fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from rsu.v2x.codec import FRAME, PROFILES, codec_for
from rsu.v2x.open_types import OPEN_TYPES
from rsu.v2x.specialised import schema as asn1

AnyValue = Callable[[str, str], Any]


def content_types(profile: str) -> dict[str, str]:
    """Type of each message's content, by the message's name."""
    found, schema = PROFILES[profile], codec_for(profile).specialised.schema
    types = {}
    frame = schema.named(FRAME)
    if isinstance(frame, asn1.Choice):
        inner = {member.name: member.type for member in frame.alternatives}
        for message, alternative in found.alternatives.items():
            reference = inner[alternative]
            assert isinstance(reference, asn1.Reference)
            types[message] = reference.name
    for message, number in found.ids.items():
        types[message] = OPEN_TYPES[profile][found.ids_type, "value"].types[number]
    return types


MESSAGES = [(profile, message) for profile in PROFILES for message in codec_for(profile).messages]


def drawn(strategy: Any, examples: int, check: Callable[[Any], None]) -> int:
    """How many values were drawn and checked."""
    count = 0

    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def run(value: Any) -> None:
        nonlocal count
        check(value)
        count += 1

    run()
    return count


@pytest.mark.long
@pytest.mark.parametrize(("profile", "message"), MESSAGES)
def test_any_message_comes_back(profile: str, message: str, any_value: AnyValue) -> None:
    codec = codec_for(profile)

    def check(content: Any) -> None:
        frame = codec.frame(message, content)
        octets = codec.encode(frame)
        assert codec.decode(octets) == frame
        assert codec.plain.decode(octets, FRAME) == frame
        assert codec.message_name(frame) == message

    assert drawn(any_value(profile, content_types(profile)[message]), 10, check) > 0


@pytest.mark.parametrize("profile", ["j2735_2024"])
def test_contents_of_open_fields_come_back_nested(profile: str, any_value: AnyValue) -> None:
    """By every id of every open field, so that none of the table's rows is wrong unnoticed."""
    codec = codec_for(profile)
    for (container, field), open_type in OPEN_TYPES[profile].items():
        if container == PROFILES[profile].ids_type:
            continue  # the messages: above
        for number, name in open_type.types.items():

            def check(
                content: Any,
                container: str = container,
                name: str = name,
                ids: tuple[str, int, str] = (open_type.id_field, number, field),
            ) -> None:
                id_field, announced, open_field = ids
                value = {id_field: announced, open_field: {name: content}}
                octets = codec.encode(value, container)
                assert codec.decode(octets, container) == value

            assert drawn(any_value(profile, name), 2, check) > 0
