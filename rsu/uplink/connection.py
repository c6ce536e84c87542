"""One TCP connection of one paho client: polled here together with a wake-up socket."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import ssl
from typing import Any

import paho.mqtt.client as mqtt

WINDOW = 20
"""Unacknowledged publications; the default Receive Maximum of mosquitto."""
UNSENT_BYTES = 16_384
"""What the kernel may hold unsent for us: more would be age that nobody sees (64 kbit/s: 2 s)."""
_TCP_NOTSENT_LOWAT = 25  # linux/tcp.h; Python 3.11 has no name for it


class Link:
    """One TCP connection of one paho client, polled together with the wake-up socket."""

    def __init__(self, client: mqtt.Client, wake: socket.socket) -> None:
        self.client = client
        self.accepted = False
        self.window = WINDOW
        self.max_packet = 2**28
        self._within_s = math.inf
        self._wake = wake

    def bound_unsent(self) -> None:
        """Let the kernel refuse early, so that what waits, waits where it can still be dropped."""
        sock: Any = self.client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):  # older kernels queue more
                sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def is_open(self) -> bool:
        """Whether paho still holds a socket."""
        return self.client.socket() is not None

    def look_within(self, seconds: float) -> None:
        """Let the next turn wait no longer than this (and 10 ms: what is due then is due soon)."""
        self._within_s = min(self._within_s, max(seconds, 0.01))

    def turn(self, timeout_s: float) -> None:
        """Wait for something to do and do it."""
        sock: Any = self.client.socket()
        if sock is None:
            return
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            timeout_s = 0.0  # already decrypted: the kernel will not announce it again
        else:
            timeout_s = min(timeout_s, self._within_s)
        self._within_s = math.inf
        poll = select.poll()
        poll.register(sock, select.POLLIN | (select.POLLOUT if self.client.want_write() else 0))
        poll.register(self._wake, select.POLLIN)
        events = dict(poll.poll(timeout_s * 1000))
        if self._wake.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                self._wake.recv(4096)
        found = events.get(sock.fileno(), 0)
        if found & ~select.POLLOUT or timeout_s == 0.0:
            self.client.loop_read()
        if found & select.POLLOUT and self.is_open():
            self.client.loop_write()
        self.client.loop_misc()

    def close(self) -> None:
        """Drop the connection, whatever its state."""
        sock: Any = self.client.socket()
        if sock is not None:
            sock.close()
