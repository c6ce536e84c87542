"""Our reader of ASN.1 text agrees with asn1tools' own parser, and refuses what it does not read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import asn1tools
import pytest

from rsu.v2x.codec import schema_text
from rsu.v2x.notation import NotationError, read_modules

# Profile: modules, field table.
PROFILES = {
    "csae53_2020": (21, "csae53-2020-fields.md"),
    "csae157_2020": (36, "csae157-2020-fields.md"),
    "legacy_20190724": (21, "csae-20190724-fields.md"),
}


@pytest.mark.parametrize("profile", PROFILES)
def test_agrees_with_asn1tools_parser_on_every_module(profile: str) -> None:
    text = schema_text(profile)
    expected = asn1tools.parse_string(text)
    assert len(expected) == PROFILES[profile][0]
    assert read_modules(text) == expected


@pytest.mark.parametrize("profile", PROFILES)
def test_states_what_the_field_table_states_and_nothing_else(shared: Path, profile: str) -> None:
    table = field_table((shared / "facts" / PROFILES[profile][1]).read_text())
    modules = read_modules(schema_text(profile))
    ours = {
        name: in_words(described)
        for module in modules.values()
        for name, described in module["types"].items()
    }
    assert len(ours) == sum(len(module["types"]) for module in modules.values())
    assert ours == table


def field_table(text: str) -> dict[str, str]:
    """Type → one line in the words of the table, rebuilt from its rows."""
    found = {}
    for section in re.split(r"^### ", text, flags=re.M)[1:]:
        name, body = section.split("\n", 1)
        body = body.split("\n## ")[0]
        rows = re.findall(r"^\| *(?:\d+(?: \(ext\))?|) \|([^|\n]*)\|([^|\n]*)\|(.*)$", body, re.M)
        cells = []
        for field, kind, rest in rows:
            if "**..." in field:
                cells.append("...")
                continue
            optional = " OPT" if rest.startswith(" OPT ") else ""
            # `Speed = INTEGER(0..8191)`: the reference is what we write.
            cells.append(f"{field.strip()} {kind.split(' = ')[0].strip()}{optional}")
        if "| idx |" in body:
            if "(ext)" in body:
                cells.insert(-1, "...")
            elif "extensible: yes" in body:
                cells.append("...")
        plain = re.match(r"\s*`([^`]*)`", body)
        line = plain[1] if plain else ", ".join(cells)
        found[name.strip()] = re.sub(r"\s*,\s*", ", ", line).replace("(SIZE )", "")
    # The object class is a number and an open type in our text, its inline choices are spelt out.
    if found.pop("MESSAGE-ID-AND-TYPE", None):
        found["MessageFrameExt"] = "messageId ExtMsgID, value OCTET STRING, ..."
    return found


def in_words(described: dict[str, Any]) -> str:
    """A type as `read_modules` describes it, in the words of the table."""
    kind = described["type"]
    size = bounds_in_words(described.get("size"), "SIZE ")
    match kind:
        case "SEQUENCE" | "CHOICE":
            return ", ".join(
                f"{member['name']} {member_in_words(member)}" if member else "..."
                for member in described["members"]
            )
        case "SEQUENCE OF":
            return f"SEQ{size} OF {in_words(described['element'])}"
        case "ENUMERATED":
            items = [f"{item[0]}({item[1]})" if item else "..." for item in described["values"]]
            return f"ENUMERATED{{{', '.join(items)}}}"
        case "BIT STRING":
            bits = ", ".join(f"{name}({number})" for name, number in described["named-bits"])
            return f"BIT STRING{size} {{{bits}}}"
    return f"{kind}{size}{bounds_in_words(described.get('restricted-to'))}"


def member_in_words(member: dict[str, Any]) -> str:
    words = "CHOICE" if member["type"] == "CHOICE" else in_words(member)
    return words + (" OPT" if member.get("optional") else "")


def bounds_in_words(bounds: list[Any] | None, keyword: str = "") -> str:
    if bounds is None:
        return ""
    low, high = bounds[0] if isinstance(bounds[0], tuple) else (bounds[0], bounds[0])
    return f"({keyword}{low}..{high}{', ...' if None in bounds else ''})"


EVERY_NOTATION = """M DEFINITIONS AUTOMATIC TAGS ::= BEGIN
    A ::= SEQUENCE { x INTEGER (0..1), ..., y INTEGER (0..1) OPTIONAL, z BOOLEAN }
    B ::= CHOICE { x INTEGER (0..1, ...), ..., y NULL, z INTEGER }
    C ::= ENUMERATED { a(0), ..., b(1) }
    D ::= OCTET STRING
    E ::= IA5String
    F ::= VisibleString (SIZE (1..4))
    G ::= BIT STRING (SIZE (8))
    H ::= INTEGER { foo(1), bar(2) } (0..7)
    I ::= SEQUENCE (SIZE (1..2, ...)) OF A
    J ::= SEQUENCE OF A
    K ::= OCTET STRING (SIZE (1..3, ...))
    L ::= NumericString (SIZE (1..3))
    N ::= SEQUENCE {}
    O ::= OBJECT IDENTIFIER
    P ::= SEQUENCE { x CHOICE { y A, ... } OPTIONAL, ... }
END"""


def test_agrees_with_asn1tools_parser_on_every_notation() -> None:
    assert read_modules(EVERY_NOTATION) == asn1tools.parse_string(EVERY_NOTATION)


@pytest.mark.parametrize(
    "body",
    [
        "A ::= SET { x INTEGER (0..1) }",
        "A ::= REAL (0..1)",
        "A ::= INTEGER (0..MAX)",
        "A ::= INTEGER (0..1",
        "A ::= SEQUENCE { x INTEGER (0..1) DEFAULT 0 }",
        "A ::= SEQUENCE { x INTEGER (0..1), ..., y INTEGER (0..1), ... }",
        "A ::= SEQUENCE { x INTEGER (0..1), ..., [[ y INTEGER (0..1) ]] }",
        "A ::= ENUMERATED { a }",
        "A ::= lower",
        "A ::= B ?",
        "A ::=",
    ],
)
def test_refuses_notation_that_it_does_not_read(body: str) -> None:
    with pytest.raises(NotationError):
        read_modules(f"M DEFINITIONS AUTOMATIC TAGS ::= BEGIN {body} END")


def test_refuses_other_tagging() -> None:
    with pytest.raises(NotationError):
        read_modules("M DEFINITIONS IMPLICIT TAGS ::= BEGIN END")
