"""Cross-checks of what a site file names outside itself: files, secrets, dates."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rsu.config.messages import nearest, quote
from rsu.config.problems import Location, Note


def file(path: Path, base: Path, at: Location, what: str) -> Iterator[Note]:
    if str(path).startswith("$CREDENTIALS_DIRECTORY/"):
        return  # systemd's: there only while the service runs
    full = base / path
    try:
        if not full.exists():
            yield Note(at, f"there is no {what} {quote(str(path))}", _sibling(full))
        elif not full.is_file():
            yield Note(at, f"{quote(str(path))} is no file")
    except (OSError, ValueError) as error:
        yield Note(at, f"{quote(str(path))} cannot be looked at: {error}", warning=True)


def _sibling(missing: Path) -> str | None:
    """A file beside a missing one whose name is nearly the same."""
    try:
        names = [entry.name for entry in missing.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    return nearest(missing.name, names)


def secret(path: Path | None, base: Path, at: Location) -> Iterator[Note]:
    """A secret's file: it is there, and nobody but its owner reads it."""
    if path is None or str(path).startswith("$CREDENTIALS_DIRECTORY/"):
        return
    missing = list(file(path, base, at, "file"))
    yield from missing
    if missing:
        return
    mode = (base / path).stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        octal = f"{stat.S_IMODE(mode):04o}"
        message = f"{quote(str(path))} can be read by others (mode {octal}; 0600 is right)"
        yield Note(at, message, warning=True)


def is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
