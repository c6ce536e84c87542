"""How good the connection to the platform is: round trips, what was sent twice, bytes, uptime.

In: every acknowledgement, and the kernel's own account of the socket (Linux TCP_INFO). Out:
`LinkQuality`, in which None means "not known". A report's round trip runs from its publication to
the broker's PUBACK, so it holds what waited before it in the socket; the network's own is the
kernel's smoothed TCP round trip. The modem's signal comes from `rsu.uplink.modem`.
"""

from __future__ import annotations

import socket
import statistics
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ROUND_TRIPS = 64
"""Acknowledgements that the median is taken of: about a minute of an idle unit."""
ROUND_TRIP_AGE_S = 120.0  # older ones say nothing about the link now
_TCP_INFO_BYTES = 256
# Offsets in struct tcp_info of linux/tcp.h (fixed for ever: the kernel only appends).
_RTT_US, _BYTES_ACKED, _BYTES_RECEIVED, _BYTES_SENT, _BYTES_RETRANS = 68, 120, 128, 200, 208


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkQuality:
    """One look at the link. Times in s; `resent` is the share of octets sent more than once on
    this connection, 0..1; octets are TCP payload of all connections since the start."""

    connected_s: float | None
    rtt_s: float | None
    rtt_max_s: float | None
    network_rtt_s: float | None
    resent: float | None
    sent_bytes: int
    received_bytes: int


class LinkMeter:
    """Keeps the numbers; the session's thread feeds it, anybody reads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._trips: deque[tuple[float, float]] = deque(maxlen=ROUND_TRIPS)
        self._since: float | None = None
        self._network: TcpNumbers | None = None
        self._sent_before = self._received_before = 0

    def connected(self) -> None:
        """The broker has accepted us."""
        with self._lock:
            self._since = self._clock()
            self._trips.clear()

    def disconnected(self) -> None:
        """The connection is gone; its octets stay in the sums."""
        with self._lock:
            if self._network is not None:
                self._sent_before += self._network.sent
                self._received_before += self._network.received
            self._since = self._network = None
            self._trips.clear()

    def acknowledged(self, took_s: float) -> None:
        """A report came back after `took_s`."""
        with self._lock:
            self._trips.append((self._clock(), took_s))

    def look(self, sock: Any) -> None:
        """Read the kernel's numbers of the socket, where it has any."""
        numbers = tcp_numbers(sock)
        if numbers is not None:
            with self._lock:
                self._network = numbers

    def quality(self) -> LinkQuality:
        """How it is now."""
        now = self._clock()
        with self._lock:
            trips = [took for at, took in self._trips if now - at <= ROUND_TRIP_AGE_S]
            net = self._network
            return LinkQuality(
                connected_s=None if self._since is None else now - self._since,
                rtt_s=statistics.median(trips) if trips else None,
                rtt_max_s=max(trips, default=None),
                network_rtt_s=None if net is None else net.rtt_s,
                resent=None if net is None else net.resent,
                sent_bytes=self._sent_before + (net.sent if net else 0),
                received_bytes=self._received_before + (net.received if net else 0),
            )


@dataclass(frozen=True, slots=True)
class TcpNumbers:
    """Of one TCP connection; None: an older kernel that does not say."""

    rtt_s: float
    sent: int
    received: int
    resent: float | None


def tcp_numbers(sock: Any) -> TcpNumbers | None:
    """The kernel's account of a socket; None where it has none (closed, not TCP, not Linux)."""
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except (OSError, AttributeError):
        return None
    if len(raw) < _BYTES_RECEIVED + 8:
        return None
    sent = _u64(raw, _BYTES_ACKED)
    resent = None
    if len(raw) >= _BYTES_RETRANS + 8:  # Linux 4.19
        sent = _u64(raw, _BYTES_SENT)
        resent = _u64(raw, _BYTES_RETRANS) / sent if sent else 0.0
    (rtt_us,) = struct.unpack_from("=I", raw, _RTT_US)
    return TcpNumbers(rtt_us / 1e6, sent, _u64(raw, _BYTES_RECEIVED), resent)


def _u64(raw: bytes, offset: int) -> int:
    value: int = struct.unpack_from("=Q", raw, offset)[0]
    return value
