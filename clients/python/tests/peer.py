"""One client of a crowd, a process of its own that does as it is told: ``peer.py NAME DIRECTORY PORT``.

It reads orders from standard input, a line each, and says on standard output what happened, in its order:

====================  ===============================================
``send TO TEXT``      ``sent TO TEXT``, when ``send`` has returned
``flush``             ``flushed``, when the broker has everything
``close``             ``closed LEFT``: so many were not sent
(a message came)      ``got FROM TEXT``, before it is acknowledged
====================  ===============================================
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from inboxd_client import Inbox, Options


def say(*words: object) -> None:
    """One line."""
    print(*words, flush=True)


async def obey(inbox: Inbox) -> None:
    """Carries out one order after the other, the last of which is to close."""
    loop = asyncio.get_running_loop()
    while order := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        if order[0] == "send":
            await inbox.send(order[1], order[2])
            say("sent", *order[1:])
        elif order[0] == "flush":
            assert await inbox.flushed()
            say("flushed")
        else:
            say("closed", await inbox.close())
            return


async def read(inbox: Inbox) -> None:
    """Acknowledges what comes."""
    async for delivery in inbox:
        say("got", delivery.sender, delivery.text())
        await delivery.ack()


async def main(name: str, directory: str, port: str) -> None:
    options = Options(
        name,
        Path(directory) / f"{name}.inbox",
        f"mqtt://127.0.0.1:{port}",
        heartbeat_first_s=0.5,
        heartbeat_shortest_s=0.5,
        reconnect_least_s=0.02,
        reconnect_most_s=0.5,
    )
    inbox = await Inbox.connect(options)
    say("ready")
    await asyncio.gather(obey(inbox), read(inbox))


asyncio.run(main(*sys.argv[1:]))
