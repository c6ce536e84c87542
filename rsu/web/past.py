"""The last minutes out of the ring recording: any moment of them as a snapshot, or kept for good.

In: the recorder's folder, or a recording that is replayed. Out: snapshots made by the very `View`
that shows the present, and incidents: a span of the recording as a file of its own, with a line in
the audit log. Reads only chunks that it needs, one question at a time; the file that is still being
written is read as far as it goes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsu.recording.cut import cut
from rsu.recording.errors import RecordingError
from rsu.recording.reader import Recording, RecordingFile
from rsu.runtime.audit import AuditError, AuditLog, file_digest
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import ENVIRONMENT, PARKING, ROAD_EVENT, SENSOR_ALARM, TRAFFIC
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.web.view import View

RING_NS = 900 * NS_PER_S
"""How far back the page goes: a quarter of an hour."""
RUN_UP_NS = 12 * NS_PER_S
"""Read before the moment asked for: longer than trails (8 s) and what is told once a second."""
SLOW_RUN_UP_NS = 60 * NS_PER_S
"""The same for what is told seldom: events, counts, weather."""
SLOW = frozenset(topic.name for topic in (ROAD_EVENT, TRAFFIC, PARKING, ENVIRONMENT, SENSOR_ALARM))
MOST_SNAPSHOTS = 50
BEFORE_NS, AFTER_NS = 60 * NS_PER_S, 20 * NS_PER_S
"""An incident is what led to a moment, and what came of it."""
INCIDENT_BYTES = 4_000_000_000
"""Incidents together; beyond it none is saved until somebody takes some away. Nothing that a person
chose to keep is deleted."""
WAIT_S = 3.0


class PastError(Exception):
    """The past cannot be shown, or an incident not be kept; the message says why."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where incidents are kept, and where a line says so."""

    folder: Path
    audit: Callable[[], AuditLog]


@dataclass(frozen=True, slots=True)
class _Part:
    """One file of the ring and the time it spans."""

    path: Path
    size: int
    start_ns: int
    end_ns: int


class Past:
    """The recording of one unit, as its recorder leaves it."""

    def __init__(
        self,
        recorded: Path,
        sensors: Mapping[str, SensorKind],
        keeping: Keeping | None = None,
        *,
        ring_ns: int | None = RING_NS,
    ) -> None:
        """`recorded` is a folder of files or one of them; of a folder `ring_ns` counts back from
        its end (None: all of it is shown)."""
        self._recorded = recorded
        self._sensors = dict(sensors)
        self._keeping = keeping
        self._ring_ns = ring_ns
        self._known: dict[Path, _Part] = {}
        self._lock = threading.Lock()

    def range(self) -> dict[str, int] | None:
        """{start_ms, end_ms} of what can be shown; None: nothing is recorded."""
        with self._alone():
            parts = self._parts()
        if not parts:
            return None
        end = max(part.end_ns for part in parts)
        start = min(part.start_ns for part in parts)
        if self._ring_ns is not None:
            start = max(start, end - self._ring_ns)
        return {"start_ms": start // NS_PER_MS, "end_ms": end // NS_PER_MS}

    def snapshots(self, at_ns: int, count: int, step_ns: int) -> list[dict[str, Any]]:
        """`count` snapshots from `at_ns` on, `step_ns` apart."""
        count = min(max(count, 1), MOST_SNAPSHOTS)
        moments = [at_ns + index * step_ns for index in range(count)]
        view = View(self._sensors)
        names = {topic.name for topic in view.topics}
        told: list[dict[str, Any]] = []
        with self._alone():
            recording = self._recording(at_ns - SLOW_RUN_UP_NS, moments[-1])
            for message in _wanted(recording, names, at_ns):
                while len(told) < count and message.header.publish_ns > moments[len(told)]:
                    told.append(view.snapshot(moments[len(told)]))
                if len(told) == count:
                    break
                view.take(message)
        told += [view.snapshot(moment) for moment in moments[len(told) :]]
        history = view.roads.history() if count == 1 else None
        return [one | {"behind_s": 0.0, "history": history} for one in told]

    def save(self, at_ns: int, actor: str) -> str:
        """Keep what happened around `at_ns`; the name of the new file. Raises PastError."""
        if self._keeping is None:
            raise PastError("nothing can be kept here")
        folder = self._keeping.folder
        start, end = at_ns - BEFORE_NS, at_ns + AFTER_NS
        with self._alone():
            try:
                audit = self._keeping.audit()
                audit.check()
                folder.mkdir(parents=True, exist_ok=True, mode=0o750)
                kept = sum(path.stat().st_size for path in folder.glob("*.mcap"))
                if kept > INCIDENT_BYTES:
                    raise PastError(f"{folder} is full: take some incidents away")
                moment = datetime.fromtimestamp(at_ns / NS_PER_S, UTC)
                target = folder / f"incident-{moment:%Y%m%dT%H%M%S}Z.mcap"
                count = cut(self._recording(start, end), target, start_ns=start, end_ns=end)
                if not count:
                    target.unlink()
                    raise PastError("nothing is recorded there")
                audit.record(
                    "incident_saved", actor,
                    {"file": target.name, "messages": count, "sha256": file_digest(target),
                     "start_ns": str(start), "end_ns": str(end)},
                )  # fmt: skip
            except AuditError as error:
                raise PastError(f"the audit log cannot be written: {error}") from error
            except (RecordingError, OSError) as error:
                raise PastError(str(error)) from error
        return target.name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=WAIT_S):
            raise PastError("busy with others who look back")
        try:
            yield
        finally:
            self._lock.release()

    def _recording(self, start_ns: int, end_ns: int) -> Recording:
        """What was recorded in a span, opened; only chunks that reach into it are read."""
        paths = [
            part.path
            for part in self._parts()
            if part.end_ns >= start_ns and part.start_ns <= end_ns
        ]
        if not paths:
            raise PastError("nothing is recorded there")
        try:
            recording = Recording(paths)
        except RecordingError as error:
            raise PastError(str(error)) from error
        for file in recording.files:
            file.scan.chunks[:] = [
                chunk
                for chunk in file.scan.chunks
                if chunk.end_ns >= start_ns and chunk.start_ns <= end_ns
            ]
        return recording

    def _parts(self) -> list[_Part]:
        """The newest files of the ring, a quarter of an hour of them."""
        found: list[_Part] = []
        oldest: int | None = None
        folder = self._recorded.is_dir()
        paths = self._recorded.glob("*.mcap") if folder else [self._recorded]
        files = sorted(paths, key=lambda path: path.name, reverse=True)
        for path in files:
            with suppress(OSError, RecordingError):
                part = self._part(path)
                if part is None:
                    continue
                if oldest is None and self._ring_ns is not None:
                    oldest = part.end_ns - self._ring_ns
                if oldest is not None and part.end_ns < oldest:
                    break
                found.append(part)
        self._known = {part.path: part for part in found}
        return found

    def _part(self, path: Path) -> _Part | None:
        size = path.stat().st_size
        known = self._known.get(path)
        if known is not None and known.size == size:
            return known
        chunks = RecordingFile(path).scan.chunks
        if not chunks:
            return None
        start = min(chunk.start_ns for chunk in chunks)
        return _Part(path, size, start, max(chunk.end_ns for chunk in chunks))


def _wanted(recording: Recording, names: set[str], at_ns: int) -> Iterator[Any]:
    """The messages that a view wants, those told seldom from farther back."""
    from rsu.schema.message import Message
    from rsu.schema.wire import WireError, from_json

    for recorded in recording.recorded(names):
        header = recorded.header
        run_up = SLOW_RUN_UP_NS if header.topic in SLOW else RUN_UP_NS
        if header.publish_ns < at_ns - run_up:
            continue
        with suppress(WireError):  # written by another version
            yield Message(recorded.topic, header, from_json(recorded.topic, recorded.data))
