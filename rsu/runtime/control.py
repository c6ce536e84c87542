"""What children tell their supervisor: ready, alive, failed. One ZeroMQ PULL beside the bus."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec
import zmq


class ControlKind(StrEnum):
    READY = "ready"
    HEARTBEAT = "heartbeat"
    FAILED = "failed"


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One line from a child. `detail` of FAILED is what the operator reads."""

    kind: ControlKind
    name: str
    pid: int
    detail: str = ""


class ControlSender:
    """The child's end; sending never blocks."""

    def __init__(self, folder: Path, name: str, pid: int) -> None:
        self._name = name
        self._pid = pid
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.set_hwm(100)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.connect(f"ipc://{folder}/control")

    def send(self, kind: ControlKind, detail: str = "") -> None:
        control = Control(kind=kind, name=self._name, pid=self._pid, detail=detail)
        try:
            self._socket.send(msgspec.msgpack.encode(control), flags=zmq.NOBLOCK)
        except zmq.Again:
            return  # the supervisor is gone or stuck; the parent-death signal ends this process

    def close(self) -> None:
        self._socket.close()
        self._context.term()


class ControlReceiver:
    """The supervisor's end."""

    def __init__(self, folder: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(f"ipc://{folder}/control")
        self._decoder = msgspec.msgpack.Decoder(Control)

    def receive(self, timeout_ms: int) -> list[Control]:
        """All that children said, waiting at most `timeout_ms` for the first."""
        heard: list[Control] = []
        while self._socket.poll(0 if heard else timeout_ms):
            try:
                heard.append(self._decoder.decode(self._socket.recv()))
            except msgspec.DecodeError:
                continue  # only our own children can open this socket (folder mode 0700)
            if len(heard) >= 1000:
                break
        return heard

    def close(self) -> None:
        self._socket.close()
        self._context.term()
