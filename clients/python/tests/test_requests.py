"""Taking messages back, as far as it takes no broker that can do it. The same scenarios are in the JavaScript package."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from test_sending import Bench
from world import World, raises, take, until

from inboxd_client import Kind, Payload, Recalled, RefusedError, UnsupportedError
from inboxd_client.delivery import Delivery
from inboxd_client.packet import Answered, Packet
from inboxd_client.requests import Requests


async def test_what_is_in_the_outbox_is_taken_back_there(world: World) -> None:
    await world.start()
    world.relay.shut()
    alice = await world.client("alice")
    first, second = await alice.send("bob", "1"), await alice.send("bob", "2")
    assert await alice.recall("bob", first.id) == Recalled.BEFORE_SENDING
    assert "taken back" in str(await raises(RefusedError, first.stored()))
    assert alice.outbox() == [second]
    world.relay.is_open = True
    assert await take(await world.client("bob"), 1) == ["2"]


@pytest.mark.parametrize("left", [False, True])
async def test_what_may_be_out_is_asked_of_the_broker_and_behind_it(tmp_path: Path, left: bool) -> None:
    bench = Bench(tmp_path / "s")
    sent = await bench.send()
    if left:
        # Another process cannot know whether it is out.
        await bench.end()
        bench = Bench(tmp_path / "s")
    requests = Requests(bench.options, bench.sending)
    recalling = asyncio.ensure_future(requests.recall("bob", sent.id))
    changing = asyncio.ensure_future(requests.edit("bob", sent.id, Payload.text("new"), [("colour", "red")], None))
    await until(lambda: len(bench.sending) == 3)
    assert bench.published == [sent.id]
    for number, state in enumerate(("stored", "told", "edited")):
        await until(lambda number=number: len(bench.published) == number + 1)  # type: ignore[misc]
        bench.answer(state)
    assert (await recalling, await changing) == (Recalled.RECIPIENT_TOLD, Recalled.UNDELIVERED)
    await bench.end()


async def test_a_broker_that_says_nothing_has_taken_nothing_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "s")
    recalling = asyncio.ensure_future(Requests(bench.options, bench.sending).recall("bob", "m1"))
    await until(lambda: bench.published)
    bench.sending.answered(Answered(1, 0, None, []))
    await raises(UnsupportedError, recalling)
    await bench.end()


def test_a_recall_and_an_edit_say_what_they_are_about() -> None:
    recall = delivery("recall", json.dumps({"notice": "recall", "id": "m1"}).encode())
    assert (recall.kind, recall.about) == (Kind.RECALL, "m1")
    edit = delivery("edit", b"new", ("edit-of", "m1"))
    assert (edit.kind, edit.about, edit.id, edit.text()) == (Kind.EDIT, "m1", "e1", "new")
    for nonsense in (b"\xff", b"[]", b"{}", b'{"id":1}'):
        assert delivery("recall", nonsense).about == "e1"
    assert (delivery("notice").kind, delivery("later").kind, delivery("notice").about) == (Kind.NOTICE, Kind.NOTICE, None)


def delivery(notice: str, payload: bytes = b"", *more: tuple[str, str]) -> Delivery:
    async def nobody(*_: object) -> None:
        raise AssertionError("nobody answers")

    packet = Packet("bob", payload, 1, properties=[("id", "e1"), ("$inboxd", notice), *more])
    return Delivery(packet, ("alice", "e1"), "alice", notice, nobody, nobody)
