"""Space kept back on the outbox's disk, given away when others have filled it.

In: the folder of the outbox and a size. While there is room, a file of that size lies there; when
the disk refuses a write for want of space the outbox lets it go, so that events can still be put on
disk, and makes it anew once there is twice as much room as it takes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

ROOM_FACTOR = 2
"""Free space before the ballast is made again: else it would itself fill the disk at once."""


class Ballast:
    """Used by the outbox's writer thread only."""

    def __init__(self, path: Path, size: int) -> None:
        """`path` is the file; `size` 0: there is none."""
        self._path = path
        self._size = size

    @property
    def held(self) -> bool:
        """Whether the space is kept back now."""
        try:
            return self._size > 0 and self._path.stat().st_size >= self._size
        except OSError:
            return False

    def release(self) -> bool:
        """Give the space away; False where there was none to give."""
        held = self.held
        with contextlib.suppress(OSError):
            self._path.unlink()
        return held and not self.held

    def hold(self) -> None:
        """Keep the space back again where there is room enough; never raises."""
        if self._size == 0 or self.held:
            return
        with contextlib.suppress(OSError):
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < ROOM_FACTOR * self._size:
                return
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, self._size)  # real blocks, nothing written
            except OSError:
                self._path.unlink()
                raise
            finally:
                os.close(file)
