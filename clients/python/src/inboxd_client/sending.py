"""The sender's half: the outbox, the handles, and what PUBACKs and receipts say about both."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Iterable

from .errors import ForgottenError, InboxError, RefusedError, StoreError, UnsupportedError
from .events import Events, Held, Missing, Progress
from .link import Link
from .message import Message, State
from .options import Options
from .outbox import Answer, Outbox
from .packet import Answered, Opened
from .reasons import explain_publish
from .receipts import Receipt
from .sent import Sent
from .store import Change, Store

KIND = "out"
_LOG = logging.getLogger("inboxd_client")
_NOT_INBOXD = "this broker is not inboxd: it gives no receipts, so nobody knows whether a message was delivered or read"
_OLD = "this inboxd gives no receipts; it must be updated before anybody knows whether a message was delivered or read"


class Sending:
    """All messages of this client that are not done with."""

    def __init__(self, options: Options, store: Store, events: Events) -> None:
        kept = [Message.from_record(key, record) for key, record in store.load(KIND)]
        kept.sort(key=lambda message: message.order)
        self._options = options
        self._store = store
        self._events = events
        self._outbox = Outbox(options.outbox_limits, (it for it in kept if it.state == State.QUEUED))
        self._order = max((message.order for message in kept), default=0)
        self._open = {message.id: (message, Sent(message)) for message in kept}
        self._in_flight: dict[int, Message] = {}
        self._link: Link | None = None
        self._is_inboxd = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._is_over = False
        self.changed = asyncio.Event()
        """Set when it is to be looked again at ``wake_at``."""

    def __len__(self) -> int:
        return len(self._outbox)

    def handles(self) -> list[Sent]:
        """Of everything that is still to come further, oldest first."""
        return [sent for message, sent in self._open.values() if not message.is_request]

    async def send(self, message: Message, when_durable: Callable[[], None] | None = None) -> Sent:
        """Takes a message; it is durable in the outbox when this returns. ``when_durable`` is called before it goes out."""
        self._order += 1
        message.order = self._order
        self._outbox.add(message)
        sent = Sent(message)
        self._open[message.id] = (message, sent)
        try:
            await self._store.commit([(KIND, message.id, message.as_record())])
        except BaseException:
            self._drop(message)
            raise
        if when_durable:
            when_durable()
        message.durable = True
        self.pump()
        return sent

    async def take_back(self, topic: str, identity: str) -> bool:
        """Takes a message out of the outbox that was never published; that is durable when this returns. Tells whether there was one."""
        message = self._outbox.find(topic, identity)
        if message is None or message.may_be_out:
            return False
        self._outbox.remove(message)
        change = self._give_up(message, RefusedError("it was taken back before it was sent"))
        self.pump()
        await self._store.commit([change])
        return True

    def queue_behind(self, topic: str, identity: str) -> str:
        """Where a request about a message must wait: behind it, while it is in the outbox."""
        return topic if self._outbox.is_about(topic, identity) else ""

    def attached(self, link: Link, opened: Opened) -> None:
        """A connection is there."""
        self._link = link
        self._is_inboxd = opened.epoch is not None
        self._outbox.connected(min(opened.receive_maximum, self._options.window))
        if not self._is_inboxd:
            self._events.tell(Missing(_NOT_INBOXD))
        self.pump()

    def detached(self) -> None:
        """The connection has ended."""
        self._link = None
        self._in_flight.clear()
        self._outbox.disconnected()

    def pump(self) -> None:
        """Sends what may go out."""
        self.changed.set()
        if self._link is None:
            return
        while due := self._outbox.due(time.monotonic()):
            for message in due:
                self._publish(self._link, message)

    def wake_at(self, now: float) -> float | None:
        """When ``pump`` or ``is_overdue`` has something to do next."""
        return self._outbox.wake_at(now)

    def is_overdue(self, now: float) -> bool:
        """Whether an answer is missing for too long."""
        return self._outbox.is_overdue(now)

    def answered(self, answered: Answered) -> None:
        """A PUBACK came."""
        message = self._in_flight.pop(answered.packet_id, None)
        if message is None or message.state != State.QUEUED or message.id not in self._open:
            return
        verdict, pause_s = self._outbox.answered(message, answered.code, time.monotonic(), random.random)
        if verdict == Answer.STORED:
            self._was_stored(message, answered)
        else:
            why = explain_publish(answered.code, answered.reason)
            if verdict == Answer.REFUSED:
                self._fail(message, RefusedError(why, answered.code))
            else:
                self._events.tell(Held(message.to, answered.code, why, pause_s))
        self.pump()

    def too_large(self) -> None:
        """The broker ended the connection because of the size of a packet."""
        message = self._outbox.largest_in_flight()
        if message:
            self._fail(message, RefusedError(explain_publish(0x95, None), 0x95))

    async def told(self, receipts: Iterable[Receipt]) -> None:
        """Receipts came. What they say is durable when this returns."""
        changes: list[Change] = []
        for receipt in receipts:
            message, _ = self._open.get(receipt.id, (None, None))
            if message is None or message.topic != receipt.topic or not message.receipts:
                continue
            self._outbox.remove(message)
            message.seq = receipt.seq if message.seq is None else message.seq
            if receipt.state is None:
                self._advance(message, State.STORED)
                changes.append(self._give_up(message, RefusedError(receipt.why, receipt.code)))
            else:
                changes.append(self._advance(message, receipt.state))
        self.pump()
        if changes:
            await self._store.commit(changes)

    def interrupt(self, why: InboxError) -> None:
        """Nobody follows messages any more; they stay in the store."""
        self._is_over = True
        self._emptied.set()
        for _, sent in self._open.values():
            sent._interrupt(why)

    async def emptied(self) -> bool:
        """Waits until the outbox is empty; tells whether it is, or nothing will be sent any more."""
        while len(self._outbox) and not self._is_over:
            self._emptied.clear()
            await self._emptied.wait()
        return not len(self._outbox)

    async def settle(self) -> None:
        """Waits until everything that is known is durable."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _publish(self, link: Link, message: Message) -> None:
        left = None if message.expires_at is None else math.ceil(message.expires_at - time.time())
        if left is not None and left <= 0:
            self._fail(message, RefusedError("it expired before it could be sent"))
            return
        properties, reply = self._asked(message)
        self._in_flight[link.publish(message, properties, left, reply)] = message

    def _asked(self, message: Message) -> tuple[list[tuple[str, str]], str | None]:
        """The user properties and the response topic of a publish."""
        if message.is_request:
            return message.properties, None
        properties = [("id", message.id)]
        if message.receipts:
            properties.append(("receipt", message.receipts))
        reply = self._options.inbox_of(self._options.client_id) if message.receipts else None
        return properties + message.properties, reply

    def _was_stored(self, message: Message, answered: Answered) -> None:
        seq, state = answered.first("seq"), answered.first("state")
        self._open[message.id][1]._answer = state if self._is_inboxd else None
        message.seq = int(seq) if seq and seq.isdigit() else message.seq
        reached = State.DELIVERED if state == "delivered" and self._is_inboxd else State.STORED
        change = self._advance(message, reached)
        if message.receipts and not (state and self._is_inboxd):
            change = self._give_up(message, UnsupportedError(_OLD if self._is_inboxd else _NOT_INBOXD))
        self._keep(change, *self._forget_oldest())

    def _advance(self, message: Message, state: State) -> Change:
        _, sent = self._open[message.id]
        if state > message.state:
            message.state = state
            sent._advanced()
            self._events.tell(Progress(message.id, message.to, state))
        if message.state >= message.last_state:
            return self._done(message)
        self._tell_emptied()
        return (KIND, message.id, message.as_record())

    def _give_up(self, message: Message, why: InboxError) -> Change:
        _, sent = self._open[message.id]
        sent._fail(why)
        self._events.tell(Progress(message.id, message.to, message.state, str(why)))
        return self._done(message)

    def _fail(self, message: Message, why: InboxError) -> None:
        self._outbox.remove(message)
        self._keep(self._give_up(message, why))

    def _done(self, message: Message) -> Change:
        _, sent = self._open.pop(message.id)
        sent._interrupt(UnsupportedError("nobody was asked to tell more about it"))
        self._tell_emptied()
        return (KIND, message.id, None)

    def _drop(self, message: Message) -> None:
        """It could not be made durable, or nobody waited for that."""
        self._outbox.remove(message)
        self._open.pop(message.id, None)
        self._keep((KIND, message.id, None))
        self._tell_emptied()
        self.pump()

    def _forget_oldest(self) -> list[Change]:
        if len(self._open) - len(self._outbox) <= self._options.followed_max:
            return []
        oldest = next(message for message, _ in self._open.values() if message.state > State.QUEUED)
        why = "too many newer messages wait for receipts; this one is not followed any more"
        return [self._give_up(oldest, ForgottenError(why))]

    def _tell_emptied(self) -> None:
        if not len(self._outbox):
            self._emptied.set()

    def _keep(self, *changes: Change) -> None:
        """Makes durable what need not be so at once: whoever forgets it learns it again."""
        task = asyncio.get_running_loop().create_task(self._commit(changes))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _commit(self, changes: Iterable[Change]) -> None:
        try:
            await self._store.commit(changes)
        except StoreError as error:
            _LOG.warning("%s", error)
