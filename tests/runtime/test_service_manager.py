"""Notifications to the service manager: none waits, what must arrive does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsu.runtime.service_manager import HEARTBEAT, WAITING, ServiceManager


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def heard(listener: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(listener.recv(4096).decode())
        except BlockingIOError:
            return said


def test_nobody_reads_and_nothing_waits(listener: socket.socket) -> None:
    """A blocking socket would hang here: the kernel queues some ten datagrams."""
    manager = ServiceManager()
    for _ in range(1000):
        manager.beat()
    manager.tell("READY=1")
    for _ in range(100):
        manager.beat()
    queued = heard(listener)
    assert set(queued) == {HEARTBEAT}
    assert len(queued) < 1000
    manager.again()
    manager.beat()
    assert heard(listener) == ["READY=1", HEARTBEAT]
    for number in range(1000):
        manager.tell(f"STATUS={number}")
    heard(listener)
    manager.again()
    assert heard(listener) == [f"STATUS={number}" for number in range(1000 - WAITING, 1000)]
    manager.close()


def test_a_reload_says_when_it_began(listener: socket.socket) -> None:
    manager = ServiceManager()
    manager.reloading()
    (said,) = heard(listener)
    state, _, since = said.partition("\n")
    assert state == "RELOADING=1"
    assert since.startswith("MONOTONIC_USEC=")
    manager.close()


def test_without_a_service_manager_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    manager = ServiceManager()
    manager.tell("READY=1")
    manager.beat()
    manager.close()
