"""The bus between processes: every message goes in by PUSH, out by PUB, over `ipc://` sockets.

In: `publish` from any process. Out: `receive` in every process that subscribed. The hub (in the
supervisor) only moves bytes. PUSH rather than PUB on the way in because a PUSH socket waits for the
hub instead of losing what is published before the connection stands; a subscriber knows that its
subscription works when it has heard its own greeting. Queues are bounded in messages and octets;
what does not fit is counted, never waited for.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import zmq

from rsu.schema.message import Message
from rsu.schema.topics import Topic
from rsu.schema.wire import WireError, pack, unpack

HIGH_WATER_MARK = 800
"""Messages queued per peer: 4 s at 200 messages/s, below 10 MiB at 8 kB each (dependencies.md 1.3
measured +719 MiB where a slow subscriber was left to the default with megabyte frames)."""
QUEUE_BYTES = 64_000_000
"""Octets queued per peer, twice that for a moment: ZeroMQ counts messages, so large ones lower how
many may wait. Pictures of 80 kB do not, 213 track lists of 512 tracks may."""
RECEIVE_MARK = 200
"""Messages on a receiver's side, which cannot know their sizes while it sleeps; the sender's side
holds the rest."""
MAX_MESSAGE_BYTES = 4_000_000
"""A track list of 512 tracks is 300 KB; near this is a fault, and ZeroMQ drops the peer."""


class BusError(Exception):
    """The bus cannot be opened or reached."""

    exit_code = 3


def _endpoints(folder: Path) -> tuple[str, str]:
    return f"ipc://{folder}/bus-in", f"ipc://{folder}/bus-out"


class _Bound:
    """Keeps the queues of one sending socket below `QUEUE_BYTES`.

    The largest of the last one to two thousand messages decides how many may wait: more than ever
    do, so that none of those that wait is larger.
    """

    WINDOW = 1024

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._largest = self._before = 0
        self._seen = 0
        self.most = HIGH_WATER_MARK
        socket.set_hwm(self.most)

    def note(self, octets: int) -> None:
        """To be called with the size of every message, before it is sent."""
        self._seen += 1
        if self._seen >= self.WINDOW:
            self._seen, self._before, self._largest = 0, self._largest, octets
        elif octets > self._largest:
            self._largest = octets
        else:
            return
        largest = max(self._largest, self._before, 1)
        most = min(HIGH_WATER_MARK, max(1, QUEUE_BYTES // largest))
        if most != self.most:
            self.most = most
            self._socket.set_hwm(most)  # holds for what is connected already (libzmq from 4.2)


class BusHub:
    """Forwards messages from publishers to subscribers in its own thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._forward, name="bus-hub", daemon=True)
        self._context = zmq.Context()
        self._in = self._context.socket(zmq.PULL)
        self._out = self._context.socket(zmq.PUB)
        self._in.set_hwm(RECEIVE_MARK)
        self._bound = _Bound(self._out)
        for socket in (self._in, self._out):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self.forwarded = 0

    def start(self) -> None:
        """Bind and begin; raises BusError when the folder cannot hold sockets."""
        incoming, outgoing = _endpoints(self._folder)
        try:
            self._in.bind(incoming)
            self._out.bind(outgoing)
        except zmq.ZMQError as error:
            raise BusError(
                f"cannot open the bus in {self._folder}: {error.strerror}. Is another daemon "
                "using this folder, or is its path longer than 90 characters?"
            ) from error
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the sockets."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        self._in.close()
        self._out.close()
        self._context.term()

    def _forward(self) -> None:
        while not self._stop.is_set():
            if self._in.poll(100):
                frames = self._in.recv_multipart(copy=False)
                self._bound.note(sum(map(len, frames)))
                self._out.send_multipart(frames, copy=False)
                self.forwarded += 1


class BusClient:
    """One process's connection to the bus. Not thread-safe, as ZeroMQ sockets are not."""

    def __init__(self, folder: Path, topics: Iterable[Topic] = ()) -> None:
        self.folder = folder
        self._topics = frozenset(topic.name for topic in topics)
        self._context = zmq.Context()
        self._push = self._context.socket(zmq.PUSH)
        self._sub = self._context.socket(zmq.SUB)
        self._bound = _Bound(self._push)
        self._sub.set_hwm(RECEIVE_MARK)
        for socket in (self._push, self._sub):
            socket.setsockopt(zmq.LINGER, 200)
        self._last: dict[tuple[str, str], tuple[int, int | None]] = {}
        self.dropped = 0
        self.lost = 0
        self.garbage = 0

    def subscribe(self, topics: Iterable[Topic]) -> None:
        """Say what to hear; to be called before `open`."""
        self._topics |= {topic.name for topic in topics}

    def open(self, timeout_s: float = 5.0) -> None:
        """Connect and wait until subscriptions work; raises BusError after `timeout_s`."""
        incoming, outgoing = _endpoints(self.folder)
        self._push.connect(incoming)
        if not self._topics:
            return
        self._sub.connect(outgoing)
        for name in sorted(self._topics):
            self._sub.subscribe(name)
        greeting = b"hello/" + uuid.uuid4().hex.encode()
        self._sub.subscribe(greeting)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._push.send_multipart([greeting, b"", b""])
            if self._sub.poll(20) and self._sub.recv_multipart()[0] == greeting:
                self._sub.unsubscribe(greeting)
                return
        raise BusError(f"no answer from the bus in {self.folder} within {timeout_s:g} s")

    def publish(self, message: Message) -> None:
        """Hand a message to the bus; a full queue drops it and counts."""
        parts = pack(message)
        self._bound.note(sum(map(len, parts)))
        try:
            self._push.send_multipart(parts, flags=zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1

    def receive(self, timeout_s: float) -> list[Message]:
        """Everything that has arrived, waiting at most `timeout_s` for the first message."""
        messages: list[Message] = []
        wait_ms = max(0, int(timeout_s * 1000))
        while len(messages) < HIGH_WATER_MARK and self._sub.poll(0 if messages else wait_ms):
            parts = self._sub.recv_multipart()
            if parts[0].startswith(b"hello/"):
                continue
            try:
                message = unpack(parts)
            except WireError:
                self.garbage += 1
                continue
            if message.topic.name in self._topics:  # ZeroMQ matches prefixes
                self._watch_gap(message)
                messages.append(message)
        return messages

    def close(self) -> None:
        """Close both sockets; what was published within the linger time still goes out."""
        self._push.close()
        self._sub.close()
        self._context.term()

    def _watch_gap(self, message: Message) -> None:
        header = message.header
        key = (header.topic, header.source)
        boot_ns, last = self._last.get(key, (header.boot_ns, None))
        if last is not None and boot_ns == header.boot_ns and header.seq > last + 1:
            self.lost += header.seq - last - 1
        self._last[key] = (header.boot_ns, header.seq)
