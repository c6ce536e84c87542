"""Logs: one JSON object a line on standard error, which journald keeps; text on a terminal.

Without journald and with a folder for logs they go to files there (`rsu.runtime.log_file`). What
is said again and again is said less often, with the number of lines that were left out: a fault
that strikes ten thousand times a second must fill neither disk nor journal (fault row 37).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

LOG_FOLDER = "RSU_LOG_FOLDER"
"""Environment: the folder of log files, for this process and its children."""
LEVELS = ("debug", "info", "warning", "error")
LEVEL_FILE = "log-level"
"""In the run folder: the level that processes take, within a second and when they start."""

_level = logging.INFO  # of this process; may change while it runs


def set_level(level: str) -> None:
    """Log from this level on, at once, in loggers that exist already too."""
    global _level  # noqa: PLW0603 - one per process, as the log is
    _level = getattr(logging, level.upper())


def follow_level(folder: Path) -> None:
    """Take the level that was ordered for all processes of a unit, where one was."""
    with contextlib.suppress(OSError, ValueError):
        level = (folder / LEVEL_FILE).read_text("ascii")
        if level in LEVELS:
            set_level(level)


def _from_level_on(_logger: Any, method: str, event: structlog.types.EventDict) -> Any:
    if logging.getLevelNamesMapping().get(method.upper(), logging.ERROR) < _level:
        raise structlog.DropEvent
    return event


class Flood:
    """Lets `BURST` equal events pass, then one a second; counts what it holds back.

    Events are equal that have the same name and level. More than `KINDS` different ones at once
    share one budget. Safe to call from any thread.
    """

    BURST = 20
    KINDS = 500

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Budget] = {}
        self._lock = threading.Lock()
        self.suppressed = 0

    def passes(self, level: str, event: str) -> int | None:
        """None: hold it back. Else how many like it were held back since the last that passed."""
        with self._lock:
            now = self._clock()
            kind = level, event
            if kind not in self._kinds and len(self._kinds) >= self.KINDS:
                kind = level, "(others)"
            budget = self._kinds.setdefault(kind, _Budget(now, self.BURST))
            budget.left = min(self.BURST, budget.left + now - budget.seen)
            budget.seen = now
            if budget.left < 1.0:
                budget.held += 1
                self.suppressed += 1
                return None
            budget.left -= 1.0
            held, budget.held = budget.held, 0
            return held

    def quiet(self) -> list[tuple[str, str, int]]:
        """(level, event, held back) of floods that ended, so that their end is told; forgets
        what has not been heard for a minute."""
        told = []
        with self._lock:
            now = self._clock()
            for (level, event), budget in list(self._kinds.items()):
                if now - budget.seen >= 5.0 and budget.held:
                    told.append((level, event, budget.held))
                    budget.held = 0
                if now - budget.seen >= 60.0:
                    del self._kinds[level, event]
        return told


class _Budget:
    """What one kind of event may still say."""

    __slots__ = ("held", "left", "seen")

    def __init__(self, seen: float, left: float) -> None:
        self.seen, self.left, self.held = seen, left, 0


_flood = Flood()


def suppressed_lines() -> int:
    """Lines that this process has held back since its start. Tells of floods that have ended."""
    for level, event, held in _flood.quiet():
        structlog.get_logger().log(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO),
            "log flood ended", of=event, suppressed=held,
        )  # fmt: skip
    return _flood.suppressed


def _no_flood(_logger: Any, method: str, event: structlog.types.EventDict) -> Any:
    held = _flood.passes(method, str(event.get("event", "")))
    if held is None:
        raise structlog.DropEvent
    if held:
        event["suppressed"] = held
    return event


class StandardError:
    """Standard error that never raises: a line that a full disk or a closed pipe does not take is
    lost, the process goes on. Unbuffered, or the rest of a line would be written some other time.
    """

    def write(self, text: str) -> int:
        """One `write(2)` to whatever standard error is now."""
        try:
            descriptor = sys.stderr.fileno()
        except (OSError, ValueError):  # what a test has put there has none
            sys.stderr.write(text)
            return len(text)
        with contextlib.suppress(OSError):
            os.write(descriptor, text.encode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def _stream() -> Any:
    """Where lines go: journald and terminals have standard error."""
    folder = os.environ.get(LOG_FOLDER)
    if not folder or "JOURNAL_STREAM" in os.environ:
        return StandardError()
    from rsu.runtime.log_file import LogFile

    return LogFile(Path(folder))


def configure_logging(level: str = "info", **context: Any) -> None:
    """Set the process's log format once; `context` (e.g. process name) goes into every line."""
    stream = _stream()
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False)
        if isinstance(stream, StandardError) and sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    set_level(level)
    structlog.configure(
        processors=[
            _from_level_on,
            _no_flood,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        # One write a line: processes share the stream, and pieces would be shuffled.
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**context)
