"""Reader of the ASN.1 text in `asn1/`: text in, the module dictionary that asn1tools compiles out.

asn1tools brings its own parser for the whole notation; on our files it takes 0.4 s, which every
`rsu v2x decode` and every start of the daemon would pay. Our files use a small part of the
notation, and reading just that takes 15 ms, so no cache of compiled schemas on disk is needed.
Tests hold the two parsers' results to be equal for every file.

Read here: one or more modules with AUTOMATIC TAGS and IMPORTS; SEQUENCE, CHOICE and ENUMERATED with
one extension marker and additions after it (no version brackets), SEQUENCE OF, INTEGER with named
numbers and a range, BIT STRING, OCTET STRING, the character strings of CHARACTER_STRINGS with SIZE,
BOOLEAN, NULL, OBJECT IDENTIFIER, RELATIVE-OID, references. Anything else raises NotationError.
Open types are written as OCTET STRING and resolved by `rsu.v2x.open_types`.
"""

from __future__ import annotations

import re
from typing import Any

Descriptor = dict[str, Any]
"""One type as asn1tools describes it."""

CHARACTER_STRINGS = ("IA5String", "VisibleString", "NumericString")

_TOKEN = re.compile(r"\s+|--[^\n]*|(::=|\.\.\.|\.\.|-?\d+|[A-Za-z][A-Za-z0-9-]*|[{}(),;])")


class NotationError(ValueError):
    """Text outside the part of ASN.1 that is read here."""


def read_modules(text: str) -> dict[str, Descriptor]:
    """Modules by name, in the form of `asn1tools.parse_string`. Raises NotationError."""
    reader = _Reader(text)
    modules: dict[str, Descriptor] = {}
    while reader.peek():
        name, module = reader.module()
        modules[name] = module
    return modules


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise NotationError(f"unexpected {text[position : position + 20]!r}")
            if match[1]:
                self._tokens.append(match[1])
            position = match.end()
        self._next = 0

    def peek(self) -> str:
        """The next token, empty at the end."""
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        if not token:
            raise NotationError("text ends too early")
        self._next += 1
        return token

    def skip(self, token: str) -> bool:
        """Take the next token if it is this one."""
        if self.peek() != token:
            return False
        self._next += 1
        return True

    def expect(self, *tokens: str) -> None:
        for token in tokens:
            if not self.skip(token):
                raise NotationError(f"{self.peek()!r} where {token!r} belongs")

    def module(self) -> tuple[str, Descriptor]:
        name = self.take()
        self.expect("DEFINITIONS", "AUTOMATIC", "TAGS", "::=", "BEGIN")
        imports: dict[str, list[str]] = {}
        if self.skip("IMPORTS"):
            while not self.skip(";"):
                names = [self.take()]
                while self.skip(","):
                    names.append(self.take())
                self.expect("FROM")
                imports[self.take()] = names
        types: dict[str, Descriptor] = {}
        while not self.skip("END"):
            type_name = self.take()
            self.expect("::=")
            types[type_name] = self.type()
        return name, {
            "imports": imports,
            "types": types,
            "values": {},
            "object-classes": {},
            "object-sets": {},
            "extensibility-implied": False,
            "tags": "AUTOMATIC",
        }

    def type(self) -> Descriptor:
        word = self.take()
        described: Descriptor = {"type": word}
        match word:
            case "SEQUENCE" if self.peek() in {"(", "OF"}:
                described |= self.optional_bounds("size", "SIZE")
                self.expect("OF")
                described |= {"type": "SEQUENCE OF", "element": self.type()}
            case "SEQUENCE" | "CHOICE":
                described["members"] = self.members()
            case "ENUMERATED":
                described["values"] = [item and (item[0], int(item[1])) for item in self.names()]
            case "INTEGER":
                if self.peek() == "{":
                    described["named-numbers"] = {
                        name: int(number) for name, number in filter(None, self.names())
                    }
                described |= self.optional_bounds("restricted-to")
            case "BIT":
                self.expect("STRING")
                described["type"] = "BIT STRING"
                if self.peek() == "{":
                    described["named-bits"] = self.names()
                described |= self.optional_bounds("size", "SIZE")
            case "OCTET":
                self.expect("STRING")
                described |= {"type": "OCTET STRING", **self.optional_bounds("size", "SIZE")}
            case "OBJECT":
                self.expect("IDENTIFIER")
                described["type"] = "OBJECT IDENTIFIER"
            case "BOOLEAN" | "NULL" | "RELATIVE-OID":
                pass
            case _ if word in CHARACTER_STRINGS:
                described |= self.optional_bounds("size", "SIZE")
            case _ if not word[0].isupper() or self.peek() in {"(", "{", "OF", "STRING"}:
                # A keyword not read here (SET, REAL, …), or a constraint on a reference.
                raise NotationError(f"type {word!r} is outside the notation read here")
        return described

    def members(self) -> list[Descriptor | None]:
        """`{ name Type [OPTIONAL], …, ..., … }`; None stands for the extension marker."""
        found: list[Descriptor | None] = []
        self.expect("{")
        while self.peek() != "}":
            if self.marker(found):
                continue
            name = self.take()
            member = {**self.type(), "name": name}
            if self.skip("OPTIONAL"):
                member["optional"] = True
            found.append(member)
            if not self.skip(","):
                break
        self.expect("}")
        return found

    def names(self) -> list[tuple[str, str] | None]:
        """`{ name(number), …, ..., … }`; None stands for the extension marker."""
        found: list[tuple[str, str] | None] = []
        self.expect("{")
        while True:
            if self.marker(found):
                if self.peek() == "}":
                    break
                continue
            name = self.take()
            self.expect("(")
            found.append((name, str(self.number())))
            self.expect(")")
            if not self.skip(","):
                break
        self.expect("}")
        return found

    def marker(self, found: list[Any]) -> bool:
        """Take the extension marker, and the comma before additions, if it comes next."""
        if not self.skip("..."):
            return False
        if None in found:
            raise NotationError("a second extension marker is outside the notation read here")
        found.append(None)
        if self.peek() != "}":
            self.expect(",")
        return True

    def optional_bounds(self, name: str, keyword: str = "") -> Descriptor:
        """`{name: bounds}` where bounds follow, else nothing."""
        return {name: self.bounds(keyword)} if self.peek() == "(" else {}

    def bounds(self, keyword: str = "") -> list[int | tuple[int, int] | None]:
        """`([SIZE] (low[..high][, ...]))`; a single number stays a number."""
        found: list[int | tuple[int, int] | None] = []
        self.expect(*(("(", keyword, "(") if keyword else ("(",)))
        low = self.number()
        found.append((low, self.number()) if self.skip("..") else low)
        if self.skip(","):
            self.expect("...")
            found.append(None)
        self.expect(*((")", ")") if keyword else (")",)))
        return found

    def number(self) -> int:
        token = self.take()
        try:
            return int(token)
        except ValueError:
            raise NotationError(f"{token!r} where a number belongs") from None
