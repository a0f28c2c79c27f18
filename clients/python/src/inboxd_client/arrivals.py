"""What arrives, as a state machine: repeats are known, order is checked, losses are told. It does no I/O.

The promise: every message is handed over once to an application that acknowledges it, in the order of ``seq``. A repeat is known by
``from`` and ``id``. ``prev`` proves that nothing was lost on the way; where it does not fit, the connection is given up, and the broker
sends again what it has no acknowledgement for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

from .packet import Packet
from .receipts import BROKER, is_receipt

Key = tuple[str, str]
"""Sender and id of a message."""


class Verdict(Enum):
    """What is to be done with a packet."""

    NEW = "new"
    """Hand it over."""
    AGAIN = "again"
    """It is with the application, which has not answered yet: the answer goes to this copy."""
    REPEAT = "repeat"
    """It was answered before: answer the same."""
    RECEIPT = "receipt"
    """The broker tells about a message of ours."""
    HOLE = "hole"
    """Something before it was lost on the way: connect again."""


@dataclass
class Remembered:
    """An answer that was given, for repeats."""

    code: int
    order: int
    is_read: bool = False

    def as_record(self) -> dict[str, Any]:
        """For the store."""
        return {"code": self.code, "order": self.order, "is_read": self.is_read}


@dataclass(frozen=True)
class Dropped:
    """Messages that this client will never see, because they left the inbox unread: expired, overflowed or purged."""

    messages: int


@dataclass(frozen=True)
class Gap:
    """A delivery did not follow the one that it is said to follow; what is missing comes again over another connection."""

    after: int | None
    """The seq of the last delivery."""
    prev: int | None
    """The seq of the one before this."""


@dataclass(frozen=True)
class EpochChanged:
    """The broker's store is another one, or was restored: what it had acknowledged may be gone, and old mail may come again."""

    before: str
    now: str


class Arrivals:
    """What this client has had, and what it has in its hands."""

    def __init__(
        self,
        remembered_max: int,
        remembered: Iterable[tuple[Key, Remembered]] = (),
        epoch: str | None = None,
        dropped: int = 0,
    ) -> None:
        self._max = remembered_max
        self._remembered = dict(sorted(remembered, key=lambda item: item[1].order))
        self._order = max((it.order for it in self._remembered.values()), default=0)
        self._pending: set[Key] = set()
        self._attachment = 0
        self._last_seq: int | None = None
        self._hole_at: int | None = None
        self._is_inboxd = False
        self.epoch = epoch
        self.dropped = dropped

    @property
    def is_inboxd(self) -> bool:
        """Whether the broker of this connection is one."""
        return self._is_inboxd

    def attached(self, epoch: str | None) -> EpochChanged | None:
        """A connection was made, and the inbox is read from its start."""
        self._attachment += 1
        self._last_seq = None
        self._is_inboxd = epoch is not None
        before, self.epoch = self.epoch, epoch or self.epoch
        if before is None or epoch is None or before == epoch:
            return None
        self.dropped = 0
        return EpochChanged(before, epoch)

    def key(self, packet: Packet) -> Key:
        """By what a repeat of it is known. Without an id, nothing is a repeat."""
        identity = packet.first("id")
        if identity is None:
            return ("", f"\0{self._attachment}.{packet.packet_id}")
        notice = notice_of(packet, self._is_inboxd)
        # What the broker says about a message may have the id of that message.
        return (self.sender(packet), identity if notice is None else f"\0{notice} {packet.first('seq')}")

    def sender(self, packet: Packet) -> str:
        """Who sent it. Only an inboxd knows; with another broker, anybody could say anything."""
        return (packet.first("from") or "") if self._is_inboxd else ""

    def take(self, packet: Packet) -> tuple[Verdict, Dropped | Gap | None]:
        """A packet came."""
        if self._is_inboxd and self._is_behind_a_hole(packet):
            return Verdict.HOLE, Gap(self._last_seq, packet.number("prev"))
        dropped = self._missed(packet) if self._is_inboxd else None
        if is_receipt(packet, self._is_inboxd):
            return Verdict.RECEIPT, dropped
        key = self.key(packet)
        if key in self._remembered:
            return Verdict.REPEAT, dropped
        if key in self._pending:
            return Verdict.AGAIN, dropped
        self._pending.add(key)
        return Verdict.NEW, dropped

    def answer_to(self, key: Key) -> Remembered | None:
        """What was answered to it before."""
        return self._remembered.get(key)

    def prepare(self, code: int) -> Remembered:
        """What is to be remembered of an answer; it is made durable before anybody acts on it."""
        self._order += 1
        return Remembered(code, self._order)

    def remember(self, key: Key, remembered: Remembered) -> None:
        """The application's answer is durable: from now on the message is a repeat."""
        self._pending.discard(key)
        self._remembered[key] = remembered

    def to_forget(self) -> list[Key]:
        """What is more than may be remembered, the oldest first."""
        return list(islice(self._remembered, max(0, len(self._remembered) - self._max)))

    def forget(self, keys: Iterable[Key]) -> None:
        """These would be taken for new."""
        for key in keys:
            self._remembered.pop(key, None)

    def _is_behind_a_hole(self, packet: Packet) -> bool:
        seq, prev = packet.number("seq"), packet.number("prev")
        fits = prev is None or prev == self._last_seq
        # The same hole twice is not the network's: going on is better than never getting any further.
        if fits or seq == self._hole_at:
            self._last_seq = seq if seq is not None else self._last_seq
            return False
        self._hole_at = seq
        return True

    def _missed(self, packet: Packet) -> Dropped | None:
        dropped = packet.number("dropped") or 0
        if dropped <= self.dropped:
            return None
        missed, self.dropped = dropped - self.dropped, dropped
        return Dropped(missed)


def notice_of(packet: Packet, is_inboxd: bool) -> str | None:
    """What kind of word of the broker's this is (``notice``, ``recall``, ``edit``), if it is one."""
    return packet.first(BROKER) if is_inboxd else None
