"""Our reader of ASN.1 text agrees with asn1tools' own parser, and refuses what it does not read."""

from __future__ import annotations

import asn1tools
import pytest

from rsu.v2x.codec import schema_text
from rsu.v2x.notation import NotationError, read_modules


def test_agrees_with_asn1tools_parser_on_every_module() -> None:
    text = schema_text("csae53_2020")
    expected = asn1tools.parse_string(text)
    assert len(expected) == 12
    assert read_modules(text) == expected


def test_states_every_type_of_the_field_table_and_no_other(shared) -> None:
    table = (shared / "facts" / "csae53-2020-fields.md").read_text()
    names = {line[4:].strip() for line in table.splitlines() if line.startswith("### ")}
    modules = read_modules(schema_text("csae53_2020"))
    ours = [name for module in modules.values() for name in module["types"]]
    assert len(ours) == len(set(ours))
    assert set(ours) == names


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
