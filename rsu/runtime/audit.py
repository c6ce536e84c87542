"""The audit log: who took or changed what, in lines that cannot be altered unnoticed.

In: one call per export, saved incident, unmasked picture, configuration change or command. Out: a
file of JSON lines (mode 0600), each on disk before the call returns, each with the SHA-256 of the
line before. Several processes may write one log. A chain without a key shows what was altered,
left out or put in between; that the newest lines were cut off, or everything was written anew,
shows only against a copy of a digest kept elsewhere: so every line's digest also goes to the log.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from rsu.config.model import SiteConfig
from rsu.config.privacy import PrivacyOptions
from rsu.config.running import AuditOptions
from rsu.schema.units import NS_PER_S

ROTATE_BYTES = 1_000_000
"""A new file at this size: some 3000 lines."""
LEAST_DAYS = 7.0
"""Never deleted younger than this, whatever the size (operations: ≥ 7 days of logs)."""
LEAST_FILES = 4
"""Finished files that always stay: a clock that jumps ahead must not clear the log."""
MAX_DETAIL_BYTES = 16_000
"""Longer details are replaced by their digest, so that a line stays a line."""
START = "0" * 64
"""`previous` of the first line ever."""

_DAY_NS = 86_400 * NS_PER_S
_TAIL_BYTES = 64_000  # holds the longest line: 16 kB of detail, at worst doubled by escapes


class AuditError(Exception):
    """The log cannot be written or read. What was to be audited must then not be done."""

    exit_code = 3


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `digest` is the SHA-256 of all before it, as written, `previous` included."""

    seq: int
    time_ns: int
    time: str
    actor: str
    action: str
    detail: dict[str, Any]
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `AuditLog.verify` found; `first` > 0 where older files have been deleted.

    `digest` is the newest line's; `torn` counts fragments that a power loss left between lines.
    """

    lines: int
    first: int | None
    last: int | None
    digest: str
    torn: int
    problems: tuple[str, ...]

    @property
    def intact(self) -> bool:
        return not self.problems


class AuditLog:
    """The log at `path`; finished files lie beside it as `<stem>.<seq of last line>.jsonl`."""

    def __init__(
        self,
        path: Path,
        *,
        keep_days: float = 180.0,
        keep_bytes: int = 50_000_000,
        rotate_bytes: int = ROTATE_BYTES,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Files older than `keep_days` go; beyond `keep_bytes` in total earlier, never before
        LEAST_DAYS. `clock` gives UTC, ns."""
        self.path = path
        self._keep_days = max(keep_days, LEAST_DAYS)
        self._keep_bytes = keep_bytes
        self._rotate_bytes = rotate_bytes
        self._clock = clock

    def record(self, action: str, actor: str, detail: Mapping[str, Any]) -> AuditLine:
        """Append one line and wait for the disk. Raises AuditError.

        `action` is a short word (`recording_export`), `actor` who did it (`uid:1000`, `session:…`,
        `platform:… command:…`), `detail` plain JSON: what, and the digest of what left. Never put
        secrets or personal data in it.
        """
        with self._locked():
            line = self._append(action, actor, detail)
            self._rotate()
        if structlog.is_configured():  # else it would go to standard output, among exported data
            structlog.get_logger().info(
                "audit", action=action, actor=actor, seq=line.seq, digest=line.digest
            )
        return line

    def check(self) -> None:
        """Raises AuditError if a line could not be written now: ask before letting anything out."""
        with self._locked():
            os.close(self._open())

    def lines(self) -> Iterator[AuditLine]:
        """All lines that can be read, oldest first. Raises AuditError."""
        for path in self._files():
            for raw in _raw_lines(path):
                with contextlib.suppress(msgspec.DecodeError):
                    yield msgspec.json.decode(raw, type=AuditLine)

    def verify(self) -> Verification:
        """Follow the chain from the oldest line that is kept. Raises AuditError."""
        count, torn, first, last, digest = 0, 0, None, None, START
        problems = []
        for path in self._files():
            for number, raw in enumerate(_raw_lines(path), start=1):
                where = f"{path.name}:{number}"
                try:
                    line = msgspec.json.decode(raw, type=AuditLine)
                except msgspec.DecodeError:
                    torn += 1  # never a whole line: one that is gone leaves a gap in the chain
                    continue
                count += 1
                if _encode(line) != raw or _digest(line) != line.digest:
                    problems.append(f"{where}: line {line.seq} was altered")
                elif last is None:
                    if line.seq == 0 and line.previous != START:
                        problems.append(f"{where}: the first line follows another")
                elif line.seq != last + 1:
                    problems.append(f"{where}: line {line.seq} follows line {last}")
                elif line.previous != digest:
                    problems.append(f"{where}: line {line.seq} does not follow line {last}")
                first = line.seq if first is None else first
                last, digest = line.seq, line.digest
        return Verification(count, first, last, digest, torn, tuple(problems))

    def _append(self, action: str, actor: str, detail: Mapping[str, Any]) -> AuditLine:
        newest = self._newest()
        now = self._clock()
        line = AuditLine(
            seq=0 if newest is None else newest.seq + 1,
            time_ns=now,
            time=datetime.fromtimestamp(now / NS_PER_S, tz=UTC).isoformat(timespec="milliseconds"),
            actor=actor[:200],
            action=action[:64],
            detail=_bounded(detail),
            previous=START if newest is None else newest.digest,
            digest="",
        )
        line = msgspec.structs.replace(line, digest=_digest(line))
        try:
            file = self._open()
            try:
                data = _encode(line) + b"\n"
                if _torn(self.path):
                    data = b"\n" + data  # what a power loss cut off stays, on a line of its own
                if os.write(file, data) != len(data):
                    raise AuditError(f"{self.path}: the disk is full")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise AuditError(f"{self.path}: {error.strerror}") from error
        return line

    def _open(self) -> int:
        fresh = not self.path.exists()
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            if fresh:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise AuditError(f"{self.path}: {error.strerror}") from error
        return file

    def _newest(self) -> AuditLine | None:
        """The last whole line of the newest file that has one."""
        found = (_last_line(path) for path in reversed(self._files()))
        return next((line for line in found if line is not None), None)

    def _rotate(self) -> None:
        """Begin a new file when this one is large, and delete finished ones that are too old."""
        try:
            if self.path.stat().st_size < self._rotate_bytes:
                return
            newest = self._newest()
            assert newest is not None
            self.path.rename(self.path.with_name(f"{self.path.stem}.{newest.seq:012d}.jsonl"))
            _sync_folder(self.path.parent)
            deleted = self._delete_old()
        except OSError as error:
            # The line itself is safe; the next one tries again.
            structlog.get_logger().warning("audit", problem=f"{self.path}: {error.strerror}")
            return
        self._append("audit_rotated", "self", {"deleted": deleted})

    def _delete_old(self) -> list[str]:
        finished = [path for path in self._files() if path != self.path]
        sizes = {path: path.stat().st_size for path in finished}
        deleted: list[str] = []
        for path in finished[:-LEAST_FILES]:
            ended = _last_line(path)
            age_days = 0.0 if ended is None else (self._clock() - ended.time_ns) / _DAY_NS
            crowded = sum(sizes.values()) > self._keep_bytes
            if age_days < (LEAST_DAYS if crowded else self._keep_days):
                break  # the chain must not get a hole: only ever the oldest
            path.unlink()
            del sizes[path]
            deleted.append(path.name)
        return deleted

    def _files(self) -> list[Path]:
        """All files of this log, oldest first."""
        own = re.compile(rf"{re.escape(self.path.stem)}\.\d{{12}}\.jsonl")
        try:
            beside = list(self.path.parent.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise AuditError(f"{self.path.parent}: {error.strerror}") from error
        finished = sorted(path for path in beside if own.fullmatch(path.name))
        return [*finished, *([self.path] if self.path in beside else [])]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep out other processes and threads: each call opens the lock file anew."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(
                self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600
            )
        except OSError as error:
            raise AuditError(f"{self.path}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def site_audit(options: AuditOptions, base: Path) -> AuditLog:
    """The log of a unit; `base` is its site file's folder. $RSU_AUDIT goes before the option."""
    given = os.environ.get("RSU_AUDIT")
    path = Path(given) if given else base / options.path
    return AuditLog(path, keep_days=options.keep_days, keep_bytes=options.keep_bytes)


def accounted_privacy(config: SiteConfig, base: Path, camera_id: str) -> PrivacyOptions:
    """How pictures of a camera may leave. Where the site file lets them leave unmasked, a line says
    so first; a log that cannot be written masks them after all."""
    privacy = config.privacy
    camera = next(one for one in config.cameras if one.id == camera_id)
    if privacy.mask or camera.preview.rate_hz == 0:
        return privacy
    detail = {"camera": camera_id, "reason": privacy.reason}
    try:
        site_audit(config.audit, base).record(
            "preview_unmasked", f"process:camera:{camera_id}", detail
        )
    except AuditError as error:
        structlog.get_logger().warning("audit", problem=f"{error}: pictures are masked after all")
        return PrivacyOptions()
    return privacy


def local_actor() -> str:
    """The user of this process, e.g. `uid:1000 (rsu)`."""
    uid = os.getuid()
    try:
        return f"uid:{uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"uid:{uid}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(line: AuditLine) -> str:
    return hashlib.sha256(_encode(msgspec.structs.replace(line, digest=""))).hexdigest()


def _encode(line: AuditLine) -> bytes:
    return msgspec.json.encode(line, order="deterministic")


def _bounded(detail: Mapping[str, Any]) -> dict[str, Any]:
    data = msgspec.json.encode(dict(detail), enc_hook=str, order="deterministic")
    if len(data) > MAX_DETAIL_BYTES:
        return {"too_long": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    plain: dict[str, Any] = msgspec.json.decode(data)  # paths, enums, tuples as JSON has them
    return plain


def _raw_lines(path: Path, tail: int | None = None) -> list[bytes]:
    """The file's lines without line ends, or those that begin in its last `tail` bytes."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = 0 if tail is None else max(0, size - tail)
            file.seek(begin)
            data = file.read()
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error
    lines = data.split(b"\n")
    return [line for line in (lines[1:] if begin else lines) if line]


def _last_line(path: Path) -> AuditLine | None:
    for raw in reversed(_raw_lines(path, tail=_TAIL_BYTES)):
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(raw, type=AuditLine)
    return None


def _torn(path: Path) -> bool:
    """Whether the last line has no end."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
