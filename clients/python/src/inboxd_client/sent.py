"""The handle of a message that was sent: what has become of it, and waiting for what will."""

from __future__ import annotations

import asyncio

from .errors import InboxError
from .message import Message, State


class Sent:
    """A message that is in the outbox, or was. Made by ``Inbox.send``."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._failure: InboxError | None = None
        self._interruption: InboxError | None = None
        self._answer: str | None = None
        self._waiting: list[tuple[State, asyncio.Future[None]]] = []

    @property
    def id(self) -> str:
        """128 random bits, by which the broker and the recipient know a repeat."""
        return self._message.id

    @property
    def to(self) -> str:
        """The recipient."""
        return self._message.to

    @property
    def state(self) -> State:
        """How far it has come, as far as is known."""
        return self._message.state

    @property
    def seq(self) -> int | None:
        """Its place in the recipient's inbox, when it is stored and the broker tells."""
        return self._message.seq

    @property
    def failure(self) -> InboxError | None:
        """Why it will come no further."""
        return self._failure

    async def stored(self) -> None:
        """Waits until it is safe with the broker.

        Raises ``RefusedError`` where it never will be, ``StoppedError`` or ``ClosedError`` where this client gave up waiting.
        """
        await self._reached(State.STORED)

    async def delivered(self) -> None:
        """Waits until the recipient has acknowledged it. Raises ``UnsupportedError`` where nobody would tell, too."""
        await self._reached(State.DELIVERED)

    async def read(self) -> None:
        """Waits until the recipient's application says that it was read. A recipient need never say so."""
        await self._reached(State.READ)

    async def _reached(self, state: State) -> None:
        if self._message.state >= state:
            return
        problem = self._failure or self._interruption
        if problem:
            raise problem
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((state, future))
        await future

    def _advanced(self) -> None:
        """The state of the message went up."""
        waiting, self._waiting = self._waiting, []
        for state, future in waiting:
            if state > self._message.state:
                self._waiting.append((state, future))
            elif not future.done():
                future.set_result(None)

    def _fail(self, why: InboxError) -> None:
        """It will come no further."""
        self._failure = self._failure or why
        self._interrupt(why)

    def _interrupt(self, why: InboxError) -> None:
        """It may come further, but this client does not follow it now."""
        self._interruption = why
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(why)
