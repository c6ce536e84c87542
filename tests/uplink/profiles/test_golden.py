"""What every profile says of one fixed scene, word for word; its topics and schemas; no persons.

After a wanted change write the golden files and then the AsyncAPI documents anew:

    RSU_WRITE_GOLDEN=1 python -m pytest tests/uplink/profiles/test_golden.py
    python tools/make_asyncapi.py
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from rsu.schema.reports import UplinkReport
from rsu.schema.uplink_frame import parse
from rsu.uplink.profiles.asyncapi import TITLES, asyncapi, channel_of, channels_of
from rsu.v2x.codec import codec_for

Reports = Callable[[str], list[UplinkReport]]
Shown = Callable[[UplinkReport], dict[str, Any]]

PERSONAL = re.compile(
    r"plate|licen[cs]e|image|photo|picture|jpe?g|crop|face|pixel|frame_?data|vehicle_?id|owner|driver"
    r"|imei|imsi|iccid|mac(_?addr)|phone|entranceTime|exitTime|dwell|stay_?duration",
    re.IGNORECASE,
)
"""Keys that would name a person, a vehicle for longer than it is tracked, or show one."""


def documents(reports: list[UplinkReport]) -> Iterator[tuple[UplinkReport, Any]]:
    """Every body as a plain value; the messages in binary frames decoded."""
    for report in reports:
        if "json" in report.content_type:
            yield report, json.loads(report.body)
            continue
        counted = ".BSM." in report.subject
        for message in parse(report.body, counted=counted).messages:
            if not counted:
                yield report, codec_for("csae53_2020").decode(message)


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


def test_the_scene_is_told_word_for_word(
    profile: str, reports: Reports, shown: Shown, golden: Path
) -> None:
    told = [shown(report) for report in reports(profile)]
    file = golden / f"{profile}.json"
    if os.environ.get("RSU_WRITE_GOLDEN") == "1":
        file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert told == json.loads(file.read_text("utf-8"))


def test_ids_are_unique_over_all_profiles(play: Any, options: dict[str, Any]) -> None:
    together = play(*options.values())
    alone = sum(len(play(one)) for one in options.values())
    assert len({report.id for report in together}) == len(together) == alone
    assert [report.id for report in together] == [
        f"corner-1750000000000000000-{number}" for number in range(len(together))
    ]


def test_every_topic_is_in_the_asyncapi_file_and_every_body_fits_it(
    profile: str, reports: Reports, root: Path
) -> None:
    file = YAML(typ="safe").load((root / f"docs/asyncapi/{profile}.yaml").read_text("utf-8"))
    channels = channels_of(profile)
    assert file["channels"].keys() == {channel.name for channel in channels}
    used = set()
    for report in reports(profile):
        channel = channel_of(report.topic("rsu/corner"), channels)
        assert channel is not None, report.subject
        used.add(channel.name)
        assert file["channels"][channel.name]["address"] == channel.address
        message = file["components"]["messages"][channel.name]
        assert message["contentType"] == report.content_type
        if channel.schema is not None:
            jsonschema.Draft202012Validator(message["payload"]).validate(json.loads(report.body))
    unused = {channel.name for channel in channels} - used
    # Said by the session, of a lot at the roadside, and when two sensors disagree.
    assert unused <= {"status", "OnStreetParking", "alarm"}


def test_schemas_refuse_what_is_not_theirs(profile: str, reports: Reports) -> None:
    """Each field taken away, renamed or of another type is noticed."""
    channels = channels_of(profile)
    for report, body in documents(reports(profile)):
        channel = channel_of(report.topic("rsu/corner"), channels)
        assert channel is not None
        if channel.schema is None:
            continue
        validator = jsonschema.Draft202012Validator(channel.schema)
        for name in channel.schema["required"]:
            less = {key: value for key, value in body.items() if key != name}
            assert not validator.is_valid(less), name
            assert not validator.is_valid(less | {f"{name}_": body[name]})
            assert not validator.is_valid(body | {name: object()}), name


@pytest.mark.parametrize("kind", sorted(TITLES))
def test_the_asyncapi_file_is_what_the_tables_say(kind: str, root: Path) -> None:
    file = YAML(typ="safe").load((root / f"docs/asyncapi/{kind}.yaml").read_text("utf-8"))
    examples = {
        name: [example["payload"] for example in message.get("examples", ())]
        for name, message in file["components"]["messages"].items()
    }
    assert file == asyncapi(kind, examples)
    assert file["asyncapi"] == "3.0.0"
    for name, message in file["components"]["messages"].items():
        jsonschema.Draft202012Validator.check_schema(message["payload"])
        for body in examples[name]:
            jsonschema.Draft202012Validator(message["payload"]).validate(body)
        channel = file["channels"][name]
        said = set(re.findall(r"\{([a-z]+)\}", channel["address"]))
        assert said == set(channel.get("parameters", {}))


def test_nothing_names_or_shows_a_person(profile: str, reports: Reports) -> None:
    made = reports(profile)
    for report, body in documents(made):
        bad = [key for key in keys(body) if PERSONAL.search(key)]
        assert not bad, (report.subject, bad)
        assert "track" not in keys(body) or report.subject == "tracks"
    octets = b"".join(report.body for report in made)
    assert bytes.fromhex("31323334") not in octets  # the plate in a BSM of the scene
    assert b"31323334" not in octets


def test_whoever_is_named_is_named_by_a_short_lived_number(reports: Reports, profile: str) -> None:
    """Ids of road users in all documents are those of the unit's tracks, or as on the air."""
    names = {"track", "tracks", "ptcId", "global_track_id", "targetId"}

    def ids(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in names and not isinstance(inner, (dict, list)):
                    yield str(inner)
                elif key in names and inner and not isinstance(inner[0], dict):
                    yield from map(str, inner)
                else:
                    yield from ids(inner)
        elif isinstance(value, list):
            for item in value:
                yield from ids(item)

    for _, body in documents(reports(profile)):
        assert set(ids(body)) <= {"17", "18"}
