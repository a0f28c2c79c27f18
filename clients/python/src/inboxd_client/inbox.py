"""``Inbox``: the client. What it promises is in the README."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from .connection import Connection
from .delivery import Delivery
from .errors import ClosedError
from .events import Events, Link, Listener
from .message import Message, new_id
from .options import Options, check_name
from .payload import JSON, Payload
from .receiving import Receiving
from .requests import Recalled, Requests
from .sending import Sending
from .sent import Sent
from .store import Store


class Inbox:
    """An inbox of one's own, and messages to those of others. Made by ``connect``; an asynchronous context and iterator.

    All of it belongs to one event loop.
    """

    def __init__(self, options: Options, listener: Listener | None = None) -> None:
        """Use ``connect``."""
        self._options = options
        self._events = Events()
        if listener:
            self._events.listen(listener)
        self._store = Store(options.outbox, options.client_id)
        self._sending = Sending(options, self._store, self._events)
        self._receiving = Receiving(options, self._store, self._events, self._sending.told, self._request)
        self._requests = Requests(options, self._sending)
        self._connection = Connection(options, self._events, self._sending, self._receiving)
        self._closing: asyncio.Task[int] | None = None

    @classmethod
    async def connect(cls, options: Options, listener: Listener | None = None) -> Inbox:
        """Opens the outbox, and connects.

        Where the broker cannot be reached this returns all the same: messages wait in the outbox, and it is tried again. Raises
        ``StoppedError`` where the broker says a final no, as to a wrong password, and ``StoreError`` where the file cannot be used.
        """
        inbox = cls(options, listener)
        try:
            await inbox._connection.tried()
        except BaseException:
            await inbox.close(0.0)
            raise
        return inbox

    @property
    def state(self) -> Link:
        """Where the connection is."""
        return self._connection.state

    async def send(
        self,
        to: str,
        payload: bytes | str | Payload,
        *,
        properties: Sequence[tuple[str, str]] = (),
        expires_after_s: float | None = None,
        collapse: str | None = None,
    ) -> Sent:
        """Takes a message for ``to``. When this returns, it is durable in the outbox, and will be sent whatever happens to this process.

        ``collapse`` is a key: the message replaces an earlier one with the same key that ``to`` was not sent yet.
        Raises ``OutboxFullError``, ``StoreError``, and ``StoppedError`` or ``ClosedError`` where nothing will be sent any more.
        """
        self._check_open()
        whole = Payload.of(payload)
        message = Message(
            id=new_id(),
            to=check_name(to),
            topic=self._options.inbox_of(to),
            payload=whole.data,
            order=0,
            content_type=whole.content_type,
            properties=[*([] if collapse is None else [("collapse", collapse)]), *properties],
            receipts="delivered,read" if self._options.receipts else "",
            expires_at=None if expires_after_s is None else time.time() + expires_after_s,
        )
        return await self._sending.send(message)

    async def recall(self, to: str, id: str) -> Recalled:  # noqa: A002
        """Takes a message back that was sent to ``to`` with this id, and waits until that is done.

        It is gone where the recipient was not sent it; otherwise the recipient finds a delivery of kind ``RECALL``. Raises
        ``RefusedError``, and ``UnsupportedError`` where the broker cannot do it.
        """
        self._check_open()
        return await self._requests.recall(to, id)

    async def edit(
        self,
        to: str,
        id: str,  # noqa: A002
        payload: bytes | str | Payload,
        *,
        properties: Sequence[tuple[str, str]] = (),
        expires_after_s: float | None = None,
    ) -> Recalled:
        """Replaces a message that was sent to ``to`` with this id, and waits until that is done.

        The recipient who was sent it finds a delivery of kind ``EDIT`` with the new one. Raises as ``recall``.
        """
        self._check_open()
        return await self._requests.edit(to, id, Payload.of(payload), properties, expires_after_s)

    async def mark_read(self, sender: str, ids: Iterable[str]) -> Sent:
        """Says that everything from ``sender`` with these ids was read."""
        self._check_open()
        return await self._requests.tell("read", {"from": sender, "ids": list(ids)})

    async def mark_read_up_to(self, seq: int) -> Sent:
        """Says that everything up to this seq was read."""
        self._check_open()
        return await self._requests.tell("read", {"up_to": seq})

    async def tell_when_read(self, is_told: bool) -> Sent:
        """Switches read receipts of this inbox on or off: senders are not told any more what was read."""
        self._check_open()
        return await self._requests.tell("receipts", {"read": is_told})

    async def recv(self) -> Delivery:
        """The next message. Raises ``StoppedError`` or ``ClosedError`` where none will come."""
        return await self._receiving.next()

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self._all()

    def outbox(self) -> list[Sent]:
        """The handles of all messages that are still to come further, those of earlier processes among them; the oldest first."""
        return self._sending.handles()

    async def flushed(self) -> bool:
        """Waits until the broker has everything that was sent. False: the client stopped or was closed before."""
        return await self._sending.emptied()

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Calls ``listener`` with every event from now on; the returned function ends that."""
        return self._events.listen(listener)

    async def close(self, deadline_s: float = 10.0) -> int:
        """Waits until the outbox is empty, for ``deadline_s`` at most, and disconnects. Tells how many messages are left."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(deadline_s))
        return await asyncio.shield(self._closing)

    async def __aenter__(self) -> Inbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _close(self, deadline_s: float) -> int:
        if not self._connection.stopped:
            await asyncio.wait({asyncio.ensure_future(self._sending.emptied())}, timeout=deadline_s)
        await self._connection.close(ClosedError("the client was closed"))
        await self._receiving.settle()
        await self._sending.settle()
        await self._store.close()
        return len(self._sending)

    async def _all(self) -> AsyncIterator[Delivery]:
        while True:
            try:
                yield await self.recv()
            except ClosedError:
                return

    async def _request(self, topic: str, payload: bytes, when_durable: Callable[[], None] | None = None) -> None:
        """Asks the broker something about the own inbox, through the outbox: it is asked whatever happens to this process."""
        self._check_open()
        await self._sending.send(Message(new_id(), topic, topic, payload, 0, JSON), when_durable)

    def _check_open(self) -> None:
        if self._closing:
            raise ClosedError("the client was closed")
        if self._connection.stopped:
            raise self._connection.stopped
