"""UDP in both directions: sending that never waits, receiving with a size cap.

Radios send and receive; devices that send datagrams by themselves are received here too.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time
from collections import Counter

from rsu.hal.errors import DeviceError
from rsu.hal.radio.base import MAX_RECEIVED
from rsu.schema.units import NS_PER_S

MAX_DATAGRAM = 65_535
"""Largest UDP datagram, octets: the receive buffer, so that nothing is cut and taken for whole."""
LOOK_UP_S = 0.2
"""How often a waiting receiver looks whether it was closed, s."""
_SO_TIMESTAMPNS = 35
"""Linux, asm-generic/socket.h; also the type of the control message. Python has no name for it."""

_TIMESPEC = struct.Struct("@ll")

_NEXT_STEPS = {
    errno.ECONNREFUSED: "start the radio's receiver or correct `port`",
    errno.EHOSTUNREACH: "check the radio's power, cable and address",
    errno.ENETUNREACH: "check this unit's network address and route to the radio",
    errno.ENETDOWN: "bring the network interface up",
    errno.EACCES: "check the firewall of this unit",
    errno.EPERM: "check the firewall of this unit",
    errno.ENOBUFS: "the network queue is full: check the link and the load",
    errno.EAGAIN: "the send buffer is full: check the link and the load",
    errno.EMSGSIZE: "make the message smaller: it does not fit one datagram",
}


class DatagramSender:
    """A connected, non-blocking socket to one host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._where = f"{host}:{port}"
        self._host, self._port = host, port
        self._socket: socket.socket | None = None

    def open(self) -> None:
        if self._socket is not None:
            return
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except (socket.gaierror, UnicodeError) as error:
            raise DeviceError(
                f"radio host {self._host!r} is not known: {error}",
                "correct `host`, use its address, or check the name server",
            ) from error
        family, kind, protocol, _, address = found[0]
        opened: socket.socket | None = None
        try:
            opened = socket.socket(family, kind, protocol)
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            # Connecting a UDP socket sends nothing; it lets the kernel report refusals.
            opened.connect(address)
        except OSError as error:
            if opened is not None:
                opened.close()
            raise _device_error(self._where, error) from error
        self._socket = opened

    def send(self, octets: bytes) -> None:
        """One datagram. A refusal that the peer sent for an earlier one is raised with this one,
        which is sent nevertheless: the peer may have come back."""
        opened = self._socket
        if opened is None:
            raise DeviceError(f"radio {self._where} is not open", "open it first")
        try:
            try:
                opened.send(octets)
            except ConnectionRefusedError:
                opened.send(octets)
                raise
        except OSError as error:
            raise _device_error(self._where, error) from error

    def close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()


class DatagramReceiver:
    """A bound socket; datagrams that are empty, longer than `longest` or not from address `sender`
    (None: anyone's) are counted drops.

    `what` names the device in errors. After `receive` gave a datagram, `waited_ns` is how long it
    lay in the kernel's queue: a process that was held up must not take old news for new.
    """

    def __init__(
        self,
        host: str,
        port: int,
        dropped: Counter[str],
        *,
        what: str = "radio",
        longest: int = MAX_RECEIVED,
        sender: str | None = None,
    ) -> None:
        self._where = f"{host}:{port}"
        self._what, self._longest, self._sender = what, longest, sender
        self._host, self._port = host, port
        self._dropped = dropped
        self._senders: frozenset[str] = frozenset()
        self._socket: socket.socket | None = None
        self.waited_ns = 0

    def open(self) -> None:
        if self._socket is not None:
            return
        if self._sender is not None:
            self._senders = _addresses(self._sender)
        opened: socket.socket | None = None
        try:
            found = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )
            family, kind, protocol, _, address = found[0]
            opened = socket.socket(family, kind, protocol)
            opened.setblocking(False)
            stamp_arrivals(opened)
            opened.bind(address)
        except (OSError, UnicodeError) as error:
            if opened is not None:
                opened.close()
            raise DeviceError(
                f"cannot listen on {self._where}: {error}",
                "end the process that listens there, or change `listen_host` and `listen_port`",
            ) from error
        self._socket = opened

    def receive(self, timeout_s: float) -> bytes | None:
        """The next acceptable datagram, None when none came; bounded also under a flood of bad
        ones. The wait is real time: nothing downstream depends on how long it took."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            opened = self._socket
            if opened is None:
                raise DeviceError(f"{self._what} on {self._where} is not open", "open it first")
            left_s = max(0.0, deadline_s - time.monotonic())
            came = self._read(opened, min(left_s, LOOK_UP_S))
            if came is not None:
                datagram, sender, self.waited_ns = came
                reason = self._unacceptable(datagram, sender)
                if reason is None:
                    return datagram
                self._dropped[reason] += 1
            if time.monotonic() >= deadline_s:
                return None

    def close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()

    def _read(self, opened: socket.socket, wait_s: float) -> tuple[bytes, str, int] | None:
        try:
            if not select.select([opened], [], [], wait_s)[0]:
                return None
            return receive_stamped(opened)
        except (BlockingIOError, InterruptedError):
            return None
        except (OSError, ValueError) as error:  # ValueError: closed by another thread
            raise DeviceError(
                f"{self._what} on {self._where} was lost: {error}", "open it again"
            ) from error

    def _unacceptable(self, datagram: bytes, sender: str) -> str | None:
        if self._senders and sender not in self._senders:
            return "foreign_sender"
        if not datagram:
            return "empty"
        return "oversize" if len(datagram) > self._longest else None


def stamp_arrivals(opened: socket.socket) -> None:
    """Have the kernel note when each datagram arrives, where it can."""
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def receive_stamped(opened: socket.socket) -> tuple[bytes, str, int]:
    """The datagram, its sender's address, and how long it waited, ns (0 where that is not known).

    Both ends of the wait are read from the system's clock, whatever clock the unit goes by.
    """
    datagram, notes, _, address = opened.recvmsg(MAX_DATAGRAM, socket.CMSG_SPACE(_TIMESPEC.size))
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            waited_ns = time.time_ns() - (seconds * NS_PER_S + nanoseconds)
            return datagram, str(address[0]), max(0, waited_ns)
    return datagram, str(address[0]), 0


def _addresses(host: str) -> frozenset[str]:
    """All addresses of a host; DeviceError where it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise DeviceError(
            f"sender {host!r} is not known: {error}",
            "correct `sender`, use its address, or check the name server",
        ) from error
    return frozenset(str(address[0]) for _, _, _, _, address in found)


def _device_error(where: str, error: OSError) -> DeviceError:
    step = _NEXT_STEPS.get(error.errno or 0, "check the network")
    return DeviceError(f"radio {where} did not take the frame: {error.strerror or error}", step)
