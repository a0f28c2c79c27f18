"""The blocking twin."""

from __future__ import annotations

import asyncio

import pytest
from world import World

from inboxd_client import BlockingInbox, ClosedError, StoppedError


async def test_the_blocking_twin_sends_and_receives(world: World) -> None:
    await world.start()

    def work() -> None:
        with BlockingInbox.connect(world.options("alice")) as alice, BlockingInbox.connect(world.options("bob")) as bob:
            sent = alice.send("bob", "hello")
            sent.stored(60.0)
            delivery = bob.recv(60.0)
            assert (delivery.text(), delivery.sender, delivery.id) == ("hello", "alice", sent.id)
            delivery.ack()
            with pytest.raises(TimeoutError):
                bob.recv(0.2)
            assert bob.close() == 0
            assert list(bob) == []
        with pytest.raises(ClosedError):
            alice.send("bob", "too late")

    await asyncio.get_running_loop().run_in_executor(None, work)


async def test_the_blocking_twin_raises_why_it_stops(world: World) -> None:
    await world.command("passwd", "users", "alice", stdin="right horse battery\n")
    await world.start('[auth]\npassword_file = "users"\n')

    def work() -> None:
        with pytest.raises(StoppedError, match="0x86"):
            BlockingInbox.connect(world.options("alice", username="alice", password="wrong"))

    await asyncio.get_running_loop().run_in_executor(None, work)
