"""Sending without ever waiting, and what the network's refusals become."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections import Counter

import pytest

from rsu.hal.errors import DeviceError
from rsu.hal.radio.datagram import DatagramReceiver, DatagramSender

BOUND_S = 10.0


class RefusingSocket:
    """Stands in for the kernel where a test cannot make it refuse."""

    def __init__(self, code: int) -> None:
        self.code = code

    def send(self, octets: bytes) -> int:
        raise OSError(self.code, os.strerror(self.code))

    def close(self) -> None:
        pass


def send_many(sender: DatagramSender, count: int) -> None:
    for _ in range(count):
        sender.send(bytes(1000))


@pytest.mark.parametrize(
    ("code", "step"),
    [
        (errno.ENOBUFS, "queue is full"),
        (errno.EAGAIN, "buffer is full"),
        (errno.EHOSTUNREACH, "power"),
        (errno.ENETUNREACH, "route"),
        (errno.EPERM, "firewall"),
        (errno.EIO, "check the network"),
    ],
)
def test_a_refusal_says_what_to_do(code: int, step: str) -> None:
    sender = DatagramSender("127.0.0.1", 9)
    sender._socket = RefusingSocket(code)  # type: ignore[assignment]
    with pytest.raises(DeviceError) as caught:
        sender.send(b"x")
    assert step in caught.value.next_step
    assert os.strerror(code) in caught.value.problem


def test_a_port_that_nobody_listens_on_is_reported_and_the_radio_recovers(free_port: int) -> None:
    sender = DatagramSender("127.0.0.1", free_port)
    sender.open()
    end_s = time.monotonic() + BOUND_S
    refused = None
    while refused is None and time.monotonic() < end_s:
        try:
            sender.send(b"anyone?")
        except DeviceError as error:
            refused = error
    assert refused is not None
    assert "start the radio's receiver" in refused.next_step
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", free_port))
        listener.settimeout(BOUND_S)
        with contextlib.suppress(DeviceError):  # may still carry the last one's refusal …
            sender.send(b"hello")  # … but goes out
        assert listener.recv(100) == b"hello"
        sender.send(b"again")
        assert listener.recv(100) == b"again"
    sender.close()


def test_sending_into_a_full_buffer_does_not_wait() -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        left.setblocking(False)
        sender = DatagramSender("127.0.0.1", 9)
        sender._socket = left
        with pytest.raises(DeviceError, match="did not take the frame"):
            send_many(sender, 100_000)


def test_the_sending_socket_never_blocks(free_port: int) -> None:
    sender = DatagramSender("127.0.0.1", free_port)
    sender.open()
    assert sender._socket is not None
    assert not sender._socket.getblocking()
    sender.close()


def test_ipv6_and_broadcast_addresses_open(free_port: int) -> None:
    for host in ("::1", "127.255.255.255"):
        sender = DatagramSender(host, free_port)
        try:
            sender.open()
        except DeviceError as error:
            if host != "::1":
                raise
            pytest.skip(f"no IPv6 here: {error}")
        finally:
            sender.close()


@pytest.mark.parametrize("host", ["radio.invalid", "a" * 300, "no host", "\u2028"])
def test_a_host_that_cannot_be_found_is_a_device_error(host: str) -> None:
    with pytest.raises(DeviceError, match="is not known"):
        DatagramSender(host, 9).open()


def test_a_port_in_use_is_a_device_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        receiver = DatagramReceiver("127.0.0.1", taken.getsockname()[1], Counter())
        with pytest.raises(DeviceError, match="cannot listen") as caught:
            receiver.open()
        assert "listen_port" in caught.value.next_step


def test_a_flood_of_bad_datagrams_cannot_hold_a_receiver_beyond_its_time(free_port: int) -> None:
    dropped: Counter[str] = Counter()
    receiver = DatagramReceiver("127.0.0.1", free_port, dropped)
    receiver.open()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(b"", ("127.0.0.1", free_port))
        assert receiver.receive(0.0) is None
        assert dropped["empty"] == 1
        sender.sendto(b"good", ("127.0.0.1", free_port))
        assert receiver.receive(BOUND_S) == b"good"
        assert dropped["empty"] == 3
    receiver.close()
