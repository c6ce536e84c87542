"""What the thread that hears the bus and the thread that answers browsers share.

In: messages from one thread, questions from the other. Out: encoded answers, each made once
however many ask. Its lock is held for one batch of messages or one answer, never for a socket.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rsu.schema.message import Message
from rsu.schema.preview import CameraPreview
from rsu.schema.sensing import SensorKind
from rsu.schema.units import NS_PER_S
from rsu.web.view import View


class Desk:
    """One view, guarded by a lock.

    The time of a snapshot is that of the message heard last plus what has passed since, whatever
    the wall clock shows; by how much it lags behind that clock is told. A simulation on a machine
    that cannot keep up lags, and what it shows is as old.
    """

    def __init__(self, place: dict[str, Any], sensors: Mapping[str, SensorKind]) -> None:
        self._lock = threading.Lock()
        self._view = View(sensors)
        self.topics = self._view.topics
        self.place = msgspec.json.encode(place)
        self._heard_ns = 0
        self._heard_at = 0.0
        self._number = 0
        self._messages: dict[str, tuple[int, bytes]] = {}
        self._history: tuple[int, bytes] = (-1, b"")

    def take(self, messages: Iterable[Message]) -> None:
        """Take what has arrived."""
        with self._lock:
            for message in messages:
                self._view.take(message)
                self._heard_ns = message.header.publish_ns
                self._heard_at = time.monotonic()

    def snapshot(self) -> bytes:
        """The present as zlib-compressed JSON; raises nothing for what the bus says."""
        with self._lock:
            now_ns = self._now_ns()
            told = self._view.snapshot(now_ns)
        self._number += 1
        told["number"] = self._number
        told["behind_s"] = round(max(0.0, time.time() - now_ns / NS_PER_S), 1)
        return pack(told)

    def message(self, name: str) -> bytes | None:
        """The newest message of that name, decoded, as JSON."""
        with self._lock:
            newest = self._view.air.newest(name)
        if newest is None:
            return None
        known = self._messages.get(name)
        if known is None or known[0] != newest["number"]:
            known = self._messages[name] = (newest["number"], msgspec.json.encode(newest))
        return known[1]

    def history(self) -> bytes:
        """Traffic of the last quarter of an hour as JSON."""
        with self._lock:
            if self._history[0] != self._view.roads.version:
                history = self._view.roads.history()
                self._history = (history["version"], msgspec.json.encode(history))
            return self._history[1]

    def preview(self, sensor: str, name: str | None = None) -> CameraPreview | None:
        """The newest masked picture of a camera, or the one that a snapshot named."""
        with self._lock:
            return self._view.preview(sensor, name)

    def _now_ns(self) -> int:
        if not self._heard_ns:
            return time.time_ns()
        return self._heard_ns + int((time.monotonic() - self._heard_at) * NS_PER_S)


def pack(told: dict[str, Any]) -> bytes:
    """Plain data as the page takes it: JSON in a zlib stream (level 1: 1 ms for 40 kB)."""
    return zlib.compress(msgspec.json.encode(told), 1)
