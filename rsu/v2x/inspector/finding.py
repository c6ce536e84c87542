"""What a standard objects to in a message, or what its reader should know: one record each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
"""error: a rule of the standard is broken; warning: allowed, and wrong or useless in practice;
note: something is left unsaid."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`path`: where in the frame, '' for the frame or the whole source; `basis`: the clause, table
    or measured practice it rests on."""

    severity: Severity
    path: str
    text: str
    basis: str

    def to_json(self) -> dict[str, Any]:
        return {
            "severity": self.severity,
            "path": self.path,
            "text": self.text,
            "basis": self.basis,
        }


def error(path: str, text: str, basis: str) -> Finding:
    return Finding("error", path, text, basis)


def warning(path: str, text: str, basis: str) -> Finding:
    return Finding("warning", path, text, basis)


def note(path: str, text: str, basis: str) -> Finding:
    return Finding("note", path, text, basis)
