"""A file that only ever grows by whole chunks.

The MCAP writer writes into memory here; `commit` moves everything to disk at once. When the disk
refuses (full, read-only, broken), the file is cut back to its last whole chunk, so that what was
recorded before stays readable to the last byte.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class FileSink:
    """Write-only binary stream for `mcap.writer.Writer`. All errors are OSError."""

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        flags |= os.O_TRUNC if overwrite else os.O_EXCL
        # 0o640: recordings are for the unit and its maintenance group, not for everyone.
        self._fd = os.open(path, flags, 0o640)
        self._committed = 0
        self._waiting = bytearray()
        self.closed = False

    @property
    def committed(self) -> int:
        """Bytes in the file."""
        return self._committed

    @property
    def waiting(self) -> int:
        """Bytes not yet in the file."""
        return len(self._waiting)

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def tell(self) -> int:
        return self._committed + len(self._waiting)

    def flush(self) -> None:
        """The writer's wish; we write when a chunk is whole (`commit`)."""

    def commit(self, *, sync: bool = False) -> None:
        """Move what waits to the file, all or nothing; `sync` waits until the disk has it."""
        data = bytes(self._waiting)
        self._waiting.clear()
        try:
            written = 0
            while written < len(data):
                written += os.write(self._fd, memoryview(data)[written:])
        except OSError:
            with contextlib.suppress(OSError):  # a torn tail is what `recover` is for
                os.ftruncate(self._fd, self._committed)
                os.lseek(self._fd, self._committed, os.SEEK_SET)
            raise
        self._committed += len(data)
        if sync:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file; what was not committed is gone. May be called again."""
        if not self.closed:
            self.closed = True
            os.close(self._fd)


def sync_folder(folder: Path) -> None:
    """Make a new file's name survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
