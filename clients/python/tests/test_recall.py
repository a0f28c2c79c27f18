"""Taking messages back and replacing them, by a broker that can. The same scenarios are in the JavaScript package."""

from __future__ import annotations

from relay import PUBACK, TO_CLIENT
from world import World, raises, take

from inboxd_client import Delivery, Inbox, Kind, Recalled, RefusedError


async def test_what_was_not_delivered_is_gone(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    sent = await alice.send("bob", "a mistake")
    await sent.stored()
    await alice.send("bob", "the rest")
    assert await alice.recall("bob", sent.id) == Recalled.UNDELIVERED
    assert "recalled" in str(await raises(RefusedError, sent.delivered()))
    assert await take(await world.client("bob"), 1) == ["the rest"]


async def test_who_had_it_is_told(world: World) -> None:
    await world.start()
    alice, bob = await world.client("alice"), await world.client("bob")
    sent = await alice.send("bob", "a mistake")
    assert await take(bob, 1) == ["a mistake"]
    await sent.delivered()
    assert await alice.recall("bob", sent.id) == Recalled.RECIPIENT_TOLD
    told = await taken(bob)
    assert (told.kind, told.about, told.sender) == (Kind.RECALL, sent.id, "alice")
    assert await alice.edit("bob", sent.id, "better", properties=[("colour", "red")]) == Recalled.RECIPIENT_TOLD
    told = await taken(bob)
    assert (told.kind, told.about, told.sender, told.text()) == (Kind.EDIT, sent.id, "alice", "better")
    assert told.id != sent.id
    assert ("colour", "red") in told.properties


async def test_what_was_not_delivered_is_replaced(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    sent = await alice.send("bob", "old")
    await sent.stored()
    assert await alice.edit("bob", sent.id, "new") == Recalled.UNDELIVERED
    delivery = await taken(await world.client("bob"))
    assert (delivery.kind, delivery.id, delivery.text()) == (Kind.MESSAGE, sent.id, "new")


async def test_a_recall_never_gets_there_before_its_message(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    world.relay.swallow(TO_CLIENT, PUBACK)
    sent = await alice.send("bob", "a mistake")
    assert await alice.recall("bob", sent.id) == Recalled.UNDELIVERED
    await (await alice.send("bob", "the rest")).stored()
    assert await take(await world.client("bob"), 1) == ["the rest"]


async def test_a_message_replaces_an_earlier_one_with_its_key(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    first = await alice.send("bob", "17", collapse="price")
    other = await alice.send("bob", "rain", collapse="weather")
    last = await alice.send("bob", "18", collapse="price")
    assert "collapsed" in str(await raises(RefusedError, first.delivered()))
    assert await take(await world.client("bob"), 2) == ["rain", "18"]
    await other.delivered()
    await last.delivered()


async def taken(inbox: Inbox) -> Delivery:
    """The next delivery, acknowledged."""
    delivery = await inbox.recv()
    await delivery.ack()
    return delivery
