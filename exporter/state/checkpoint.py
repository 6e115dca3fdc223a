"""What was delivered, in SQLite: nothing in it moves before every sink has acknowledged.

All that a delivery changes is one transaction. Before it begins, the delivery is announced with the files that it is going to write; a run
that is killed leaves that announcement and nothing else, and the next run takes the same number, removes those files and does it again.

    collections  one on the share: signature of names, sizes and times; since when it looks so; what it looked like when delivered
    files        one evidence file: size, time and a hash of its beginning when it was read to the end
    ids          an event that was written (see `ids`)
    held         a record that can be part of an incident, encoded: a later night's incident needs it without reading its file again
    deliveries   one transaction: its number, case, files and counts; without `finished` it was not acknowledged
    exports      one `export --state`: its arguments, and the hosts that servers have acknowledged
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from exporter import __version__
from exporter.errors import ConfigurationError, SinkUnavailable
from exporter.state.ids import Ids
from exporter.state.place import prepare

FILE_NAME = "state.sqlite"
SCHEMA = 1
_APPLICATION = 0x64656670  # "defp"
_CACHE_KIB = 16384
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE ids (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE collections (
  name TEXT PRIMARY KEY, signature BLOB NOT NULL, size INTEGER NOT NULL, since REAL NOT NULL, changed REAL NOT NULL,
  delivered BLOB, delivered_at REAL, cut_at REAL, problem TEXT) WITHOUT ROWID;
CREATE TABLE files (
  collection TEXT NOT NULL, path TEXT NOT NULL, collector TEXT NOT NULL, host TEXT NOT NULL, size INTEGER, modified INTEGER,
  head_size INTEGER NOT NULL, head BLOB NOT NULL, cut INTEGER NOT NULL, delivery INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (collection, path, collector)) WITHOUT ROWID;
CREATE TABLE hosts (folded TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE held (
  case_id TEXT NOT NULL, host TEXT NOT NULL, id BLOB NOT NULL, incident TEXT, data BLOB NOT NULL,
  PRIMARY KEY (case_id, host, id)) WITHOUT ROWID;
CREATE TABLE deliveries (
  number INTEGER PRIMARY KEY, stamp TEXT NOT NULL, case_id TEXT NOT NULL, started REAL NOT NULL, finished REAL,
  outputs TEXT NOT NULL,  ids INTEGER NOT NULL DEFAULT 0, known INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0);
CREATE TABLE totals (
  metric TEXT NOT NULL, source TEXT NOT NULL, sink TEXT NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY (metric, source, sink)) WITHOUT ROWID;
CREATE TABLE exports (
  job TEXT PRIMARY KEY, arguments TEXT NOT NULL, started REAL NOT NULL, finished REAL, damaged INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE export_hosts (job TEXT NOT NULL, host TEXT NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (job, host)) WITHOUT ROWID;
"""


class Unfinished(NamedTuple):
    """A delivery that began and was not acknowledged: its name, the files that it may have written, its case."""

    stamp: str
    outputs: list[str]
    case: str


class _Connection(sqlite3.Connection):
    """Says what is wrong in our words."""

    def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(statement, values)
        except sqlite3.Error as error:
            raise _told(error) from error


def _told(error: sqlite3.Error) -> Exception:
    if isinstance(error, sqlite3.OperationalError):
        return SinkUnavailable(f"the state cannot be written: {error}")
    return ConfigurationError(f"the state is damaged: {error}")


class State:
    """An open state folder. Raises ConfigurationError when it is not one, of a newer version, or at a place that will not do."""

    def __init__(self, folder: Path, *, create: bool = True, force_network: bool = False) -> None:
        if not create and not (folder / FILE_NAME).is_file():
            raise ConfigurationError(f"`{folder}` holds no state")
        self.folder = prepare(folder, force_network=force_network)
        self._connection = _open(self.folder / FILE_NAME)
        self.execute = self._connection.execute
        self.ids = Ids(self._connection.execute)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        (application,) = self.execute("PRAGMA application_id").fetchone()
        (version,) = self.execute("PRAGMA user_version").fetchone()
        if not application and not version and not self.execute("SELECT 1 FROM sqlite_master").fetchone():
            self.execute("PRAGMA journal_mode = WAL")
            self._create()
        elif application != _APPLICATION:
            raise ConfigurationError(f"`{self.folder / FILE_NAME}` is not a state of defender-exporter")
        elif version > SCHEMA:
            raise ConfigurationError(f"the state in `{self.folder}` was written by a newer version (schema {version}, known: {SCHEMA})")
        for pragma in (f"cache_size = -{_CACHE_KIB}", "synchronous = FULL", "temp_store = MEMORY", "trusted_schema = OFF"):
            self.execute(f"PRAGMA {pragma}")

    def _create(self) -> None:
        with self.transaction():
            for statement in _TABLES.split(";\n"):
                if statement.strip():
                    self.execute(statement)
            self.execute(f"PRAGMA application_id = {_APPLICATION}")
            self.execute(f"PRAGMA user_version = {SCHEMA}")

    def close(self) -> None:
        """Give up what was not committed."""
        with suppress(sqlite3.Error):
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Give up what was not committed."""
        with suppress(sqlite3.Error):
            self._connection.rollback()

    def note(self, name: str) -> str | None:
        """A value by its name."""
        row = self.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def set_note(self, name: str, value: str) -> None:
        """Keep a value."""
        self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def bind(self, purpose: Mapping[str, Any]) -> None:
        """A state serves one purpose, such as one set of targets: with another, what was delivered there would be missing here."""
        text = json.dumps(purpose, sort_keys=True, ensure_ascii=True)
        known = self.note("purpose")
        if known is not None and known != text:
            before = ", ".join(f"{name} {value}" for name, value in json.loads(known).items())
            raise ConfigurationError(f"the state in `{self.folder}` is for {before}: use another state folder")
        with self.transaction():
            self.set_note("purpose", text)
            if self.note("tool") != __version__:
                self._new_tool()
                self.set_note("tool", __version__)

    def _new_tool(self) -> None:
        """Another version may decode held records differently, and read more out of a file: files are read once more, ids stay."""
        self.execute("DELETE FROM held")
        self.execute("DELETE FROM files")
        self.execute("UPDATE collections SET delivered = NULL, cut_at = NULL")

    def announce(self, case: str) -> tuple[int, str]:
        """The number and the name of the delivery that begins: of the one that was not finished, else new ones. Committed at once."""
        with self.transaction():
            row = self.execute("SELECT number, stamp, case_id FROM deliveries WHERE finished IS NULL").fetchone()
            number = int(row[0]) if row else 1 + int(self.execute("SELECT max(number) FROM deliveries").fetchone()[0] or 0)
            same = row is not None and row[2] == case
            stamp = str(row[1]) if same else f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{number}"
            values = (number, stamp, case, time.time())
            self.execute("INSERT OR REPLACE INTO deliveries (number, stamp, case_id, started, outputs) VALUES (?, ?, ?, ?, '[]')", values)
        return number, stamp

    def expect(self, number: int, outputs: "list[str]") -> None:
        """Note the files that a delivery is going to write."""
        self.execute("UPDATE deliveries SET outputs = ? WHERE number = ?", (json.dumps(outputs), number))

    def unfinished(self) -> Unfinished | None:
        """The delivery that a run has left which was killed or failed."""
        row = self.execute("SELECT stamp, outputs, case_id FROM deliveries WHERE finished IS NULL").fetchone()
        return Unfinished(str(row[0]), list(json.loads(row[1])), str(row[2])) if row else None

    def withdraw(self) -> None:
        """Forget the delivery that was not finished: nothing is left of it, and nothing of it is to be done again."""
        self.execute("DELETE FROM deliveries WHERE finished IS NULL")

    def count(self, metric: str, source: str, sink: str, number: int) -> None:
        """Add to a total."""
        self.execute(
            "INSERT INTO totals VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
            (metric, source, sink, number),
        )

    def totals(self) -> list[tuple[str, str, str, int]]:
        """Metric, source, sink and number of all that was ever delivered."""
        return self.execute("SELECT metric, source, sink, number FROM totals").fetchall()


def _open(path: Path) -> _Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, factory=_Connection)
    except OSError as error:
        raise ConfigurationError(f"`{path}` cannot be opened: {error.strerror}") from error
    except sqlite3.Error as error:
        raise ConfigurationError(f"`{path}` cannot be opened: {error}") from error
    assert isinstance(connection, _Connection)
    return connection
