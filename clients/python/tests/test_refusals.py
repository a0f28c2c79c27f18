"""What is refused: for now, for good, and at once. The same scenarios are in the JavaScript package."""

from __future__ import annotations

from world import World, numbered, raises, take, until

from inboxd_client import Held, Link, OutboxFullError, RefusedError, State, StoppedError


async def test_a_full_inbox_holds_its_queue_and_keeps_the_order(world: World) -> None:
    await world.start("[inbox]\nmessages_max = 3\n")
    alice = await world.client("alice")
    sent = [await alice.send("bob", text) for text in numbered(8)]
    await (await alice.send("carol", "passes")).stored()
    await until(lambda: len(world.seen("alice", Held)) >= 2)
    held = world.seen("alice", Held)[0]
    assert (held.to, held.code) == ("bob", 0x97) and "inbox is full" in held.why
    assert [one.state for one in sent].count(State.QUEUED) == 5
    bob = await world.client("bob")
    assert await take(bob, 8) == numbered(8)


async def test_a_final_refusal_fails_the_handle_and_lets_the_rest_go(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    refused = await alice.send("x" * 1100, "to nobody")
    error = await raises(RefusedError, refused.stored())
    assert isinstance(error, RefusedError) and error.code == 0x90
    assert refused.failure is error
    await raises(RefusedError, refused.delivered())
    await (await alice.send("bob", "to somebody")).stored()
    assert await alice.close() == 0


async def test_who_is_not_wanted_is_told(world: World) -> None:
    await world.start()
    alice, bob = await world.client("alice"), await world.client("bob")
    await bob._request("$inbox/block", b'{"add":["client:alice"]}')
    await bob._sending.emptied()
    error = await raises(RefusedError, (await alice.send("bob", "hello")).stored())
    assert isinstance(error, RefusedError) and error.code == 0x87


async def test_a_name_without_an_inbox_is_refused_at_once(world: World) -> None:
    await world.start()
    alice = await world.client("alice")
    for name in ("", "a/b", "a+", "#"):
        await raises(ValueError, alice.send(name, "hello"))


async def test_a_payload_that_is_too_large_fails_alone(world: World) -> None:
    await world.start('[mqtt]\nmessage_bytes_max = "1KiB"\n')
    alice, bob = await world.client("alice"), await world.client("bob")
    large = await alice.send("bob", b"x" * 2000)
    small = await alice.send("bob", "small")
    error = await raises(RefusedError, large.stored())
    assert isinstance(error, RefusedError) and error.code == 0x95
    await small.stored()
    assert await take(bob, 1) == ["small"]


async def test_a_wrong_password_stops_with_the_reason(world: World) -> None:
    await world.command("passwd", "users", "alice", stdin="right horse battery\n")
    await world.start('[auth]\npassword_file = "users"\n')
    error = await raises(StoppedError, world.client("alice", username="alice", password="wrong"))
    assert "0x86" in str(error)
    alice = await world.client("alice", username="alice", password="right horse battery")
    await (await alice.send("alice", "hello")).stored()


async def test_of_two_connections_with_one_client_id_one_stops(world: World) -> None:
    await world.start()
    first = await world.client("alice")
    second = await world.client("alice", outbox=world.directory / "second.inbox")
    await until(lambda: Link.STOPPED in (first.state, second.state))
    first, second = (first, second) if first.state == Link.STOPPED else (second, first)
    error = await raises(StoppedError, first.recv())
    assert "0x8E" in str(error)
    await raises(StoppedError, first.send("bob", "hello"))
    await until(lambda: second.state == Link.CONNECTED)


async def test_a_full_outbox_is_an_error(world: World) -> None:
    await world.start()
    world.relay.shut()
    alice = await world.client("alice", outbox_messages_max=3)
    for text in numbered(3):
        await alice.send("bob", text)
    await raises(OutboxFullError, alice.send("bob", "one too many"))
    world.relay.is_open = True
    bob = await world.client("bob")
    assert await take(bob, 3) == numbered(3)
    await (await alice.send("bob", "again")).stored()
