"""A broker as a process, a relay before it, and clients with stores of their own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from relay import Relay

from inboxd_client import Delivery, Event, Inbox, Options

_CONFIG = '[http]\nlisten = "off"\n'


def broker_program() -> str:
    """The broker to be tried."""
    program = os.environ.get("INBOX_TEST_BROKER")
    assert program, "set INBOX_TEST_BROKER to an inboxd, for example target/release/inboxd"
    return program


class World:
    """One broker, and everybody around it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.relay = Relay()
        self.events: dict[str, list[Event]] = {}
        self._broker: subprocess.Popen[str] | None = None
        self._clients: list[Inbox] = []
        self._config = _CONFIG
        self._ready = ""

    async def start(self, config: str = "") -> None:
        """Starts the broker, again after ``kill``."""
        if not self.relay.port:
            await self.relay.start()
            self._config += config
            (self.directory / "inboxd.toml").write_text(self._config)
        # Anything may happen to a client's log, but it has a file.
        log = (self.directory / "broker.log").open("a")
        arguments = ["--config", "inboxd.toml", "--data", "data", "--port", "0"]
        self._broker = subprocess.Popen([broker_program(), *arguments], cwd=self.directory, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._broker.stdout
        self._ready = await asyncio.get_running_loop().run_in_executor(None, self._broker.stdout.readline)
        self.relay.target = self.port_of("mqtt")

    def port_of(self, listener: str) -> int:
        """Where a listener of the broker's is."""
        found = re.search(rf" {listener}=127\.0\.0\.1:(\d+)", self._ready)
        assert found, f"the broker has no {listener}: see {self.directory}/broker.log"
        return int(found[1])

    def kill(self) -> None:
        """kill -9."""
        assert self._broker
        # Another program may have its port from now on.
        self.relay.target = 0
        self._broker.send_signal(signal.SIGKILL)
        self._broker.wait()
        assert self._broker.stdout
        self._broker.stdout.close()
        self._broker = None

    def stop(self) -> None:
        """An orderly end."""
        assert self._broker
        self.relay.target = 0
        self._broker.terminate()
        self._broker.communicate()
        self._broker = None

    async def command(self, *arguments: str, stdin: str = "") -> str:
        """Runs a command of the broker's program."""
        program = await asyncio.create_subprocess_exec(
            broker_program(), *arguments, cwd=self.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        output, _ = await program.communicate(stdin.encode())
        assert program.returncode == 0, output
        return output.decode()

    def options(self, client_id: str, **changes: Any) -> Options:
        """As clients have them, but with short pauses."""
        values: dict[str, Any] = {
            "client_id": client_id,
            "outbox": self.directory / f"{client_id}.inbox",
            "url": f"mqtt://127.0.0.1:{self.relay.port}",
            "reconnect_least_s": 0.05,
            "reconnect_most_s": 0.5,
            "answer_timeout_s": 1.0,
            **changes,
        }
        return Options(**values)

    async def client(self, client_id: str, **changes: Any) -> Inbox:
        """A client, whose events are in ``events``."""
        seen = self.events.setdefault(client_id, [])
        inbox = await Inbox.connect(self.options(client_id, **changes), seen.append)
        self._clients.append(inbox)
        return inbox

    def seen(self, client_id: str, kind: type[Any]) -> list[Any]:
        """The events of a kind that a client told."""
        return [event for event in self.events.get(client_id, ()) if isinstance(event, kind)]

    async def end(self) -> None:
        """Nothing stays behind."""
        for client in self._clients:
            await client.close(0.0)
        if self._broker:
            self.kill()
        await self.relay.end()


def numbered(count: int) -> list[str]:
    """So many texts."""
    return [f"message {number}" for number in range(count)]


async def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    while not condition():
        await asyncio.sleep(0.02)


async def take(inbox: Inbox, count: int) -> list[str]:
    """Receives and acknowledges so many messages."""
    texts = []
    for _ in range(count):
        delivery = await inbox.recv()
        texts.append(delivery.text())
        await delivery.ack()
    return texts


async def nothing_more(inbox: Inbox, for_s: float = 1.0) -> None:
    """Fails when another message comes."""
    try:
        delivery: Delivery = await asyncio.wait_for(inbox.recv(), for_s)
    except asyncio.TimeoutError:
        return
    raise AssertionError(f"{delivery.text()!r} came, and nothing was to come")


async def raises(kind: type[Exception], awaited: Awaitable[object]) -> Exception:
    """What ``awaited`` raises."""
    try:
        await awaited
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")
