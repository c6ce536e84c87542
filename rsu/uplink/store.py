"""The outbox's file: one SQLite database that holds reports, their order and the running totals.

Entries and outcomes in, entries in sending order out. Everything here runs on the one thread that
opened the store; `rsu.uplink.outbox` is that thread. The same class over `:memory:` serves as the
stand-in while the disk refuses. Errors, both StoreError: StoreCorruptError (the content is not an
outbox any more), StoreUnavailableError (the disk, its permissions or another process refuse).

Durability (measured in the facts, dependencies.md 1.3): WAL; a transaction that adds an event or a
state is synchronous=FULL, one that only adds telemetry or removes rows is NORMAL: a power cut may
then lose telemetry or bring back delivered rows (a duplicate with the same id), never an event.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rsu.schema.reports import JSON, Priority

APPLICATION_ID = 0x52535542  # "RSUB": tells our file from any other SQLite file
SCHEMA_VERSION = 2
"""1 had no content types: all was JSON."""
ROW_OVERHEAD = 96
"""Bytes added to body, id and subject when the quota is accounted: row header, integers and the
two index entries (measured: a full file of 500-byte reports is within 1.3 times the quota)."""
MAX_QUARANTINED = 4
"""Corrupt files kept for inspection; the oldest goes, so that a bad disk does not fill itself."""
_BUSY_S = 0.5  # another process that holds the file will not let go: do not wait for it
_MAX_DOWNTIME_NS = 366 * 86_400 * 1_000_000_000
"""A longer gap between two runs is taken for a wrong clock, not for downtime (fault row 17)."""

_SCHEMA = f"""
CREATE TABLE reports(
  seq INTEGER PRIMARY KEY, priority INTEGER NOT NULL, expires_ns INTEGER NOT NULL,
  not_before_ns INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, crc INTEGER NOT NULL,
  id BLOB NOT NULL, subject BLOB NOT NULL, body BLOB NOT NULL,
  content_type BLOB NOT NULL DEFAULT '');
CREATE INDEX reports_order ON reports(priority, seq);
CREATE INDEX reports_expiry ON reports(expires_ns);
CREATE TABLE ledger(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class StoreError(Exception):
    """The store cannot be used; `str()` says why in one line."""


class StoreCorruptError(StoreError):
    """The file's content is damaged or not an outbox; `ledger` is what could still be read."""

    def __init__(self, reason: str, ledger: Ledger | None = None) -> None:
        super().__init__(reason)
        self.ledger = ledger


class StoreUnavailableError(StoreError):
    """The disk, its permissions or another process refuse; `full`: for want of space."""

    def __init__(self, reason: str, *, full: bool = False) -> None:
        super().__init__(reason)
        self.full = full


class DropReason(StrEnum):
    """Why a report was not delivered."""

    EXPIRED = "expired"  # older than its ttl_s
    QUOTA = "quota"  # the outbox is full: oldest of the lowest priority
    CORRUPT = "corrupt"  # damaged on disk
    OVERSIZE = "oversize"  # larger than we or the broker accept
    OVERFLOW = "overflow"  # handed over faster than the disk takes
    INVALID = "invalid"  # its subject is no topic
    UNSAVED = "unsaved"  # still in memory at the stop because the disk refused
    CLOSED = "closed"  # offered after the stop


@dataclass(slots=True)
class Ledger:
    """Totals over the life of an outbox file; produced = delivered + queued + Σ dropped."""

    produced: int = 0
    delivered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def queued(self) -> int:
        """What must still be in the queue for the books to balance."""
        return self.produced - self.delivered - sum(self.dropped.values())

    def drop(self, reason: DropReason, count: int = 1) -> None:
        """Count drops."""
        if count:
            self.dropped[reason.value] = self.dropped.get(reason.value, 0) + count

    def add(self, other: Ledger) -> None:
        """Continue another ledger's totals."""
        self.produced += other.produced
        self.delivered += other.delivered
        for reason, count in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def copy(self) -> Ledger:
        """An independent copy."""
        return Ledger(self.produced, self.delivered, dict(self.dropped))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStats:
    """One consistent look at the books. `size` is bytes against the quota."""

    produced: int
    delivered: int
    queued: int
    in_flight: int
    dropped: dict[str, int]
    size: int
    degraded: str | None
    quarantined: tuple[str, ...]
    refused: int


@dataclass(slots=True, frozen=True)
class Entry:
    """One queued report; `seq` orders and names it, `expires_ns` is on the outbox clock."""

    seq: int
    priority: Priority
    expires_ns: int
    id: str
    subject: str
    body: bytes
    not_before_ns: int = 0
    content_type: str = JSON

    @property
    def size(self) -> int:
        """Bytes it counts for against the quota."""
        return len(self.id) + len(self.subject) + len(self.body) + ROW_OVERHEAD

    @property
    def crc(self) -> int:
        """Check sum over what is sent (SQLite itself has none)."""
        return _crc(self.id.encode(), self.subject.encode(), self.body, self.stored_type)

    @property
    def stored_type(self) -> bytes:
        """The content type as it is stored: nothing for JSON, which nearly all of it is."""
        return b"" if self.content_type == JSON else self.content_type.encode()


class Store:
    """An open outbox file. `rows` and `bytes` always describe the committed content."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.rows = 0
        self.bytes = 0

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open or create the file and check it; raises StoreError."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailableError(f"{path.parent}: {error.strerror or error}") from error
        try:
            connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        except sqlite3.Error as error:
            raise _translated(error, path) from error
        try:
            with _errors(path):
                # One owner: a second daemon on the same file is refused instead of sending twice.
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA journal_size_limit = 4000000")
                _check(connection, path)
                store = cls(connection)
                store.recount()
        except BaseException:
            connection.close()
            raise
        return store

    @classmethod
    def in_memory(cls) -> Store:
        """A store that lives in this process only."""
        # May be made by one thread and used by another, never by two at once.
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.executescript(_SCHEMA)
        return cls(connection)

    @contextlib.contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """All or nothing; `durable` transactions survive a power cut once this returns."""
        rows, size = self.rows, self.bytes
        try:
            with _errors(None):
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
        except BaseException:
            self.rows, self.bytes = rows, size
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def insert(self, entries: Iterable[Entry]) -> None:
        """Add entries; one that is already there (a commit that failed only seemingly) is kept."""
        for entry in entries:
            cursor = self._db.execute(
                "INSERT OR IGNORE INTO reports VALUES(?,?,?,?,?,?,?,?,?,?)",
                (
                    entry.seq, int(entry.priority), entry.expires_ns, entry.not_before_ns,
                    entry.size, entry.crc, entry.id.encode(), entry.subject.encode(), entry.body,
                    entry.stored_type,
                ),
            )  # fmt: skip
            if cursor.rowcount == 1:
                self.rows += 1
                self.bytes += entry.size

    def remove(self, seqs: Iterable[int]) -> None:
        """Delete rows; unknown ones are ignored."""
        for seq in seqs:
            found = self._db.execute("SELECT size FROM reports WHERE seq = ?", (seq,)).fetchone()
            if found is not None:
                self._db.execute("DELETE FROM reports WHERE seq = ?", (seq,))
                self.rows -= 1
                self.bytes -= found[0]

    def defer(self, until: dict[int, int]) -> None:
        """Offer these rows again only from the given time (ns, outbox clock) on."""
        self._db.executemany(
            "UPDATE reports SET not_before_ns = ? WHERE seq = ?",
            [(when, seq) for seq, when in until.items()],
        )

    def clear(self) -> None:
        """Delete every row."""
        self._db.execute("DELETE FROM reports")
        self.rows = self.bytes = 0

    def any_expired(self, now_ns: int) -> bool:
        """Whether `expire` would find something."""
        with _errors(None):
            query = "SELECT 1 FROM reports WHERE expires_ns <= ? LIMIT 1"
            return self._db.execute(query, (now_ns,)).fetchone() is not None

    def expire(self, now_ns: int, keep: Collection[int]) -> int:
        """Delete what has outlived its time, except `keep`; returns how many."""
        query = "SELECT seq FROM reports WHERE expires_ns <= ?"
        gone = [seq for (seq,) in self._db.execute(query, (now_ns,)) if seq not in keep]
        self.remove(gone)
        return len(gone)

    def evict(self, max_bytes: int, keep: Collection[int]) -> int:
        """Delete the oldest of the lowest priority until the quota holds; returns how many."""
        gone = 0
        for priority in sorted(Priority, reverse=True):
            if self.bytes <= max_bytes:
                break
            query = "SELECT seq, size FROM reports WHERE priority = ? ORDER BY seq"
            surplus, victims = self.bytes - max_bytes, []
            for seq, size in self._db.execute(query, (int(priority),)):
                if surplus <= 0:
                    break
                if seq not in keep:
                    victims.append(seq)
                    surplus -= size
            self.remove(victims)
            gone += len(victims)
        return gone

    def next_entries(
        self, limit: int, now_ns: int, exclude: Collection[int], *,
        priorities: Collection[Priority] = tuple(Priority), seqs: tuple[int, int] = (0, 2**63 - 1),
    ) -> tuple[list[Entry], list[int]]:  # fmt: skip
        """(entries in sending order, seqs of damaged rows): by priority, then oldest first.

        Only of `priorities`, and with seqs[0] ≤ seq < seqs[1].
        """
        query = (
            "SELECT seq FROM reports WHERE priority = ? AND seq >= ? AND seq < ?"
            " AND not_before_ns <= ? AND expires_ns > ? ORDER BY seq LIMIT ?"
        )
        wanted: list[int] = []
        with _errors(None):
            for priority in sorted(priorities):
                values = (int(priority), *seqs, now_ns, now_ns, limit + len(exclude))
                found = self._db.execute(query, values).fetchall()
                wanted += [seq for (seq,) in found if seq not in exclude]
                if len(wanted) >= limit:
                    break
            return self._read(wanted[:limit])

    def read_all(self) -> tuple[list[Entry], list[int]]:
        """(every readable entry, seqs of damaged rows)."""
        with _errors(None):
            query = "SELECT seq FROM reports ORDER BY seq"
            return self._read([seq for (seq,) in self._db.execute(query)])

    def _read(self, seqs: list[int]) -> tuple[list[Entry], list[int]]:
        good: list[Entry] = []
        damaged: list[int] = []
        query = (
            "SELECT priority, expires_ns, not_before_ns, crc, id, subject, body, content_type"
            " FROM reports WHERE seq = ?"
        )
        for seq in seqs:
            row = self._db.execute(query, (seq,)).fetchone()
            entry = None if row is None else _entry(seq, row)
            if entry is None:
                damaged.append(seq)
            else:
                good.append(entry)
        return good, damaged

    def save_ledger(self, ledger: Ledger, clock_ns: int, utc_ns: int) -> None:
        """Write the totals; call it in the transaction that makes them true."""
        values = {
            "produced": ledger.produced,
            "delivered": ledger.delivered,
            "clock_ns": clock_ns,
            "utc_ns": utc_ns,
            **{f"dropped:{reason}": count for reason, count in ledger.dropped.items()},
        }
        self._db.executemany("INSERT OR REPLACE INTO ledger VALUES(?,?)", list(values.items()))

    def load_ledger(self) -> Ledger:
        """The totals, made to balance with the rows that are really there."""
        with _errors(None):
            ledger = _ledger(_ledger_values(self._db))
        missing = ledger.queued - self.rows
        if missing > 0:
            ledger.drop(DropReason.CORRUPT, missing)
        else:
            ledger.produced -= missing
        return ledger

    def rebase(self, first_seq: int, clock_ns: int, utc_ns: int) -> None:
        """Fit the rows of an earlier run to this one: order before `first_seq`, expiry times.

        Time between the runs counts by UTC as far as that is plausible: a clock that went back, or
        ahead by more than a year, counts as no time at all, so that a wrong clock empties no queue.
        """
        top = self._db.execute("SELECT max(seq) FROM reports").fetchone()[0]
        if top is not None and top >= first_seq:  # the clock went back since then
            self._db.execute("UPDATE reports SET seq = -seq")  # by way of numbers nobody has
            self._db.execute("UPDATE reports SET seq = -seq - ?", (top - first_seq + 1,))
        values = _ledger_values(self._db)
        if "clock_ns" not in values:
            return
        down = utc_ns - values.get("utc_ns", utc_ns)
        shift = clock_ns - values["clock_ns"] - (down if 0 <= down <= _MAX_DOWNTIME_NS else 0)
        if abs(shift) < 1_000_000_000:  # ttl are seconds: not worth rewriting every row
            return
        self._db.execute(
            "UPDATE reports SET expires_ns = expires_ns + ?, not_before_ns = not_before_ns + ?",
            (shift, shift),
        )

    def recount(self) -> None:
        """Set `rows` and `bytes` from the file."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM reports"
        self.rows, self.bytes = self._db.execute(query).fetchone()

    def close(self) -> None:
        """Close the connection; never raises."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


def quarantine(path: Path) -> Path:
    """Rename a corrupt file to `<name>.corrupt-<n>`, which is returned; raises StoreError."""
    kept = sorted(
        (int(p.name.rpartition("-")[2]), p)
        for p in path.parent.glob(f"{path.name}.corrupt-*")
        if p.name.rpartition("-")[2].isdigit()
    )
    target = path.with_name(f"{path.name}.corrupt-{kept[-1][0] + 1 if kept else 1}")
    try:
        path.rename(target)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        for _, old in kept[: max(0, len(kept) + 1 - MAX_QUARANTINED)]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror or error}") from error
    return target


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Create the schema in an empty file; refuse a damaged or foreign one."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        return
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID or version not in {1, SCHEMA_VERSION}:
        raise StoreCorruptError(f"{path}: not an outbox of version {SCHEMA_VERSION}")
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        ledger = None
        with contextlib.suppress(sqlite3.Error):
            ledger = _ledger(_ledger_values(connection))
        raise StoreCorruptError(f"{path}: {' '.join(str(verdict).split())}", ledger)
    if version == 1:
        connection.executescript(
            "BEGIN IMMEDIATE; ALTER TABLE reports ADD COLUMN content_type BLOB NOT NULL DEFAULT '';"
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )


def _ledger_values(connection: sqlite3.Connection) -> dict[str, int]:
    rows = connection.execute("SELECT name, value FROM ledger").fetchall()
    return {str(name): value for name, value in rows if isinstance(value, int)}


def _ledger(values: dict[str, int]) -> Ledger:
    dropped = {
        name.partition(":")[2]: value
        for name, value in values.items()
        if name.startswith("dropped:")
    }
    return Ledger(values.get("produced", 0), values.get("delivered", 0), dropped)


def _entry(seq: int, row: tuple[int, int, int, int, bytes, bytes, bytes, bytes]) -> Entry | None:
    """The entry of a row, None when the row is not what was written."""
    priority, expires_ns, not_before_ns, crc, name, subject, body, kind = row
    kind = kind or b""  # SQLite's '' of rows of version 1
    try:
        if crc != _crc(name, subject, body, kind):
            return None
        return Entry(
            seq, Priority(priority), expires_ns, name.decode(), subject.decode(), body,
            not_before_ns, kind.decode() or JSON,
        )  # fmt: skip
    except (TypeError, ValueError, AttributeError):  # a flipped type or an impossible value
        return None


def _crc(name: bytes, subject: bytes, body: bytes, kind: bytes) -> int:
    return zlib.crc32(kind, zlib.crc32(body, zlib.crc32(subject, zlib.crc32(name))))


@contextlib.contextmanager
def _errors(path: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # our own mistake, not the disk's
    except sqlite3.Error as error:
        raise _translated(error, path) from error


def _translated(error: sqlite3.Error, path: Path | None) -> StoreError:
    where = "" if path is None else f"{path}: "
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}:
        # SQLITE_ERROR: our fixed statements fail only where tables or columns are missing.
        return StoreCorruptError(f"{where}{error}")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreUnavailableError(f"{where}in use by another process")
    if code == sqlite3.SQLITE_FULL:
        return StoreUnavailableError(f"{where}the disk is full", full=True)
    return StoreUnavailableError(f"{where}{error}")
