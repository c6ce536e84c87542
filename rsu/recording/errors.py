"""What can go wrong with a recording.

    RecordingError                  a file cannot be opened, read or written at all
    ├── DamagedRecordingError       everything whole was delivered, but something was not whole
    └── UnwritableMessageError      this one message cannot be kept; the file is fine

Every text names the file and what to do about it; none of these carries a traceback to the user.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Damage:
    """One stretch of a file that could not be used: where it begins, how long, and why.

    `unfinished` marks the mildest kind: the file ends with a whole record, but its recorder has
    not closed it, because it is still writing or was stopped hard.
    """

    path: Path
    offset: int
    length: int
    reason: str
    unfinished: bool = False

    def __str__(self) -> str:
        extent = f", {self.length} bytes" if self.length else ""
        return f"{self.path}: {self.reason} (at byte {self.offset}{extent})"


class RecordingError(Exception):
    """A recording could not be opened, read or written; `errno` where the system said why."""

    exit_code = 2  # of a command that ends with this error

    def __init__(self, path: Path, problem: str, *, errno: int | None = None) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
        self.errno = errno


class DamagedRecordingError(RecordingError):
    """Raised after the last whole message of a recording that is not whole."""

    def __init__(self, damages: tuple[Damage, ...], messages: int) -> None:
        first = damages[0]
        more = f" and {len(damages) - 1} more" if len(damages) > 1 else ""
        super().__init__(
            first.path,
            f"{first.reason} (at byte {first.offset}){more}; {messages} messages were read. "
            f"Repair it with: rsu recording recover {first.path}",
        )
        self.damages = damages
        self.messages = messages


class UnwritableMessageError(RecordingError):
    """A message without identity, of an unrecorded topic, too large, or not expressible in JSON.

    `reason` is a stable code for counters.
    """

    def __init__(self, path: Path, reason: str, problem: str) -> None:
        super().__init__(path, problem)
        self.reason = reason
