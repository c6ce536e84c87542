"""Names of recording files, and which of them go when they are too old or the quota is used up.

Only files that carry this unit's own naming are ever deleted: `<site>-<UTC>-<number>.mcap`.
Repaired, cut or renamed copies are somebody's work and stay.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rsu.schema.units import NS_PER_S


def file_name(site: str, utc_ns: int, number: int) -> str:
    """`<site>-<UTC of the file's start>-<number within the run>.mcap`."""
    when = datetime.fromtimestamp(utc_ns // NS_PER_S, tz=UTC)
    return f"{site}-{when:%Y%m%dT%H%M%SZ}-{number:04d}.mcap"


@dataclass(frozen=True, slots=True)
class Clearing:
    """What `enforce_quota` did; `deleted` for the quota, `expired` for their age."""

    deleted: tuple[Path, ...] = ()
    expired: tuple[Path, ...] = ()
    kept_bytes: int = 0
    failures: tuple[str, ...] = field(default=())


def enforce_quota(
    folder: Path,
    site: str,
    keep_bytes: int,
    *,
    newest: Sequence[str] = (),
    before_ns: int | None = None,
    outdated: Collection[str] = (),
) -> Clearing:
    """Delete this site's files in `folder` that began before `before_ns` (UTC), then the oldest
    until the rest holds ≤ `keep_bytes`.

    Age is what the name says (UTC, then number), so copying a folder does not change it; but the
    names in `newest` are the youngest, in that order, whatever they say: the present run knows its
    own files even when the clock was stepped, and which of them are `outdated`. Never raises; what
    cannot be deleted is told in `failures`.
    """
    own = re.compile(rf"{re.escape(site)}-(\d{{8}}T\d{{6}}Z)-(\d{{4,}})\.mcap")
    rank = {name: place for place, name in enumerate(newest, start=1)}
    found: list[tuple[int, str, int, Path, int]] = []
    try:
        for path in folder.iterdir():
            match = own.fullmatch(path.name)
            if match and (size := _regular_size(path)) is not None:
                found.append((rank.get(path.name, 0), match[1], int(match[2]), path, size))
    except OSError as error:
        return Clearing(failures=(f"{folder}: {error.strerror}",))
    total = sum(size for *_, size in found)
    deleted: list[Path] = []
    expired: list[Path] = []
    failures: list[str] = []
    for place, began, _, path, size in sorted(found):
        if place:
            too_old = path.name in outdated
        else:
            too_old = before_ns is not None and _utc_ns(began) < before_ns
        if total <= keep_bytes and not too_old:
            continue
        try:
            path.unlink()
        except OSError as error:
            failures.append(f"{path}: {error.strerror}")
            continue
        total -= size
        (expired if too_old else deleted).append(path)
    return Clearing(tuple(deleted), tuple(expired), total, tuple(failures))


def _utc_ns(text: str) -> int:
    """Nanoseconds since the epoch of a file name's time; a date that does not exist is no age."""
    try:
        when = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return 1 << 63
    return int(when.timestamp()) * NS_PER_S


def _regular_size(path: Path) -> int | None:
    """Size of a regular file; None for anything else, or one that has just gone."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
