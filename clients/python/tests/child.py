"""A process of its own, to be killed: ``child.py send|receive DIRECTORY PORT``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from inboxd_client import Inbox, Options


async def main(what: str, directory: str, port: str) -> None:
    name = "alice" if what == "send" else "bob"
    url = f"mqtt://127.0.0.1:{port}"
    inbox = await Inbox.connect(Options(name, Path(directory) / f"{name}.inbox", url, reconnect_least_s=0.05))
    if what == "send":
        for number in range(10):
            await inbox.send("bob", f"message {number}")
        print("sent", flush=True)
    else:
        for _ in range(2):
            await (await inbox.recv()).ack()
        print("acknowledged 2", flush=True)
    await asyncio.sleep(600)


asyncio.run(main(*sys.argv[1:]))
