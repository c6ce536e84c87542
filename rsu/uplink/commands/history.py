"""Which commands have been seen: ids and the highest number of every key, over restarts.

A small SQLite file, written durably before a command is carried out. Where the disk refuses, memory
serves: commands name the session of one boot, so what was seen in an earlier run is refused anyway.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

MAX_IDS = 20_000
"""Ids kept; the oldest go. Each is refused by its expiry long before."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen(id TEXT PRIMARY KEY, at INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_at ON seen(at);
CREATE TABLE IF NOT EXISTS numbers(session TEXT, key TEXT, seq INTEGER, PRIMARY KEY(session, key));
"""


class CommandHistory:
    """Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._memory: dict[str, None] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self.problem = ""
        """Why the file is not used; empty while it is."""
        self._open()

    def seen(self, command_id: str) -> bool:
        """Whether a command of this id was accepted before."""
        if command_id in self._memory:
            return True
        rows = self._ask("SELECT 1 FROM seen WHERE id = ?", (command_id,))
        return bool(rows)

    def last_number(self, session: str, key: str) -> int:
        """The highest number that this key used in this session, -1 for none."""
        if (session, key) in self._numbers:
            return self._numbers[session, key]
        rows = self._ask("SELECT seq FROM numbers WHERE session = ? AND key = ?", (session, key))
        return rows[0][0] if rows else -1

    def remember(self, command_id: str, session: str, key: str, seq: int, at_ns: int) -> None:
        """Note an accepted command, on disk where that is possible."""
        self._memory[command_id] = None
        if len(self._memory) > MAX_IDS:
            del self._memory[next(iter(self._memory))]
        self._numbers[session, key] = seq
        if self._db is None:
            self._open()
        if self._db is None:
            return
        try:
            with self._db:
                self._db.execute("INSERT OR IGNORE INTO seen VALUES(?,?)", (command_id, at_ns))
                self._db.execute(
                    "DELETE FROM seen WHERE at < "
                    "(SELECT at FROM seen ORDER BY at DESC LIMIT 1 OFFSET ?)",
                    (MAX_IDS,),
                )
                self._db.execute("DELETE FROM numbers WHERE session != ?", (session,))
                self._db.execute(
                    "INSERT OR REPLACE INTO numbers VALUES(?,?,?)", (session, key, seq)
                )
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _ask(self, query: str, values: tuple[str, ...]) -> list[tuple[int]]:
        if self._db is None:
            return []
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._give_up(error)
            return []

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Made by whoever starts the unit, used by the thread of the commands.
            self._db = sqlite3.connect(self._path, timeout=0.5, check_same_thread=False)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self.problem = ""
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.problem = str(error)
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        self._db = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        ):
            # Not a database any more: set aside, so that the next command finds a new one.
            with contextlib.suppress(OSError):
                self._path.rename(self._path.with_name(self._path.name + ".corrupt"))
