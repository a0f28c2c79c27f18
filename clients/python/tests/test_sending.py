"""What PUBACKs and receipts say about messages: only what happened, and never less than before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from inboxd_client import ForgottenError, Options, Progress, RefusedError, Sent, State, UnsupportedError
from inboxd_client.events import Event, Events
from inboxd_client.link import Link
from inboxd_client.message import Message, new_id
from inboxd_client.packet import Answered, Opened
from inboxd_client.receipts import Receipt
from inboxd_client.sending import Sending
from inboxd_client.store import Store


class Bench:
    """The sender's half over a store, and a link that notes what is published."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.options = Options("alice", path, **options)
        self.store = Store(path, "alice")
        self.events: list[Event] = []
        events = Events()
        events.listen(self.events.append)
        self.sending = Sending(self.options, self.store, events)
        self.published: list[str] = []
        self.sending.attached(cast(Link, self), Opened("e1", 100))

    def publish(self, message: Message, *_: object) -> int:
        self.published.append(message.id)
        return len(self.published)

    async def send(self, receipts: str = "delivered,read") -> Sent:
        return await self.sending.send(Message(new_id(), "bob", "bob", b"x", 0, receipts=receipts))

    def answer(self, state: str | None = "stored", code: int = 0) -> None:
        properties = [("seq", "7"), ("state", state)] if state else []
        self.sending.answered(Answered(len(self.published), code, None, properties))

    async def tell(self, sent: Sent, state: State | None, topic: str = "bob") -> None:
        await self.sending.told([Receipt(sent.id, topic, 7, state, "why", 0x99)])

    async def end(self) -> None:
        await self.sending.settle()
        await self.store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def reached(sent: Sent) -> State:
    return sent.state


async def test_states_come_one_after_the_other(path: Path) -> None:
    bench = Bench(path)
    sent = await bench.send()
    bench.answer()
    await sent.stored()
    assert (reached(sent), sent.seq) == (State.STORED, 7)
    await bench.tell(sent, State.DELIVERED)
    assert reached(sent) == State.DELIVERED
    await bench.tell(sent, State.READ)
    await sent.read()
    assert bench.sending.handles() == []
    await bench.end()


async def test_a_repeat_that_was_delivered_already_is_delivered(path: Path) -> None:
    bench = Bench(path)
    sent = await bench.send()
    bench.answer("delivered")
    await sent.delivered()
    await bench.end()


async def test_a_receipt_may_come_before_puback_and_frees_the_queue(path: Path) -> None:
    bench = Bench(path)
    first, second = await bench.send(), await bench.send()
    assert bench.published == [first.id]
    await bench.tell(first, State.DELIVERED)
    assert bench.published == [first.id, second.id]
    # The late answer to the first one says nothing about the second.
    bench.sending.answered(Answered(1, 0x97, None, []))
    assert (reached(first), reached(second)) == (State.DELIVERED, State.QUEUED)
    await bench.end()


async def test_a_receipt_about_another_inbox_is_not_believed(path: Path) -> None:
    bench = Bench(path)
    sent = await bench.send()
    bench.answer()
    await bench.tell(sent, State.READ, topic="carol")
    assert reached(sent) == State.STORED
    await bench.end()


async def test_states_never_go_back(path: Path) -> None:
    bench = Bench(path)
    sent = await bench.send()
    bench.answer()
    await bench.tell(sent, State.READ)
    await bench.tell(sent, State.DELIVERED)
    assert reached(sent) == State.READ
    assert [event.state for event in bench.events if isinstance(event, Progress)] == [State.STORED, State.READ]
    await bench.end()


async def test_a_message_that_left_unread_was_stored_and_will_not_be_delivered(path: Path) -> None:
    bench = Bench(path)
    sent = await bench.send()
    bench.answer()
    await bench.tell(sent, None)
    await sent.stored()
    for wait in (sent.delivered, sent.read):
        with pytest.raises(RefusedError, match="why"):
            await wait()
    await bench.end()


async def test_a_broker_without_receipts_is_told(path: Path) -> None:
    bench = Bench(path)
    sent = await bench.send()
    bench.answer(state=None)
    await sent.stored()
    with pytest.raises(UnsupportedError, match="must be updated"):
        await sent.delivered()
    await bench.end()


async def test_without_receipts_nobody_waits_for_ever(path: Path) -> None:
    bench = Bench(path)
    sent = await bench.send(receipts="")
    bench.answer()
    await sent.stored()
    with pytest.raises(UnsupportedError):
        await sent.delivered()
    await bench.end()


@pytest.mark.parametrize("left", [State.QUEUED, State.STORED])
async def test_what_is_open_is_followed_after_a_restart(path: Path, left: State) -> None:
    bench = Bench(path)
    sent = await bench.send()
    if left == State.STORED:
        bench.answer()
    await bench.end()
    again = Bench(path)
    (handle,) = again.sending.handles()
    assert (handle.id, reached(handle)) == (sent.id, left)
    await again.tell(handle, State.READ)
    await handle.read()
    await again.end()
    third = Bench(path)
    assert third.sending.handles() == []
    await third.end()


async def test_the_oldest_is_not_followed_for_ever(path: Path) -> None:
    bench = Bench(path, followed_max=2)
    sent = []
    for _ in range(3):
        sent.append(await bench.send())
        bench.answer()
    with pytest.raises(ForgottenError):
        await sent[0].delivered()
    assert bench.sending.handles() == sent[1:]
    await bench.end()
