"""What is missing or wrong between a site map and a MAP message, as records and errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rsu.v2x.errors import V2xError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong: `lane` is a lane id ('' where the whole map is meant), `key` the property.

    Warnings leave something out of the message; errors forbid it.
    """

    lane: str
    key: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        place = [f"lane {self.lane}"] if self.lane else []
        return ": ".join([*place, *([self.key] if self.key else []), self.message])


class MapExportError(V2xError):
    """The site map lacks what a MAP must say; `findings` names every lane and property."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))


class MapImportError(V2xError):
    """A source that holds no map this package can read; the text says where."""
