"""The store: what was committed is there again, and nobody else has it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from inboxd_client import StoreError
from inboxd_client.store import Store


async def test_what_was_committed_is_there_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", "alice")
    await asyncio.gather(*(store.commit([("out", f"m{number}", {"n": number})]) for number in range(20)))
    await store.commit([("out", "m3", None), ("in", "m3", {"n": 3})])
    await store.close()
    again = Store(tmp_path / "s", "alice")
    assert [key for key, _ in again.load("out")] == sorted(f"m{number}" for number in range(20) if number != 3)
    assert again.load("in") == [("m3", {"n": 3})]
    await again.close()


async def test_one_client_has_it_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", "alice")
    with pytest.raises(StoreError, match="locked"):
        Store(tmp_path / "s", "alice")
    await store.close()


async def test_it_belongs_to_one_client_id(tmp_path: Path) -> None:
    await Store(tmp_path / "s", "alice").close()
    with pytest.raises(StoreError, match="that of client alice"):
        Store(tmp_path / "s", "bob")


async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("this is no store" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path / "s", "alice")


async def test_a_file_that_cannot_grow_fails_the_commit_and_not_the_next_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", "alice")
    pages = store._file.execute("PRAGMA page_count").fetchone()[0]
    store._file.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        await store.commit([("out", "m1", {"payload": "x" * 100_000})])
    await store.commit([("out", "m2", {})])
    assert [key for key, _ in store.load("out")] == ["m2"]
    await store.close()
