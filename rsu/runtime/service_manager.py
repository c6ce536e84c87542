"""What the service manager is told (sd_notify): ready, alive, reloading, stopping.

In: states. Out: datagrams to `$NOTIFY_SOCKET`, where there is one. Nothing waits: when nobody reads
that socket some ten datagrams fill it, and a supervisor that waits would be killed for it. What
must arrive is said again every turn until it fits; a heartbeat that does not fit is left out.
"""

from __future__ import annotations

import os
import time
from collections import deque

import sdnotify

HEARTBEAT = "WATCHDOG=1"
WAITING = 8
"""States that wait at most; the newest count."""


class ServiceManager:
    """The one that started this process, if it wants to know."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque(maxlen=WAITING)
        self._notifier: sdnotify.SystemdNotifier | None = None
        if os.environ.get("NOTIFY_SOCKET"):
            notifier = sdnotify.SystemdNotifier()
            if notifier.socket is not None:
                notifier.debug = True  # raises what it would swallow: we have to know
                notifier.socket.setblocking(False)
                self._notifier = notifier

    def tell(self, state: str) -> None:
        """Say it now, or as soon as it fits."""
        if self._notifier is not None:
            self._waiting.append(state)
            self.again()

    def beat(self) -> None:
        """Say that all is well, if it fits."""
        if not self._waiting:
            self._sent(HEARTBEAT)

    def reloading(self) -> None:
        """The configuration is about to change; READY=1 tells when it has (systemd.service(5))."""
        self.tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def again(self) -> None:
        """Say what did not fit before."""
        while self._waiting and self._sent(self._waiting[0]):
            self._waiting.popleft()

    def close(self) -> None:
        """Let the socket go."""
        if self._notifier is not None:
            self._notifier.socket.close()

    def _sent(self, state: str) -> bool:
        """False: it did not fit. A socket that is gone takes everything."""
        if self._notifier is None:
            return True
        try:
            self._notifier.notify(state)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
