"""What survives the process: records by kind and key, in one SQLite file.

The promise: when ``commit`` returns, its changes are on the disk, all of them or none. Commits that come while one is under way share the
next one, and its fsync.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .errors import StoreError

Record = dict[str, Any]
Change = tuple[str, str, Record | None]
"""Kind, key, and the record, or None to remove it."""

_FORMAT = 1


class Store:
    """The records of one client."""

    def __init__(self, path: str | Path, client_id: str) -> None:
        self._waiting: list[tuple[list[Change], asyncio.Future[None]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "inboxd-client-store")
        try:
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
            self._prepare(client_id)
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be used: {error}") from error
        except StoreError:
            self._file.close()
            raise

    def load(self, kind: str) -> list[tuple[str, Record]]:
        """All records of a kind."""
        rows = self._file.execute("SELECT key, value FROM kept WHERE kind = ?", (kind,))
        return [(key, json.loads(value)) for key, value in rows]

    async def commit(self, changes: Iterable[Change]) -> None:
        """Makes changes durable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((list(changes), done))
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        await done

    async def close(self) -> None:
        """Ends what is under way, and lets the file go."""
        if self._runner:
            await self._runner
        self._thread.shutdown()
        self._file.close()

    def _prepare(self, client_id: str) -> None:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            self._file.execute(f"PRAGMA {pragma}")
        self._file.execute("BEGIN IMMEDIATE")
        version = self._file.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _FORMAT):
            raise StoreError(f"the store has format {version}; this package knows {_FORMAT}")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS kept (kind TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        owner = dict(self.load("meta")).get("client", {"id": client_id})["id"]
        if owner != client_id:
            raise StoreError(f"the store is that of client {owner}, not of {client_id}")
        self._apply([("meta", "client", {"id": client_id})])
        self._file.execute(f"PRAGMA user_version = {_FORMAT}")
        self._file.execute("COMMIT")

    async def _run(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            changes = [change for one, _ in waiting for change in one]
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._write, changes)
            except sqlite3.Error as error:
                for _, done in waiting:
                    if not done.done():
                        done.set_exception(StoreError(f"the store cannot be written: {error}"))
            else:
                for _, done in waiting:
                    if not done.done():
                        done.set_result(None)
        self._runner = None

    def _write(self, changes: list[Change]) -> None:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._apply(changes)
            self._file.execute("COMMIT")
        except sqlite3.Error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise

    def _apply(self, changes: list[Change]) -> None:
        for kind, key, record in changes:
            if record is None:
                self._file.execute("DELETE FROM kept WHERE kind = ? AND key = ?", (kind, key))
            else:
                value = json.dumps(record, separators=(",", ":"))
                self._file.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (kind, key, value))
