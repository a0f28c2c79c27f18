"""From send to "stored" through cut links, swallowed packets and killed brokers. The same scenarios are in the JavaScript package."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest
from relay import PUBACK, PUBLISH, TO_BROKER, TO_CLIENT
from world import World, nothing_more, numbered, raises, take, until

from inboxd_client import (
    ClosedError,
    EpochChanged,
    Link,
    LinkChanged,
    Payload,
    RefusedError,
)

CHILD = Path(__file__).with_name("child.py")


async def test_stored_outlives_the_broker(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    sent = await alice.send("bob", "hello")
    await sent.stored()
    world.kill()
    await world.start()
    bob = await world.client("bob")
    assert await take(bob, 1) == ["hello"]
    await nothing_more(bob)


async def test_payloads_arrive_as_they_were_sent(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    await alice.send("alice", b"\x00\xff", properties=[("colour", "red")])
    await alice.send("alice", "grüße")
    await alice.send("alice", Payload.json({"a": [1, None]}))
    raw, text, structured = [await alice.recv() for _ in range(3)]
    assert (raw.payload, raw.content_type, raw.properties[-1]) == (b"\x00\xff", None, ("colour", "red"))
    assert (text.text(), text.content_type) == ("grüße", "text/plain; charset=utf-8")
    assert (structured.json(), structured.content_type) == ({"a": [1, None]}, "application/json")
    assert [one.sender for one in (raw, text, structured)] == ["alice"] * 3


async def test_what_was_sent_offline_goes_out_in_order(world: World) -> None:
    await world.start()
    world.relay.shut()
    alice = await world.client("alice")
    assert alice.state == Link.WAITING
    sent = [await alice.send("bob", text) for text in numbered(20)]
    world.relay.is_open = True
    bob = await world.client("bob")
    assert await take(bob, 20) == numbered(20)
    await asyncio.gather(*(one.stored() for one in sent))


async def test_a_pause_is_not_cut_short_by_what_is_sent_meanwhile(world: World) -> None:
    await world.start()
    world.relay.shut()
    alice = await world.client("alice", reconnect_least_s=100.0, reconnect_most_s=100.0)
    for text in numbered(5):
        await alice.send("bob", text)
    await asyncio.sleep(0.2)
    assert [event.state for event in world.seen("alice", LinkChanged)] == [Link.CONNECTING, Link.WAITING]


async def test_messages_that_expired_hold_up_nobody(world: World) -> None:
    await world.start()
    world.relay.shut()
    alice = await world.client("alice")
    late = [await alice.send(name, "late", expires_after_s=0.1) for name in ("bob", "carol") for _ in range(700)]
    await alice.send("bob", "in time")
    await alice.send("carol", "in time")
    await asyncio.sleep(0.2)
    world.relay.is_open = True
    assert await take(await world.client("bob"), 1) == await take(await world.client("carol"), 1) == ["in time"]
    assert all(one.failure for one in late)


async def test_the_outbox_survives_a_killed_process(world: World) -> None:
    await world.start()
    world.relay.shut()
    process = await asyncio.create_subprocess_exec(
        sys.executable, CHILD, "send", str(world.directory), str(world.relay.port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout and await process.stdout.readline() == b"sent\n"
    process.kill()
    await process.wait()
    world.relay.is_open = True
    alice, bob = await world.client("alice"), await world.client("bob")
    assert await take(bob, 10) == numbered(10)
    await nothing_more(bob)
    assert await alice.close() == 0


async def test_a_receiver_killed_after_ack_does_not_see_it_again(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    for text in numbered(3):
        await (await alice.send("bob", text)).stored()
    world.relay.swallow(TO_BROKER, PUBACK, 100)
    process = await asyncio.create_subprocess_exec(
        sys.executable, CHILD, "receive", str(world.directory), str(world.relay.port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout and await process.stdout.readline() == b"acknowledged 2\n"
    process.kill()
    await process.wait()
    world.relay.swallow(TO_BROKER, PUBACK, 0)
    bob = await world.client("bob")
    assert await take(bob, 1) == numbered(3)[2:]
    await nothing_more(bob)


async def test_unacknowledged_comes_again_to_the_next_process_only(world: World) -> None:
    await world.start()
    alice, bob = await world.client("alice"), await world.client("bob")
    await alice.send("bob", "hello")
    delivery = await bob.recv()
    world.relay.cut()
    await nothing_more(bob)
    await bob.close()
    again = await world.client("bob")
    assert (await again.recv()).id == delivery.id


async def test_an_ack_while_disconnected_holds(world: World) -> None:
    await world.start()
    alice, bob = await world.client("alice"), await world.client("bob")
    await alice.send("bob", "hello")
    delivery = await bob.recv()
    world.relay.shut()
    await until(lambda: bob.state == Link.WAITING)
    await delivery.ack()
    world.relay.is_open = True
    await nothing_more(bob)
    await bob.close()
    await nothing_more(await world.client("bob"))


@pytest.mark.parametrize("way, packet", [(TO_BROKER, PUBLISH), (TO_CLIENT, PUBACK), (TO_CLIENT, PUBLISH), (TO_BROKER, PUBACK)])
async def test_a_swallowed_packet_loses_and_repeats_nothing(world: World, way: str, packet: int) -> None:
    await world.start()
    alice, bob = await world.client("alice", receipts=False), await world.client("bob")
    world.relay.swallow(way, packet)
    for text in numbered(5):
        await alice.send("bob", text)
    assert await take(bob, 5) == numbered(5)
    assert world.relay.swallowed == 1
    assert await alice.close() == 0
    await nothing_more(bob)


async def test_cuts_and_kills_lose_repeat_and_reorder_nothing(world: World) -> None:
    await world.start()
    names = ["alice", "bob", "carol"]
    clients = {name: await world.client(name) for name in names}
    count, seed = 60, random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    async def send(name: str) -> None:
        for number in range(count):
            for other in names:
                if other != name:
                    await clients[name].send(other, Payload.json([name, number]))
            await asyncio.sleep(chance.random() * 0.02)

    async def receive(name: str) -> list[tuple[str, int]]:
        got: list[tuple[str, int]] = []
        while len(got) < count * 2:
            delivery = await clients[name].recv()
            sender, number = delivery.json()
            got.append((sender, number))
            await delivery.ack()
        return got

    async def trouble() -> None:
        for number in range(12):
            await asyncio.sleep(chance.random() * 0.4)
            if number % 4 == 3:
                world.kill()
                await world.start()
            else:
                world.relay.cut()

    sending = asyncio.gather(*map(send, names), trouble())
    lists = await asyncio.gather(*map(receive, names))
    await sending
    for name, got in zip(names, lists, strict=True):
        for other in names:
            if other != name:
                assert [number for sender, number in got if sender == other] == list(range(count))
        await nothing_more(clients[name], 0.3)


async def test_close_waits_for_the_outbox_until_its_deadline(world: World) -> None:
    await world.start()
    world.relay.shut()
    alice = await world.client("alice")
    sent = await alice.send("bob", "hello")
    assert await alice.close(0.2) == 1
    await raises(ClosedError, sent.stored())
    await raises(ClosedError, alice.recv())
    again = await world.client("alice")
    assert [handle.id for handle in again.outbox()] == [sent.id]
    world.relay.is_open = True
    assert await again.close(30.0) == 0
    assert await take(await world.client("bob"), 1) == ["hello"]


async def test_an_expired_message_does_not_go_out(world: World) -> None:
    await world.start()
    world.relay.shut()
    alice = await world.client("alice")
    late = await alice.send("bob", "late", expires_after_s=0.1)
    await alice.send("bob", "in time", expires_after_s=600)
    await asyncio.sleep(0.2)
    world.relay.is_open = True
    await raises(RefusedError, late.stored())
    assert await take(await world.client("bob"), 1) == ["in time"]


async def test_a_restored_broker_is_told_as_a_new_epoch(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    world.relay.shut()
    world.stop()
    await world.command("backup", "--data", "data", "backup.tar")
    (world.directory / "data").rename(world.directory / "old")
    await world.command("restore", "backup.tar", "--data", "data")
    await world.start()
    world.relay.is_open = True
    await until(lambda: world.seen("alice", EpochChanged) and alice.state == Link.CONNECTED)


async def test_states_are_told(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    world.relay.cut()
    await until(lambda: [event.state for event in world.seen("alice", LinkChanged)].count(Link.CONNECTED) == 2)
    await alice.close()
    states = [event.state for event in world.seen("alice", LinkChanged)]
    assert states[:3] == [Link.CONNECTING, Link.CONNECTED, Link.WAITING]
    assert states[-1] == Link.CLOSED
