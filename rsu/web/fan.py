"""One snapshot to many browsers: encoded once, each client has room for the newest one only.

In: `offer` from the thread that makes snapshots. Out: one binary WebSocket message (zlib) a client
and snapshot. A client that reads slowly gets the newest when it is ready for another; what it
missed is counted and gone. Nothing a client does can hold up the others or the caller: a send
waits for its own socket alone, whose buffers are bounded (64 KiB in asyncio, `SEND_BUFFER` in the
kernel).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

MOST_CLIENTS = 250
"""A control room has a few; 200 are the load that the unit is tested with (operations row 36)."""
SEND_BUFFER = 16_384
"""Octets that the kernel is asked to hold for a client (Linux takes twice that): a few snapshots of
5 kB, about a second. With the default it would hold megabytes, minutes old."""
FRESH_S = 1.0
"""Whoever comes is given the newest snapshot at once unless it is older: while nobody looked none
was made, and a page takes what it hears for the present."""


class Fan:
    """The clients of one server. All but `offer` and `clients` belong to the event loop."""

    def __init__(
        self, most: int = MOST_CLIENTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.most = most
        self.sent = 0
        self.skipped = 0
        self.refused = 0
        self._latest: tuple[int, bytes] = (0, b"")
        self._spread_at = 0.0
        self._waiting: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: bytes | None = None
        self._lock = threading.Lock()  # between who offers and the loop, for `_next`

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self.most

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop that clients live in."""
        self._loop = loop

    def offer(self, data: bytes) -> None:
        """Give every client a new snapshot; from any thread, never waits. One that the loop has not
        come to yet is replaced."""
        if self._loop is None or self._loop.is_closed():
            return
        with self._lock:
            waiting, self._next = self._next, data
        if waiting is None:
            self._loop.call_soon_threadsafe(self._spread)

    async def feed(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send the newest snapshot again and again until the client is gone (`send` raises) or the
        task is cancelled."""
        news = asyncio.Event()
        self._waiting.add(news)
        seen = self._latest[0]
        try:
            if self._latest[1] and self._clock() - self._spread_at < FRESH_S:
                seen -= 1
                news.set()
            while True:
                await news.wait()
                news.clear()
                number, data = self._latest
                self.skipped += number - seen - 1
                seen = number
                await send(data)
                self.sent += 1
        finally:
            self._waiting.discard(news)

    def _spread(self) -> None:
        with self._lock:
            data, self._next = self._next, None
        if data is None:
            return
        self._latest = (self._latest[0] + 1, data)
        self._spread_at = self._clock()
        for news in self._waiting:
            news.set()
