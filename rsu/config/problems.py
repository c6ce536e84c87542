"""What can be wrong with a site file, and how it is said.

Everything that reads or checks a site file collects `Problem`s, so that a person sees all of them
at once, each with the place in the file; `ConfigError` carries them when there is no way on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Location = tuple[str | int, ...]
"""Where in the document: keys and list indices from the root."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at one place; `line` and `column` count from 1, 1:1 is the file as a whole.

    `path` names the place as `cameras[0].source.path`. A warning does not keep the unit from
    starting.
    """

    file: Path
    line: int
    column: int
    path: str
    message: str
    suggestion: str | None = None
    warning: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        kind = "warning: " if self.warning else ""
        path = f"{self.path}: " if self.path else ""
        hint = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        return f"{where}{kind}{path}{self.message}{hint}"


@dataclass(frozen=True, slots=True)
class Note:
    """What a check found: where in the config, what, and what was probably meant."""

    at: Location
    message: str
    suggestion: str | None = None
    warning: bool = False


class ConfigError(Exception):
    """A site file that cannot be used; `problems` says everything that is wrong with it."""

    exit_code = 2  # of a command that ends with this error

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.line, p.column, p.path, p.message))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def spell(location: Location) -> str:
    """A location as people write it: `cameras[0].source.path`."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{printable(step)}" if text else printable(step)
    return text


def printable(text: str, limit: int = 60) -> str:
    """Text out of a file, fit for a terminal: escapes for what cannot be printed, cut to length."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
