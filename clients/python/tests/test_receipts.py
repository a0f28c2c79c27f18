"""What a sender learns of its messages from a broker. The same scenarios are in the JavaScript package."""

from __future__ import annotations

import asyncio

import pytest
from relay import PUBLISH, TO_CLIENT
from world import World, raises, take, until

from inboxd_client import Dropped, Gap, Inbox, Kind, Payload, Progress, RefusedError, Sent, State


async def test_a_sender_is_told_that_its_message_was_delivered_and_read(world: World) -> None:
    await world.start()
    alice, bob = await world.client("alice"), await world.client("bob")
    sent = await alice.send("bob", "hello")
    delivery = await bob.recv()
    assert (delivery.kind, delivery.about, delivery.user) == (Kind.MESSAGE, None, None)
    await delivery.ack()
    await sent.delivered()
    assert reached(sent) == State.DELIVERED
    await delivery.mark_read()
    await sent.read()
    assert alice.outbox() == []


async def test_a_sender_who_was_away_is_told_later(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    sent = await alice.send("bob", "hello")
    await sent.stored()
    await alice.close()
    bob = await world.client("bob")
    await (await bob.recv()).mark_read()
    assert await bob.flushed()
    again = await world.client("alice")
    # It may be told before anybody can ask for the handle.
    await until(lambda: Progress(sent.id, "bob", State.READ) in world.seen("alice", Progress))
    assert again.outbox() == []


async def test_a_sender_is_told_what_the_recipient_does_not_want(world: World) -> None:
    await world.start()
    alice, bob = await world.client("alice"), await world.client("bob")
    sent = await alice.send("bob", "hello")
    await (await bob.recv()).reject(0x87)
    error = await raises(RefusedError, sent.delivered())
    assert isinstance(error, RefusedError)
    assert error.code == 0x87
    assert "0x87" in str(error)
    await sent.stored()


async def test_a_sender_is_told_what_expired(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    sent = await alice.send("bob", "late", expires_after_s=1.0)
    await sent.stored()
    await asyncio.sleep(2.1)
    bob = await world.client("bob")
    assert "expired" in str(await raises(RefusedError, sent.delivered()))
    await alice.send("bob", "in time")
    assert await take(bob, 1) == ["in time"]


async def test_both_are_told_what_a_full_inbox_dropped(world: World) -> None:
    await world.start('[inbox]\nwhen_full = "drop-oldest"\nmessages_max = 2\n')
    alice = await world.client("alice", receipts=True)
    sent = [await alice.send("bob", f"message {number}") for number in range(3)]
    assert "overflow" in str(await raises(RefusedError, sent[0].delivered()))
    bob = await world.client("bob")
    assert await take(bob, 2) == ["message 1", "message 2"]
    assert world.seen("bob", Dropped) == [Dropped(1)]
    for one in sent[1:]:
        await one.delivered()


async def test_read_is_told_by_name_and_by_seq_and_not_at_all(world: World) -> None:
    await world.start()
    alice, bob = await world.client("alice"), await world.client("bob")

    async def taken(text: str) -> tuple[Sent, int]:
        sent = await alice.send("bob", text)
        delivery = await bob.recv()
        await delivery.ack()
        assert delivery.seq
        return sent, delivery.seq

    by_id, _ = await taken("by id")
    await (await bob.mark_read("alice", [by_id.id])).stored()
    await by_id.read()
    by_seq, seq = await taken("by seq")
    await (await bob.mark_read_up_to(seq)).stored()
    await by_seq.read()
    await (await bob.tell_when_read(False)).stored()
    kept, seq = await taken("kept to himself")
    await (await bob.mark_read_up_to(seq)).stored()
    await (await bob.tell_when_read(True)).stored()
    later, _ = await taken("later")
    await (await bob.mark_read("alice", [later.id])).stored()
    await later.read()
    assert reached(kept) == State.DELIVERED


async def test_a_delivery_that_was_lost_on_the_way_is_told_and_comes_again(world: World) -> None:
    await world.start()
    alice, bob = await world.client("alice"), await world.client("bob")
    world.relay.swallow(TO_CLIENT, PUBLISH, 1, "bob")
    first, second = await alice.send("bob", "1"), await alice.send("bob", "2")
    assert await take(bob, 2) == ["1", "2"]
    assert world.seen("bob", Gap) == [Gap(None, first.seq)]
    await second.delivered()


@pytest.mark.parametrize("value", [{"a": [1, None, "grüße"]}, [1.5, True, b"\x00\xff"]])
async def test_values_arrive_as_message_pack(world: World, value: object) -> None:
    await world.start()
    alice = await world.client("alice")
    await alice.send("alice", Payload.message_pack(value))
    delivery = await alice.recv()
    assert (delivery.message_pack(), delivery.content_type) == (value, "application/vnd.msgpack")
    await alice.send("alice", b"\xc1")
    nonsense = await alice.recv()
    with pytest.raises(ValueError, match="no MessagePack"):
        nonsense.message_pack()


async def test_flushed_says_whether_all_is_out(world: World) -> None:
    await world.start()
    world.relay.shut()
    alice = await world.client("alice")
    await alice.send("bob", "hello")
    waiting = asyncio.ensure_future(alice.flushed())
    await alice.close(0.0)
    assert not await waiting
    world.relay.is_open = True
    again: Inbox = await world.client("alice")
    assert await again.flushed()


def reached(sent: Sent) -> State:
    """A call, for the type checker thinks that a property stays as it was."""
    return sent.state
