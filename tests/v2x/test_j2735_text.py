"""The J2735/J3224 text against its field table, frames of other parties and an independent codec.

The vectors wrap what their notation has no form for: `$hex`, `$bits`, `$oid`; `as_json` states the
same value in our JSON form, independently of the codec.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import asn1tools
import pytest

from rsu.v2x import value_form as forms
from rsu.v2x.codec import codec_for, schema_text
from rsu.v2x.errors import DecodeError
from rsu.v2x.notation import read_modules
from rsu.v2x.open_types import OPEN_TYPES
from rsu.v2x.profiles import PROFILES
from rsu.v2x.type_form import OpenTypeForm

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


def test_third_parties_sent_every_message_that_a_roadside_unit_uses(shared: Path) -> None:
    sent = {message for message, *_ in vectors(shared)}
    assert sent == set(NAMES.values()) <= set(CODEC.messages)


def chosen(form: Any, choice: Random) -> Any:
    """Some value of a type: absent and present members, extremes, every known id."""
    match form:
        case OpenTypeForm():
            types = form.open_type.types
            number = choice.choice([*types, 60])  # 60: an id of no table
            name = types.get(number)
            content = {name: chosen(CODEC._type(name)[1], choice)} if name else "c0ffee"
            return {form.open_type.id_field: number, form.field: content}
        case forms.SequenceForm():
            return {
                name: chosen(inner, choice)
                for name, inner, optional in form.members
                if not optional or choice.random() < 0.3
            }
        case forms.ChoiceForm():
            name = choice.choice(sorted(form.alternatives))
            return {name: chosen(form.alternatives[name], choice)}
        case forms.ListForm():
            count = min(form.maximum, form.minimum + choice.randrange(3))
            return [chosen(form.element, choice) for _ in range(count)]
        case forms.IntegerForm():
            low, high = form.minimum, form.maximum
            return choice.choice([low, high, choice.randint(low, high)])
        case forms.EnumeratedForm():
            return choice.choice(sorted(form.names))
        case forms.BitsForm():
            count = choice.randint(form.minimum, min(form.maximum, form.minimum + 20))
            return {"bits": "".join(choice.choice("01") for _ in range(count))}
        case forms.OctetsForm():
            return choice.randbytes(min(form.maximum, form.minimum + choice.randrange(9))).hex()
        case forms.TextForm():
            return "Ab 1"[: form.maximum].ljust(form.minimum, "z")
        case forms.BooleanForm():
            return choice.random() < 0.5
        case forms.NullForm():
            return None
        case forms.OidForm() | forms.RelativeOidForm():
            return f"1.{choice.randrange(40)}.{choice.randrange(1 << 20)}"
    raise AssertionError(form)


@pytest.mark.parametrize("message", CODEC.messages)
def test_values_of_every_message_survive_encoding_and_damage_is_refused(message: str) -> None:
    choice = Random(message)
    number = PROFILES[PROFILE].ids[message]
    name = OPEN_TYPES[PROFILE]["MessageFrame", "value"].types[number]
    form = CODEC._type(name)[1]
    for _ in range(20):
        value = CODEC.frame(message, chosen(form, choice))
        octets = bytearray(CODEC.encode(value))
        assert CODEC.decode(bytes(octets)) == value
        for _ in range(5):
            octets[choice.randrange(len(octets))] ^= 1 << choice.randrange(8)
            try:
                CODEC.decode(bytes(octets))
            except DecodeError:
                continue


@pytest.mark.parametrize("frame", ["00250101", "7fff03c0ffee"])  # tolls, and an id of no release
def test_message_of_an_unknown_id_stays_octets(frame: str) -> None:
    octets = bytes.fromhex(frame)
    value = CODEC.decode(octets)
    number = int(frame[:4], 16)
    assert value == {"messageId": number, "value": frame[6:]}
    assert CODEC.message_name(value) == f"id {number}"
    assert CODEC.encode(value) == octets


def test_message_without_content_fills_one_octet() -> None:
    # X.691 11.2.1: an open type holds at least one octet; other encoders send 002d0100.
    value = {"messageId": 45, "value": {"TrafficSignalPhaseAndTiming": None}}
    assert CODEC.decode(bytes.fromhex("002d0100")) == value
    assert CODEC.encode(value).hex() == "002d0100"


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
