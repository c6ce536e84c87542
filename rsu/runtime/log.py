"""Logs: one JSON object a line on standard error, which journald keeps; text on a terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path
from typing import Any

import structlog

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


def configure_logging(level: str = "info", **context: Any) -> None:
    """Set the process's log format once; `context` (e.g. process name) goes into every line."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    set_level(level)
    structlog.configure(
        processors=[
            _from_level_on,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**context)
