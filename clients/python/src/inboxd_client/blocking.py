"""The same for programs without asyncio: the calls block. An event loop in a thread of its own does the work."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from . import inbox as asynchronous
from .delivery import REJECTED
from .delivery import Delivery as AsyncDelivery
from .errors import ClosedError
from .events import Listener
from .message import State
from .options import Options
from .payload import Payload
from .requests import Recalled
from .sent import Sent as AsyncSent

T = TypeVar("T")


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="inboxd-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Runs ``work`` there; raises ``TimeoutError`` when it takes too long."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError as error:
            future.cancel()
            raise TimeoutError("it took too long") from error

    def stop(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Sent:
    """As the asynchronous one; each wait takes a timeout in seconds, and raises ``TimeoutError``."""

    def __init__(self, sent: AsyncSent, loop: _Loop) -> None:
        self._sent = sent
        self._loop = loop
        self.id = sent.id
        self.to = sent.to

    @property
    def state(self) -> State:
        """How far it has come."""
        return self._sent.state

    @property
    def seq(self) -> int | None:
        """Its place in the recipient's inbox."""
        return self._sent.seq

    def stored(self, timeout_s: float | None = None) -> None:
        """Waits until it is safe with the broker."""
        self._loop.run(self._sent.stored(), timeout_s)

    def delivered(self, timeout_s: float | None = None) -> None:
        """Waits until the recipient has acknowledged it."""
        self._loop.run(self._sent.delivered(), timeout_s)

    def read(self, timeout_s: float | None = None) -> None:
        """Waits until the recipient's application says that it was read."""
        self._loop.run(self._sent.read(), timeout_s)


class Delivery:
    """As the asynchronous one."""

    def __init__(self, delivery: AsyncDelivery, loop: _Loop) -> None:
        self._delivery = delivery
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        """``sender``, ``id``, ``seq``, ``payload``, ``text()`` and all else that does not wait."""
        return getattr(self._delivery, name)

    def ack(self) -> None:
        """Takes it over: it will not come again."""
        self._loop.run(self._delivery.ack())

    def reject(self, code: int = REJECTED) -> None:
        """Does not want it."""
        self._loop.run(self._delivery.reject(code))

    def mark_read(self) -> None:
        """Tells the sender that it was read."""
        self._loop.run(self._delivery.mark_read())


class BlockingInbox:
    """As ``Inbox``, with calls that block; a context and an iterator. Listeners are called in its thread."""

    def __init__(self, inbox: asynchronous.Inbox, loop: _Loop) -> None:
        """Use ``connect``."""
        self._inbox = inbox
        self._loop = loop
        self._is_closed = False

    @classmethod
    def connect(cls, options: Options, listener: Listener | None = None) -> BlockingInbox:
        """Opens the outbox, and connects."""
        loop = _Loop()
        try:
            return cls(loop.run(asynchronous.Inbox.connect(options, listener)), loop)
        except BaseException:
            loop.stop()
            raise

    def send(
        self,
        to: str,
        payload: bytes | str | Payload,
        *,
        properties: Sequence[tuple[str, str]] = (),
        expires_after_s: float | None = None,
        collapse: str | None = None,
    ) -> Sent:
        """Takes a message; it is durable in the outbox when this returns."""
        work = self._inbox.send(to, payload, properties=properties, expires_after_s=expires_after_s, collapse=collapse)
        return Sent(self._run(work), self._loop)

    def recall(self, to: str, id: str, timeout_s: float | None = None) -> Recalled:  # noqa: A002
        """Takes a message back; raises ``TimeoutError``, after which it is asked all the same."""
        return self._run(self._inbox.recall(to, id), timeout_s)

    def edit(
        self,
        to: str,
        id: str,  # noqa: A002
        payload: bytes | str | Payload,
        *,
        properties: Sequence[tuple[str, str]] = (),
        expires_after_s: float | None = None,
        timeout_s: float | None = None,
    ) -> Recalled:
        """Replaces a message; raises ``TimeoutError``, after which it is asked all the same."""
        work = self._inbox.edit(to, id, payload, properties=properties, expires_after_s=expires_after_s)
        return self._run(work, timeout_s)

    def mark_read(self, sender: str, ids: Iterable[str]) -> Sent:
        """Says that everything from ``sender`` with these ids was read."""
        return Sent(self._run(self._inbox.mark_read(sender, ids)), self._loop)

    def mark_read_up_to(self, seq: int) -> Sent:
        """Says that everything up to this seq was read."""
        return Sent(self._run(self._inbox.mark_read_up_to(seq)), self._loop)

    def tell_when_read(self, is_told: bool) -> Sent:
        """Switches read receipts of this inbox on or off."""
        return Sent(self._run(self._inbox.tell_when_read(is_told)), self._loop)

    def recv(self, timeout_s: float | None = None) -> Delivery:
        """The next message; raises ``TimeoutError``."""
        return Delivery(self._run(self._inbox.recv(), timeout_s), self._loop)

    def __iter__(self) -> Iterator[Delivery]:
        while True:
            try:
                yield self.recv()
            except ClosedError:
                return

    def outbox(self) -> list[Sent]:
        """The handles of all messages that are still to come further; the oldest first."""
        return [Sent(sent, self._loop) for sent in self._inbox.outbox()]

    def flushed(self, timeout_s: float | None = None) -> bool:
        """Waits until the broker has everything that was sent; raises ``TimeoutError``."""
        return self._run(self._inbox.flushed(), timeout_s)

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Calls ``listener`` with every event from now on."""
        return self._inbox.on_event(listener)

    def close(self, deadline_s: float = 10.0) -> int:
        """Waits for the outbox, and disconnects."""
        if self._is_closed:
            return 0
        left = self._loop.run(self._inbox.close(deadline_s))
        self._is_closed = True
        self._loop.stop()
        return left

    def __enter__(self) -> BlockingInbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        if self._is_closed:
            work.close()
            raise ClosedError("the client was closed")
        return self._loop.run(work, timeout_s)
