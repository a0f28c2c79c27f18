"""The receiver's half: what arrives is handed over, answered, and remembered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from .arrivals import Arrivals, Key, Remembered, Verdict, notice_of
from .delivery import Delivery, Kind
from .errors import InboxError, StoreError
from .events import Events
from .link import Link
from .options import Options
from .packet import Opened, Packet
from .receipts import Receipt, parse
from .store import Change, Store

KIND = "in"
_LOG = logging.getLogger("inboxd_client")

Told = Callable[[list[Receipt]], Awaitable[None]]
WhenDurable = Callable[[], None]
Request = Callable[[str, bytes, WhenDurable | None], Awaitable[None]]


class Receiving:
    """The own inbox, as far as it has come here."""

    def __init__(self, options: Options, store: Store, events: Events, told: Told, request: Request) -> None:
        remembered = [(_key(key), Remembered(**record)) for key, record in store.load(KIND)]
        known = dict(store.load("meta")).get("broker", {})
        self._arrivals = Arrivals(options.remembered_max, remembered, known.get("epoch"), known.get("dropped", 0))
        self._store = store
        self._events = events
        self._told = told
        self._request = request
        self._link: Link | None = None
        self._in_hands: dict[Key, Delivery] = {}
        self._queue: asyncio.Queue[Delivery | InboxError] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    def attached(self, link: Link, opened: Opened) -> None:
        """A connection is there, and the inbox is read from its start."""
        self._link = link
        changed = self._arrivals.attached(opened.epoch)
        if changed:
            self._events.tell(changed)
        self._keep_known()

    def detached(self) -> None:
        """The connection has ended."""
        self._link = None

    async def next(self) -> Delivery:
        """The next message; raises why there will be none."""
        item = await self._queue.get()
        if isinstance(item, InboxError):
            self._queue.put_nowait(item)
            raise item
        return item

    def end(self, why: InboxError) -> None:
        """Nothing more will come."""
        self._queue.put_nowait(why)

    def arrived(self, link: Link, packet: Packet) -> None:
        """A packet came over ``link``."""
        verdict, event = self._arrivals.take(packet)
        if event:
            self._events.tell(event)
            self._keep_known()
        key = self._arrivals.key(packet)
        if verdict == Verdict.HOLE:
            link.drop("a message was lost on the way; it comes again over another connection")
        elif verdict == Verdict.RECEIPT:
            self._run(self._receipts(link, packet))
        elif verdict == Verdict.REPEAT:
            self._repeat(link, packet, key)
        elif verdict == Verdict.AGAIN:
            self._in_hands[key]._packet, self._in_hands[key]._copy = packet, link
        else:
            sender, notice = self._arrivals.sender(packet), notice_of(packet, self._arrivals.is_inboxd)
            delivery = Delivery(packet, key, sender, notice, self._answer, self._mark_read)
            delivery._copy = link
            self._in_hands[key] = delivery
            self._queue.put_nowait(delivery)

    async def settle(self) -> None:
        """Waits until everything that is known is durable."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, delivery: Delivery, code: int) -> None:
        """The answer of the application: durable here first, so that no repeat is taken for new, then to the broker."""
        if delivery.is_answered:
            return
        key = delivery._key
        remembered = self._arrivals.prepare(code)
        forgotten = self._arrivals.to_forget()
        if delivery.id:
            changes: list[Change] = [(KIND, _text(old), None) for old in forgotten]
            await self._store.commit([(KIND, _text(key), remembered.as_record()), *changes])
        if delivery.is_answered:
            return
        delivery.is_answered = True
        self._arrivals.remember(key, remembered)
        self._arrivals.forget(forgotten)
        self._in_hands.pop(key, None)
        if delivery._copy is self._link and self._link is not None:
            _puback(self._link, delivery._packet, code)

    async def _mark_read(self, delivery: Delivery) -> None:
        await self._answer(delivery, 0)
        if delivery.kind is not Kind.MESSAGE:
            return
        remembered = self._arrivals.answer_to(delivery._key)
        if remembered is None or remembered.is_read or remembered.code or not delivery.sender:
            return
        remembered.is_read = True
        await self._store.commit([(KIND, _text(delivery._key), remembered.as_record())])
        await self._tell_read(delivery._key)

    async def _tell_read(self, key: Key, when_durable: WhenDurable | None = None) -> None:
        sender, identity = key
        await self._request("$inbox/read", json.dumps({"from": sender, "ids": [identity]}).encode(), when_durable)

    def _repeat(self, link: Link, packet: Packet, key: Key) -> None:
        remembered = self._arrivals.answer_to(key)
        if remembered is None:
            return
        if not remembered.is_read:
            _puback(link, packet, remembered.code)
            return
        # The broker had not noted the acknowledgement, so it cannot have believed that it was read: it is told again, behind this one.
        self._run(self._tell_read(key, lambda: _puback(link, packet, 0)))

    async def _receipts(self, link: Link, packet: Packet) -> None:
        await self._told(parse(packet.payload))
        if link is self._link:
            _puback(link, packet, 0)

    def _keep_known(self) -> None:
        known = {"epoch": self._arrivals.epoch, "dropped": self._arrivals.dropped}
        self._run(self._store.commit([("meta", "broker", known)]))

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _puback(link: Link, packet: Packet, code: int) -> None:
    if packet.qos:
        link.answer(packet.packet_id, code)


async def _logged(work: Awaitable[None]) -> None:
    try:
        await work
    except (StoreError, InboxError) as error:
        _LOG.warning("%s", error)


def _text(key: Key) -> str:
    return json.dumps(key, ensure_ascii=False)


def _key(text: str) -> Key:
    sender, identity = json.loads(text)
    return (sender, identity)
