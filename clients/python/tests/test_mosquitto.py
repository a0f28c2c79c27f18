"""A plain Mosquitto: what works goes on working, what does not is told."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket

from world import World, raises, take

from inboxd_client import Delivery, Inbox, Missing, RefusedError, State, UnsupportedError


async def start(world: World) -> asyncio.subprocess.Process:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    assert program, "mosquitto is missing: `apt-get install mosquitto`"
    log = world.directory / "mosquitto.log"
    await world.relay.start()
    while True:
        # It cannot be told to take a free port, and who else does may be faster.
        with socket.socket() as plug:
            plug.bind(("127.0.0.1", 0))
            port: int = plug.getsockname()[1]
        (world.directory / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        with log.open("w") as file:
            process = await asyncio.create_subprocess_exec(program, "-c", "mosquitto.conf", cwd=world.directory, stderr=file)
        while process.returncode is None and " running" not in log.read_text():
            await asyncio.sleep(0.02)
        if process.returncode is None:
            world.relay.target = port
            return process


async def test_a_plain_mosquitto_stores_and_gives_no_receipts(world: World) -> None:
    process = await start(world)
    try:
        alice, bob = await world.client("alice"), await world.client("bob")
        sent = await alice.send("bob", "hello")
        await sent.stored()
        for wait in (sent.delivered(), sent.read()):
            assert "not inboxd" in str(await raises(UnsupportedError, wait))
        assert sent.state == State.STORED
        assert "not inboxd" in world.seen("alice", Missing)[0].what
        assert await take(bob, 1) == ["hello"]
        absent = await alice.send("carol", "hello")
        assert "nobody is subscribed" in str(await raises(RefusedError, absent.stored()))
    finally:
        process.terminate()
        await process.wait()


async def test_a_receipt_that_anybody_could_have_made_is_not_believed(world: World) -> None:
    process = await start(world)
    try:
        alice, mallory = await world.client("alice"), await world.client("mallory")
        world.relay.swallow("to client", 4, 100)
        sent = await alice.send("alice", "hello")
        told = {"id": sent.id, "topic": "alice", "seq": 1, "state": "read"}
        claims = [("from", "$inboxd"), ("$inboxd", "receipt")]
        await mallory.send("alice", json.dumps({"notice": "receipt", "receipts": [told]}), properties=claims)
        assert {(await recv(alice)).sender for _ in range(2)} == {""}
        assert sent.state == State.QUEUED
    finally:
        process.terminate()
        await process.wait()


async def recv(inbox: Inbox) -> Delivery:
    delivery = await inbox.recv()
    await delivery.ack()
    return delivery
