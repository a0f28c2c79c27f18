"""A message out of the own inbox, in the hands of the application."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from .arrivals import Key
from .packet import Packet
from .payload import unpack

REJECTED = 0x83
"""The reason code of a rejection that says no more."""
_REJECTIONS = frozenset({0x80, REJECTED, 0x87, 0x90, 0x91, 0x97, 0x99})


class Kind(Enum):
    """What a delivery is."""

    MESSAGE = "message"
    RECALL = "recall"
    """The sender takes a message back that was delivered before; ``about`` is its id."""
    EDIT = "edit"
    """The sender replaces a message that was delivered before by this one; ``about`` is its id."""
    NOTICE = "notice"
    """The broker says something."""


Answer = Callable[["Delivery", int], Awaitable[None]]
MarkRead = Callable[["Delivery"], Awaitable[None]]


class Delivery:
    """A message that came. It comes again, perhaps to a later process, until ``ack`` or ``reject`` has returned."""

    def __init__(self, packet: Packet, key: Key, sender: str, notice: str | None, answer: Answer, read: MarkRead) -> None:
        self._packet = packet
        self._answer = answer
        self._mark_read = read
        self._key = key
        self._copy: object = None
        self.sender = sender
        """Who sent it: the broker vouches for it. Empty where the broker is no inboxd."""
        self.kind = _kind(notice)
        """What it is: mostly a message."""
        self.about = _about(self.kind, packet)
        """Of a recall or an edit: the id of the message that it is about."""
        self.is_answered = False
        """Whether ``ack`` or ``reject`` has returned."""

    @property
    def id(self) -> str:
        """The sender's id of it."""
        return self._packet.first("id") or ""

    @property
    def seq(self) -> int | None:
        """Its place in this inbox."""
        return self._packet.number("seq")

    @property
    def at(self) -> int | None:
        """When the broker accepted it, in microseconds since 1970."""
        return self._packet.number("at")

    @property
    def user(self) -> str | None:
        """The user of the sender, where it is known and is not ``sender``."""
        return self._packet.first("user") if self.sender else None

    @property
    def payload(self) -> bytes:
        """Its bytes."""
        return self._packet.payload

    @property
    def content_type(self) -> str | None:
        """What the sender says that they are."""
        return self._packet.content_type

    @property
    def properties(self) -> list[tuple[str, str]]:
        """All user properties: the broker's first, then the sender's."""
        return list(self._packet.properties)

    def text(self) -> str:
        """The payload as text; raises ``UnicodeDecodeError`` where it is none."""
        return self.payload.decode()

    def json(self) -> Any:
        """The payload as JSON; raises ``ValueError`` where it is none."""
        return json.loads(self.payload)

    def message_pack(self) -> Any:
        """The payload as MessagePack; raises ``ValueError`` where it is none."""
        return unpack(self.payload)

    async def ack(self) -> None:
        """Takes it over: it will not come again.

        When this returns, that is durable here; the broker learns it now, or when it is there again.
        """
        await self._answer(self, 0)

    async def reject(self, code: int = REJECTED) -> None:
        """Does not want it: it leaves the inbox, and a sender who asked is told the code."""
        if code not in _REJECTIONS:
            raise ValueError(f"{code} is no reason code that says no in PUBACK")
        await self._answer(self, code)

    async def mark_read(self) -> None:
        """Tells the sender that it was read, and acknowledges it first where that was not done."""
        await self._mark_read(self)


def _kind(notice: str | None) -> Kind:
    """What later versions of the broker may say is a notice."""
    if notice is None:
        return Kind.MESSAGE
    return Kind(notice) if notice in ("recall", "edit") else Kind.NOTICE


def _about(kind: Kind, packet: Packet) -> str | None:
    identity = packet.first("id")
    if kind == Kind.EDIT:
        return packet.first("edit-of") or identity
    if kind != Kind.RECALL:
        return None
    try:
        told = json.loads(packet.payload)
    except ValueError:
        return identity
    recalled = told.get("id") if isinstance(told, dict) else None
    return recalled if isinstance(recalled, str) else identity
