"""The live recorder: every message into files that rotate, within a quota, whatever the disk does.

In: messages from the recording process's loop. Out: `<folder>/<site>-<UTC>-<number>.mcap`, each
readable on its own. Nothing here raises into that loop: what the disk refuses is dropped, counted
by reason and tried again; the state says so. A driver, not a stage: it reads clocks and writes
files.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from rsu.config.running import RecordingOptions
from rsu.recording.errors import RecordingError, UnwritableMessageError
from rsu.recording.layout import CHUNK_BYTES, CHUNK_NS
from rsu.recording.retention import enforce_quota, file_name
from rsu.recording.sequence import Tally
from rsu.recording.sink import sync_folder
from rsu.recording.writer import JournalStart, McapFile, Part
from rsu.schema.journal import StepKind
from rsu.schema.message import Message
from rsu.schema.topics import JOURNAL
from rsu.schema.units import NS_PER_S, Instant

RETRY_NS = 5 * NS_PER_S
"""How long a refused disk is left alone; an alarm within 10 s (operations row 3) sees two tries."""
MAX_GROUPS = 64
"""Process groups whose START is remembered; a unit has one per camera (≤ 16) and a few more."""
MAX_OWN_FILES = 10_000
"""Names of this run's files remembered for the quota: a week of minutes."""

_REASONS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.EROFS: "unwritable",
    errno.EACCES: "unwritable",
    errno.EPERM: "unwritable",
    errno.ENOTDIR: "unwritable",
}


class RecorderState(StrEnum):
    WAITING = "waiting"  # no message yet
    RECORDING = "recording"
    REFUSED = "refused"  # by the disk; messages are dropped and counted until it takes them again
    CLOSED = "closed"


class RecorderStats(msgspec.Struct, frozen=True, kw_only=True):
    """Totals since the recorder's start.

    received = written + sum(dropped). What is `written` is in a file or in the chunk that
    goes to disk within a second. `lost` counts holes in the numbering of what arrived: messages
    that never reached the recorder. Of old files `deleted` went for the quota, `expired` for their
    age.
    """

    state: RecorderState
    detail: str
    file: str | None
    received: int
    written: int
    bytes: int
    dropped: dict[str, int]
    lost: int
    files: int
    deleted: int
    expired: int


def system_clock() -> Instant:
    """Both clocks of this machine."""
    return Instant(time.time_ns(), time.monotonic_ns())


class Recorder:
    """Records messages under `base / options.folder`.

    A new file begins every `split_s` seconds and at `split_bytes`; the oldest of our own files go
    so that all together stay within `keep_bytes`, and whatever is older than `retention_h`. A file
    names its forerunner and tells how each process group that is already running had started
    (`metadata`: see `McapFile`). At most one second of messages waits in memory; call `poll` a few
    times a second so that this holds when nothing arrives.
    """

    def __init__(
        self,
        options: RecordingOptions,
        base: Path,
        metadata: Mapping[str, str],
        *,
        clock: Callable[[], Instant] = system_clock,
        sync: bool = True,
    ) -> None:
        self._folder = base / options.folder
        self._metadata = dict(metadata)
        self._site = self._metadata.setdefault("site", "rsu")
        self._clock = clock
        self._sync = sync
        self._keep_bytes = options.keep_bytes
        # A quarter of the quota at most, so that rotation always leaves something to look back on.
        self._split_bytes = min(options.split_bytes, options.keep_bytes // 4)
        self._split_ns = int(options.split_s * NS_PER_S)
        self._chunk_bytes = min(CHUNK_BYTES, self._split_bytes // 4)
        self._file: McapFile | None = None
        self._opened_mono = 0
        self._flushed_mono = 0
        self._retry_mono: int | None = None
        self._number = 0
        self._previous = ""
        self._retention_ns = int(options.retention_h * 3600 * NS_PER_S)
        self._own_files: dict[str, int] = {}  # name → monotonic ns of its first message
        self._journal: dict[str, JournalStart] = {}
        self._tally = Tally()
        self._lost_before = 0
        self._dropped: Counter[str] = Counter()
        self._dropped_before: Counter[str] = Counter()
        self._received = 0
        self._closed_bytes = 0
        self._files = 0
        self._deleted = self._expired = 0
        self._state = RecorderState.WAITING
        self._detail = ""
        self._reason = ""

    def write(self, message: Message) -> None:
        """Keep one message, or count why not. Never raises for a message or a disk."""
        self._received += 1
        if self._state is RecorderState.CLOSED:
            self._dropped["closed"] += 1
            return
        now = self._clock()
        self._keep_time(now)
        if self._file is None:
            self._open_when_due(now)
        if self._file is None:
            self._drop(message)
            return
        taken = self._file.messages
        try:
            self._file.write(message)
        except UnwritableMessageError as error:
            self._dropped[error.reason] += 1
            return
        except RecordingError as error:
            taken = self._file.messages - taken
            self._refused(error, now)
            if not taken:  # else it was among those that waited in memory
                self._drop(message)
            return
        if message.topic == JOURNAL:
            self._follow_journal(message)
        if self._file.size >= self._split_bytes or self._file.full:
            self._rotate(now)

    def describe(self, metadata: Mapping[str, str]) -> None:
        """From now on files say this about where they were made; the next one begins now."""
        self._metadata = {**metadata, "site": self._site}
        self._rotate(self._clock())

    def poll(self) -> None:
        """Do what time demands: put the open chunk on disk, begin the next file."""
        if self._state is not RecorderState.CLOSED:
            self._keep_time(self._clock())

    def flush(self) -> None:
        """Put everything received on disk."""
        now = self._clock()
        if self._file is None:
            return
        self._flushed_mono = now.mono_ns
        try:
            self._file.flush(sync=self._sync)
        except RecordingError as error:
            self._refused(error, now)

    def close(self) -> None:
        """Finish the file. May be called again."""
        if self._state is RecorderState.CLOSED:
            return
        self._close_file(self._clock())
        self._state = RecorderState.CLOSED

    def stats(self) -> RecorderStats:
        """Totals and state now."""
        dropped = +self._dropped
        return RecorderStats(
            state=self._state,
            detail=self._detail,
            file=None if self._file is None else str(self._file.path),
            received=self._received,
            written=self._received - dropped.total(),
            bytes=self._closed_bytes + (0 if self._file is None else self._file.size),
            dropped=dict(dropped),
            lost=self._lost_before + self._tally.lost,
            files=self._files,
            deleted=self._deleted,
            expired=self._expired,
        )

    def _keep_time(self, now: Instant) -> None:
        if self._file is None:
            return
        if now.mono_ns - self._opened_mono >= self._split_ns:
            self._rotate(now)
        elif now.mono_ns - self._flushed_mono >= CHUNK_NS:
            if self._file.pending:
                self.flush()
            else:
                self._flushed_mono = now.mono_ns

    def _open_when_due(self, now: Instant) -> None:
        if self._retry_mono is None or now.mono_ns >= self._retry_mono:
            try:
                self._open(now)
            except RecordingError as error:
                self._refused(error, now)

    def _open(self, now: Instant) -> None:
        """The next file; raises RecordingError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = error.strerror or str(error)
            raise RecordingError(self._folder, problem, errno=error.errno) from error
        self._make_room(self._keep_bytes - self._split_bytes)
        part = Part(self._number, self._previous, dict(self._journal))
        while self._file is None:
            path = self._folder / file_name(self._site, now.utc_ns, self._number)
            try:
                self._file = McapFile(
                    path,
                    self._metadata,
                    part=part,
                    tally=self._tally,
                    chunk_bytes=self._chunk_bytes,
                )
            except RecordingError as error:
                if error.errno != errno.EEXIST:
                    raise
                self._number += 1  # a run that began in the same second had this name
        if self._sync:
            self._sync_folder()
        self._number += 1
        self._files += 1
        self._opened_mono = self._flushed_mono = now.mono_ns
        self._dropped_before = Counter(self._dropped)
        self._retry_mono = None
        self._state, self._detail = RecorderState.RECORDING, ""

    def _sync_folder(self) -> None:
        try:
            sync_folder(self._folder)
        except OSError as error:
            # The file itself is open and takes data; only its name might not survive a power cut.
            self._detail = f"{self._folder}: {error.strerror}"

    def _rotate(self, now: Instant) -> None:
        # The next file opens with the next message: there is no message in between to lose.
        self._close_file(now)
        self._make_room(self._keep_bytes)

    def _close_file(self, now: Instant) -> None:
        if self._file is None:
            return
        try:
            self._file.close(sync=self._sync, dropped=self._dropped - self._dropped_before)
        except RecordingError as error:
            self._refused(error, now)
        else:
            self._leave_file()

    def _leave_file(self) -> None:
        assert self._file is not None
        self._closed_bytes += self._file.size
        self._previous = self._file.path.name
        self._own_files[self._previous] = self._opened_mono
        if len(self._own_files) > MAX_OWN_FILES:
            del self._own_files[next(iter(self._own_files))]
        self._file = None
        self._lost_before += self._tally.lost
        self._tally = self._tally.continued()

    def _refused(self, error: RecordingError, now: Instant) -> None:
        """The disk said no: what waited in memory is gone, the file ends at its last chunk."""
        self._reason = _REASONS.get(error.errno or 0, "io_error")
        if self._file is not None:
            self._dropped[self._reason] += self._file.pending
            self._file.abandon()
            self._leave_file()
        self._state, self._detail = RecorderState.REFUSED, str(error)
        self._retry_mono = now.mono_ns + RETRY_NS

    def _drop(self, message: Message) -> None:
        """Count a message for which there is no file; it did arrive."""
        self._dropped[self._reason] += 1
        header = message.header
        self._tally.note(header.topic, header.source, header.boot_ns, header.seq)
        if message.topic == JOURNAL:
            self._follow_journal(message)

    def _make_room(self, keep_bytes: int) -> None:
        now = self._clock()
        # Files of this run are as old as the monotonic clock says, whatever was done to the other.
        outdated = {
            name for name, began in self._own_files.items()
            if now.mono_ns - began > self._retention_ns
        }  # fmt: skip
        clearing = enforce_quota(
            self._folder,
            self._site,
            keep_bytes,
            newest=list(self._own_files),
            before_ns=now.utc_ns - self._retention_ns,
            outdated=outdated,
        )
        self._deleted += len(clearing.deleted)
        self._expired += len(clearing.expired)
        for path in (*clearing.deleted, *clearing.expired):
            self._own_files.pop(path.name, None)
        if clearing.failures:
            self._detail = f"quota: {clearing.failures[0]}"

    def _follow_journal(self, message: Message) -> None:
        """Remember how the groups started, for files that begin later."""
        journal = message.payload
        step = journal.first
        known = self._journal.get(journal.group)
        first = journal.steps[0] if journal.steps else None
        if first is not None and first.kind is StepKind.START:
            known = JournalStart(journal.boot_ns, first.now.utc_ns, first.now.mono_ns, step)
        if known is None or known.boot_ns != journal.boot_ns:
            return
        if len(self._journal) >= MAX_GROUPS and journal.group not in self._journal:
            return
        self._journal[journal.group] = JournalStart(
            known.boot_ns, known.start_utc_ns, known.start_mono_ns, step + len(journal.steps)
        )
