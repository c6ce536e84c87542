"""The log as files, for units without journald: one file for all processes, finished ones kept.

In: lines of any process of the unit (`LogFile.write`, one `write(2)` each, so that they never mix).
Out: `unit.jsonl` and finished files `unit.<UTC>.jsonl` in one folder. The supervisor alone finishes
and deletes files (`tend`); the others notice within a second and follow.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rsu.schema.units import NS_PER_S

NAME = "unit.jsonl"
ROTATE_BYTES = 20_000_000
"""A new file at this size …"""
ROTATE_S = 86_400.0
"""… or once a day."""
LOOK_NS = NS_PER_S


class LogFile:
    """A text stream to the log's newest file; a folder that cannot be written goes to stderr."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self._look_ns = 0

    def write(self, text: str) -> int:
        """Append; never raises."""
        octets = text.encode("utf-8", "backslashreplace")
        try:
            os.write(self._open(), octets)
        except OSError:
            with contextlib.suppress(OSError):
                os.write(2, octets)
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        now_ns = time.monotonic_ns()
        path = self._folder / NAME
        if self._file is not None and now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            if not _is(self._file, path):
                self.close()
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o600)
        return self._file


def tend(
    folder: Path,
    keep_days: float,
    keep_bytes: int,
    *,
    rotate_bytes: int = ROTATE_BYTES,
    clock: Callable[[], float] = time.time,
) -> None:
    """Finish the file when it is long or old; delete what is beyond days and bytes.

    For the supervisor, about once a second. `clock` gives UTC, s.
    """
    path = folder / NAME
    with contextlib.suppress(OSError):
        status = path.stat()
        old = clock() - _born(path) >= ROTATE_S
        if status.st_size and (status.st_size >= rotate_bytes or old):
            stamp = datetime.fromtimestamp(clock(), UTC).strftime("%Y%m%dT%H%M%S.%f")
            path.rename(folder / f"unit.{stamp}.jsonl")
    finished: list[tuple[str, Path, os.stat_result]] = []
    with contextlib.suppress(OSError):
        finished += [(one.name, one, one.stat()) for one in folder.glob("unit.*.jsonl")]
    left = sum(status.st_size for _, _, status in finished)
    for _, one, status in sorted(finished):
        if clock() - status.st_mtime > keep_days * 86_400.0 or left > keep_bytes:
            left -= status.st_size
            with contextlib.suppress(OSError):
                one.unlink()


def _is(file: int, path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    ours = os.fstat(file)
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


def _born(path: Path) -> float:
    """When its first line was written, as the line says; else when it was last written."""
    with path.open("rb") as file:
        first = file.readline(4096)
    mark = b'"timestamp": "'
    at = first.find(mark) + len(mark)
    try:
        return datetime.fromisoformat(first[at : at + 26].decode("ascii") + "+00:00").timestamp()
    except ValueError:
        return path.stat().st_mtime
