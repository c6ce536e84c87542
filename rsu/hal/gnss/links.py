"""Octet streams that GNSS receivers come by: a TCP connection, a serial device.

`read` waits a bounded time and gives what has come; a closed or broken stream is a `DeviceError`.
The serial device is set up with termios of the standard library: 8N1, raw, no modem lines is all
that NMEA 0183 needs, and a dependency less to ship and to trust.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import termios
import time
from pathlib import Path
from typing import Protocol

from rsu.config.gnss import SerialLink, TcpLink
from rsu.hal.device import OPEN_S
from rsu.hal.errors import DeviceError

CHUNK = 16_384
"""Octets taken at once: some 30 epochs of NMEA."""
LOOK_UP_S = 0.2
"""How often a waiting reader looks whether it was closed, s."""
_NOT_OPEN = "open it first"


class Stream(Protocol):
    """One thread reads; `close` may come from another, `read` then ends with DeviceError."""

    def open(self) -> None: ...

    def read(self, timeout_s: float) -> bytes:
        """What has come, b"" when nothing came in time."""

    def close(self) -> None: ...


class TcpStream:
    """A connection to a server; `greeting` is sent once it stands."""

    def __init__(self, host: str, port: int, what: str, greeting: bytes = b"") -> None:
        self._host, self._port, self._greeting = host, port, greeting
        self._where = f"{what} at {host}:{port}"
        self._socket: socket.socket | None = None

    def open(self) -> None:
        if self._socket is not None:
            return
        opened: socket.socket | None = None
        try:
            opened = socket.create_connection((self._host, self._port), OPEN_S / 2)
            opened.sendall(self._greeting)
            opened.setblocking(False)
        except (OSError, UnicodeError) as error:
            if opened is not None:
                opened.close()
            raise DeviceError(
                f"{self._where} cannot be reached: {error}",
                "start it, or correct host and port",
            ) from error
        self._socket = opened

    def read(self, timeout_s: float) -> bytes:
        deadline_s = time.monotonic() + timeout_s
        while True:
            opened = self._socket
            if opened is None:
                raise DeviceError(f"{self._where} is not open", _NOT_OPEN)
            left_s = max(0.0, deadline_s - time.monotonic())
            try:
                if _readable(opened.fileno(), min(left_s, LOOK_UP_S)):
                    octets = opened.recv(CHUNK)
                    if not octets:
                        raise DeviceError(f"{self._where} hung up", "open it again")
                    return octets
            except (OSError, ValueError) as error:  # ValueError: closed by another thread
                if self._socket is None:
                    raise DeviceError(f"{self._where} is not open", _NOT_OPEN) from error
                raise DeviceError(f"{self._where} was lost: {error}", "open it again") from error
            if left_s <= 0.0:
                return b""

    def close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()


class SerialStream:
    """A serial device, 8N1, nothing translated."""

    def __init__(self, path: Path, baud: int) -> None:
        self._path, self._baud = path, baud
        self._where = f"serial device {path}"
        self._fd: int | None = None

    def open(self) -> None:
        if self._fd is not None:
            return
        fd: int | None = None
        try:
            # Without waiting for a carrier: most receivers drive no modem lines.
            fd = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            speed = getattr(termios, f"B{self._baud}")
            *_, controls = termios.tcgetattr(fd)
            controls[termios.VMIN], controls[termios.VTIME] = 0, 0
            flags = termios.CS8 | termios.CREAD | termios.CLOCAL
            termios.tcsetattr(fd, termios.TCSANOW, [0, 0, flags, 0, speed, speed, controls])
            termios.tcflush(fd, termios.TCIFLUSH)  # what lay there is of unknown age
        except (OSError, termios.error) as error:
            if fd is not None:
                os.close(fd)
            raise DeviceError(
                f"{self._where} cannot be opened: {error}",
                "connect the receiver, correct the path, or give the unit's user the right to it "
                "(group dialout)",
            ) from error
        self._fd = fd

    def read(self, timeout_s: float) -> bytes:
        deadline_s = time.monotonic() + timeout_s
        while True:
            fd = self._fd
            if fd is None:
                raise DeviceError(f"{self._where} is not open", _NOT_OPEN)
            left_s = max(0.0, deadline_s - time.monotonic())
            try:
                if _readable(fd, min(left_s, LOOK_UP_S)):
                    octets = os.read(fd, CHUNK)
                    if not octets:
                        raise DeviceError(f"{self._where} is gone", "connect it again")
                    return octets
            except OSError as error:
                if self._fd is None:
                    raise DeviceError(f"{self._where} is not open", _NOT_OPEN) from error
                raise DeviceError(f"{self._where} was lost: {error}", "connect it again") from error
            if left_s <= 0.0:
                return b""

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)


def stream(link: TcpLink | SerialLink, base: Path) -> TcpStream | SerialStream:
    """The stream that options name."""
    if isinstance(link, TcpLink):
        return TcpStream(link.host, link.port, "GNSS receiver")
    return SerialStream(base / link.path, link.baud)


def _readable(fd: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
