"""The J2735/J3224 text against its field table, frames of other parties and an independent codec.

The vectors wrap what their notation has no form for: `$hex`, `$bits`, `$oid`; `as_json` states the
same value in our JSON form, independently of the codec.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import asn1tools
import pytest

from rsu.v2x.codec import codec_for, schema_text
from rsu.v2x.notation import read_modules

PROFILE = "j2735_2024"
CODEC = codec_for(PROFILE)
# The corpus and the vectors name messages in two ways.
NAMES = {
    "MapData": "MAP",
    "SPaT": "SPAT",
    "BasicSafetyMessage": "BSM",
    "RTCMcorrections": "RTCM",
    "SignalRequestMessage": "SRM",
    "SignalStatusMessage": "SSM",
    "TravelerInformation": "TIM",
    "PersonalSafetyMessage": "PSM",
    "RoadSafetyMessage": "RSM",
    "ProbeDataConfigMessage": "PDC",
    "SensorDataSharingMessage": "SDSM",
}


def as_json(value: Any, field: str = "") -> Any:
    """A value of the vectors in our JSON form."""
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$hex"}:
        return value["$hex"]
    if set(value) == {"$oid"}:
        return value["$oid"]
    if set(value) == {"$bits"} and field == "relRdAuthID":
        # The corpus generator took two arcs for a bit string's value and length.
        return f"{int(value['$bits'], 2)}.{len(value['$bits'])}"
    if set(value) == {"$bits"}:
        return {"bits": value["$bits"]}
    if field == "regExtValue" and next(iter(value)).startswith("_unk"):
        return as_json(next(iter(value.values())))
    return {name: as_json(inner, name) for name, inner in value.items()}


def vectors(shared: Path) -> list[tuple[str, int, Any, bytes]]:
    """Message, id, value, frame of third parties' frames."""
    cases = json.loads((shared / "vectors" / "j2735_vectors.json").read_text())
    return [
        (
            NAMES.get(case["message"], case["message"]),
            case["messageId"],
            as_json(case["decoded"]),
            bytes.fromhex(case["hex"]),
        )
        for case in cases
    ]


def corpus(shared: Path) -> list[tuple[str, int, Any, bytes]]:
    """Message, id, value, frame of random and extreme values."""
    lines = (shared / "vectors" / "j2735_corpus.jsonl").read_text().splitlines()
    return [
        (
            NAMES.get(case["type"], case["type"]),
            case["messageId"],
            as_json(case["value"]),
            bytes.fromhex(case["hex"]),
        )
        for case in map(json.loads, lines)
    ]


@pytest.mark.parametrize(("source", "count"), [(vectors, 85), (corpus, 240)])
def test_frames_decode_to_the_stated_value_and_back_byte_for_byte(shared, source, count) -> None:
    cases = source(shared)
    assert len(cases) == count
    for message, number, content, octets in cases:
        value = CODEC.decode(octets)
        assert CODEC.message_name(value) == message
        assert value["messageId"] == number
        assert list(value["value"].values()) == [content]
        assert CODEC.encode(CODEC.frame(message, content)) == octets


def test_third_parties_sent_every_message_of_the_profile(shared: Path) -> None:
    sent = Counter(message for message, *_ in vectors(shared))
    assert set(sent) == set(CODEC.messages)


def test_reads_as_asn1tools_own_parser_does() -> None:
    text = schema_text(PROFILE)
    assert read_modules(text) == asn1tools.parse_string(text)


def test_every_type_is_stated_once_and_used() -> None:
    modules = read_modules(schema_text(PROFILE))
    names = [name for module in modules.values() for name in module["types"]]
    assert len(names) == len(set(names))
    for module, content in modules.items():
        for home, imported in content["imports"].items():
            assert set(imported) <= set(modules[home]["types"]), module


def test_every_type_compiles() -> None:
    for module in read_modules(schema_text(PROFILE)).values():
        for name in module["types"]:
            CODEC._type(name)


# --- The field table -----------------------------------------------------------------------------


def table(shared: Path) -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """Rows of the SEQUENCE and CHOICE types, and the line after the name of the others."""
    text = (shared / "facts" / "j2735-2024-fields.md").read_text()
    rows: dict[str, list[list[str]]] = {}
    others: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if found := re.fullmatch(r"\*\*([A-Za-z0-9-]+)\*\* (.*)", line):
            name = found[1]
            if re.fullmatch(r"\((SEQUENCE|CHOICE)( x)?\)", found[2]):
                rows[name] = [[found[2]]]
            else:
                others[name] = found[2]
        elif line.startswith("| ") and not line.startswith("| field"):
            rows[name].append([cell.strip() for cell in line.strip("| ").split(" | ")])
    return rows, others


def ours() -> dict[str, dict[str, Any]]:
    modules = read_modules(schema_text(PROFILE))
    return {name: kind for module in modules.values() for name, kind in module["types"].items()}


def test_members_stand_in_the_order_of_the_field_table(shared: Path) -> None:
    types = ours()
    rows, _ = table(shared)
    assert len(rows) > 150
    for name, (head, *members) in rows.items():
        kind = types[name]
        assert head[0] == f"({kind['type']}{' x' if None in kind['members'] else ''})", name
        stated = kind["members"]
        marker = stated.index(None) if None in stated else len(stated)
        found = [
            (member["name"], member.get("optional", False), index > marker)
            for index, member in enumerate(stated)
            if member
        ]
        wanted = [
            (row[0], "opt" in row[4:5][0].split(), "ext" in row[4].split())
            for row in (row + [""] * 6 for row in members)
        ]
        assert found == wanted, name
        for member, row in zip(filter(None, stated), members, strict=True):
            # A member's own range leaves the base type; `(inline)` names none.
            base, is_of, _ = row[2].partition(" OF")
            assert member["type"] in {row[1], base + is_of[:3]} or row[1] == "(inline)", name


def bounds(stated: list[Any]) -> str:
    """`(0..1, ...)` as the table writes it."""
    first, *rest = stated
    low_high = f"{first[0]}..{first[1]}" if isinstance(first, tuple) else str(first)
    return f"({low_high}{', ...' if rest else ''})"


def test_simple_types_have_the_bounds_and_names_of_the_field_table(shared: Path) -> None:
    types = ours()
    _, others = table(shared)
    assert len(others) > 250
    for name, line in others.items():
        kind = types[name]
        while kind["type"] in types:  # one type under another name
            kind = types[kind["type"]]
        word = kind["type"]
        if word == "SEQUENCE OF":
            assert bounds(kind["size"])[1:-1] in line, name
        elif word == "ENUMERATED":
            values = ", ".join(f"{v[0]}={v[1]}" for v in kind["values"] if v)
            mark = " x" if None in kind["values"] else ""
            assert line == f"ENUMERATED{mark}: {values}", name
        elif word == "BIT STRING":
            named = ", ".join(f"{bit}={number}" for bit, number in kind["named-bits"])
            assert line == f"BIT STRING (SIZE {bounds(kind['size'])}): {named}", name
        elif word == "INTEGER":
            assert line.startswith(f"INTEGER {bounds(kind['restricted-to'])}"), name
        elif "size" in kind:
            assert line.startswith(f"{word} (SIZE {bounds(kind['size'])})"), name
        else:
            assert line.rstrip() == word, name


def test_states_every_type_of_the_field_table(shared: Path) -> None:
    rows, others = table(shared)
    assert len(rows) + len(others) == 446
    assert set(rows) | set(others) <= set(ours())
