"""Larger things that commands move: packages in, in parts, and logs out, in pieces.

In: checked arguments, on the desk's thread. Out: an installed package; the newest lines of the log,
compressed, as reports or as a file. Everything is bounded, and what was left over from packages
that never became whole goes after a day.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import hashlib
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from rsu.config.model import SiteConfig
from rsu.schema.reports import BINARY, Priority, UplinkReport
from rsu.uplink.commands import catalogue
from rsu.uplink.commands.desk import Answer, Outcome
from rsu.uplink.commands.envelope import Refused
from rsu.uplink.commands.gate import Command, load_keys

MAX_READ_BYTES = 20_000_000
"""Of the log, the newest: one log file."""
MAX_EXPORT_BYTES = 2_000_000
"""Compressed: 33 pieces, 40 s of the backlog's pace; older lines are left out beyond."""
PIECE_BYTES = 60_000
LOG_TTL_S = 3600.0
JOURNAL_S = 10.0
PARTS_AGE_S = 86_400.0
MAX_INCOMING_BYTES = 300_000_000
"""All packages that are not yet whole together: two of the largest."""


class Exchange:
    """Used by one thread."""

    def __init__(
        self, config: SiteConfig, base: Path, offer: Callable[[UplinkReport], None]
    ) -> None:
        assert config.uplink is not None
        self._config = config
        self._base = base
        self._options = config.uplink.commands
        self._folder = base / self._options.folder
        self._offer = offer

    def package_part(self, _command: Command, said: catalogue.PackagePart) -> Answer:
        """Keep one part; parts may come in any order, and again."""
        if said.part >= said.parts:
            raise Refused("bad_arguments", "part: not below parts")
        try:
            data = base64.b64decode(said.data, validate=True)
        except (binascii.Error, ValueError):
            raise Refused("bad_arguments", "data is no base64") from None
        incoming = self._folder / "incoming"
        try:
            self._clear_old(incoming)
            if _size(incoming) + len(data) > MAX_INCOMING_BYTES:
                raise Refused("no_room", "too much has come in that is not yet whole")
            folder = incoming / said.package
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{said.part:04}").write_bytes(data)
            here = len(list(folder.iterdir()))
        except OSError as error:
            raise Refused("not_writable", f"{incoming}: {error.strerror}") from None
        return Answer(Outcome.DONE, result={"parts_here": here, "parts": said.parts})

    def package_install(self, _command: Command, said: catalogue.PackageInstall) -> Answer:
        """Put the parts together, verify, install."""
        from rsu.perception.registry import user_folder
        from rsu.runtime import packages

        parts = self._folder / "incoming" / said.package
        whole = self._folder / f"{said.package}.zip"
        keys, _ = load_keys(self._options, self._base)
        places = packages.Places(user_folder(), self._base / self._options.software)
        try:
            digest = _join(parts, whole)
            if digest != said.package:
                raise Refused("incomplete", "parts are missing or not those of this package")
            public = {name: key.public for name, key in keys.items()}
            manifest = packages.install(whole, public, places)
        except packages.PackageError as error:
            raise Refused(error.reason, error.detail) from None
        except OSError as error:
            raise Refused("not_writable", str(error)[:200]) from None
        finally:
            whole.unlink(missing_ok=True)
        shutil.rmtree(parts, ignore_errors=True)
        return Answer(
            Outcome.DONE,
            detail="models are used from the next start of their camera, software from the next "
            "restart of the unit",
            result={
                "name": manifest.name, "version": manifest.version, "kind": manifest.kind,
                "sha256": said.package,
            },
        )  # fmt: skip

    def log_export(self, command: Command, said: catalogue.LogExport) -> Answer:
        """The newest lines, compressed; of a long log the newest that fit."""
        lines = self._newest_lines(said.lines)
        while True:
            data = gzip.compress(b"\n".join(lines) + b"\n", mtime=0)
            if len(data) <= MAX_EXPORT_BYTES:
                break
            lines = lines[len(lines) // 2 :]
        result = {
            "lines": len(lines), "octets": len(data), "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip
        if said.to == "file":
            path = self._folder / f"log-{command.id.replace(':', '_')}.jsonl.gz"
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            except OSError as error:
                raise Refused("not_writable", f"{path}: {error.strerror}") from None
            return Answer(Outcome.DONE, result=result | {"file": str(path)})
        pieces = [data[i : i + PIECE_BYTES] for i in range(0, len(data), PIECE_BYTES)]
        for number, piece in enumerate(pieces):
            self._offer(
                UplinkReport(
                    id=f"{self._config.site.id}-log-{command.id}-{number}",
                    subject=f"log/{command.id}/{number}", priority=Priority.TELEMETRY,
                    ttl_s=LOG_TTL_S, body=piece, content_type=BINARY,
                )
            )  # fmt: skip
        return Answer(Outcome.DONE, result=result | {"pieces": len(pieces)})

    def _newest_lines(self, count: int) -> list[bytes]:
        folder = self._config.runtime.log_folder
        if folder is not None:
            return _tail(sorted((self._base / folder).glob("unit*.jsonl"), key=_age), count)
        invocation = os.environ.get("INVOCATION_ID")  # set by systemd
        tool = shutil.which("journalctl")
        if invocation is None or tool is None:
            raise Refused("no_log", "neither runtime.log_folder nor a journal")
        try:
            done = subprocess.run(
                [tool, f"_SYSTEMD_INVOCATION_ID={invocation}", "-o", "cat", "-n", str(count)],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=JOURNAL_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Refused("no_log", str(error)[:200]) from None
        if done.returncode != 0 or not done.stdout:
            raise Refused("no_log", "the journal may not be read by this user")
        return done.stdout[-MAX_READ_BYTES:].splitlines()[-count:]

    def _clear_old(self, incoming: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            for folder in incoming.iterdir():
                if time.time() - folder.stat().st_mtime > PARTS_AGE_S:
                    shutil.rmtree(folder, ignore_errors=True)


def _join(parts: Path, whole: Path) -> str:
    """Put parts into one file in their order; its SHA-256."""
    digest = hashlib.sha256()
    with whole.open("wb") as out:
        for part in sorted(parts.iterdir()) if parts.is_dir() else ():
            data = part.read_bytes()
            digest.update(data)
            out.write(data)
    return digest.hexdigest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _age(path: Path) -> tuple[bool, str]:
    """Finished files carry their time in their name; the one without is the newest."""
    return path.name == "unit.jsonl", path.name


def _tail(files: list[Path], count: int) -> list[bytes]:
    """The last lines of several files, oldest file first."""
    lines: deque[bytes] = deque(maxlen=count)
    left = MAX_READ_BYTES
    for path in reversed(files):
        if left <= 0 or len(lines) >= count:
            break
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - left))
                found = file.read(left).splitlines()
        except OSError:
            continue
        left -= sum(map(len, found))
        lines.extendleft(reversed(found[-(count - len(lines)) :]))
    if not lines:
        raise Refused("no_log", "no lines in runtime.log_folder")
    return list(lines)
