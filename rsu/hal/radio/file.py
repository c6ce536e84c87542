"""Driver `file`: appends every frame as one JSON line `{"time", "message", "aid", "hex"}`.

`time` is when it was handed over, RFC 3339 UTC with nanoseconds. A file that would grow beyond
`max_bytes` is renamed to `<name>.1` (replacing the one before) and a new one begun. Lines are
written whole and reach the kernel at once, so a killed process loses none; they are synced to disk
only on closing, because waiting for a disk has no place in the sending path.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rsu.config.radios import FileRadioOptions
from rsu.hal.errors import DeviceError
from rsu.hal.radio.base import content_of
from rsu.schema.units import NS_PER_S
from rsu.schema.v2x import V2xFrame


class FileRadio:
    """See `Radio`. Sends only. `clock` gives UTC ns."""

    receives = False

    def __init__(
        self, options: FileRadioOptions, base: Path, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._options = options
        self._path = base / options.path
        self._clock = clock
        self._busy = threading.Lock()  # `close` may come from another thread than `send`
        self._handle: int | None = None
        self._size = 0

    def open(self) -> None:
        with self._busy:
            if self._handle is None:
                try:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._begin()
                except OSError as error:
                    raise self._trouble(error) from error

    def send(self, frame: V2xFrame) -> None:
        octets = content_of(frame, self._options.content)
        line = {
            "time": rfc3339(self._clock()),
            "message": frame.message,
            "aid": frame.aid,
            "hex": octets.hex(),
        }
        with self._busy:
            if self._handle is None:
                raise DeviceError(f"radio file {self._path} is not open", "open it first")
            try:
                self._append(self._handle, json.dumps(line).encode() + b"\n")
            except OSError as error:
                raise self._trouble(error) from error

    def receive(self, timeout_s: float) -> bytes | None:  # noqa: ARG002  as every driver
        return None

    def close(self) -> None:
        with self._busy:
            handle, self._handle = self._handle, None
            if handle is not None:
                try:
                    os.fsync(handle)
                except OSError:
                    pass  # a pipe or a full disk: nothing more can be done for these lines
                finally:
                    os.close(handle)

    def _append(self, handle: int, line: bytes) -> None:
        if self._size and self._size + len(line) > self._options.max_bytes:
            self._handle = None
            os.close(handle)
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            handle = self._begin()
        written = os.write(handle, line)
        if written < len(line):  # the disk became full within the line: take the piece back
            os.ftruncate(handle, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _begin(self) -> int:
        # Read access is for looking at the last octet; appending is atomic per write.
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            self._size = os.fstat(handle).st_size
            if self._size and os.pread(handle, 1, self._size - 1) != b"\n":
                self._size += os.write(handle, b"\n")  # a power cut left half a line behind
        except OSError:
            os.close(handle)
            raise
        self._handle = handle
        return handle

    def _trouble(self, error: OSError) -> DeviceError:
        return DeviceError(
            f"radio file {self._path} cannot be written: {error.strerror}",
            "check the folder, its permissions and the free space",
        )


def rfc3339(utc_ns: int) -> str:
    """UTC with nine decimals, e.g. 2025-01-01T00:00:00.000000000Z."""
    seconds, fraction = divmod(utc_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
