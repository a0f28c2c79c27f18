"""What a client asks of the broker, under ``$inbox/``: about messages that it sent, and about its own inbox.

The promise: a request about a message that is in the outbox still waits behind it, so that it never gets there first; and all of them go
through the outbox, so they are made whatever happens to this process.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import Enum
from typing import Any

from .errors import UnsupportedError
from .message import Message, new_id
from .options import Options, check_name
from .payload import JSON, Payload
from .sending import Sending
from .sent import Sent


class Recalled(Enum):
    """What became of a recall or an edit."""

    BEFORE_SENDING = "before sending"
    """It had not left the outbox."""
    UNDELIVERED = "undelivered"
    """It was in the inbox: the recipient never sees it, or sees the new one only."""
    RECIPIENT_TOLD = "recipient told"
    """The recipient had it, or may have, and is told."""


_ANSWERS = {"recalled": Recalled.UNDELIVERED, "edited": Recalled.UNDELIVERED, "told": Recalled.RECIPIENT_TOLD}


class Requests:
    """The requests of one client."""

    def __init__(self, options: Options, sending: Sending) -> None:
        self._options = options
        self._sending = sending

    async def recall(self, to: str, identity: str) -> Recalled:
        """Takes a message back that was sent to ``to`` with this id."""
        if await self._sending.take_back(self._options.inbox_of(check_name(to)), identity):
            return Recalled.BEFORE_SENDING
        body = Payload.json({"to": to, "id": identity})
        return await self._ask(self._about("$inbox/recall", to, identity, body))

    async def edit(
        self, to: str, identity: str, payload: Payload, properties: Sequence[tuple[str, str]], expires_after_s: float | None
    ) -> Recalled:
        """Replaces the payload of a message that was sent to ``to`` with this id."""
        message = self._about("$inbox/edit", check_name(to), identity, payload)
        message.properties = [("to", to), ("id", identity), *properties]
        message.expires_at = None if expires_after_s is None else time.time() + expires_after_s
        return await self._ask(message)

    async def tell(self, what: str, body: dict[str, Any]) -> Sent:
        """Says something about the own inbox; it is in the outbox when this returns."""
        topic = f"$inbox/{what}"
        return await self._sending.send(Message(new_id(), topic, topic, Payload.json(body).data, 0, JSON))

    def _about(self, topic: str, to: str, identity: str, payload: Payload) -> Message:
        behind = self._sending.queue_behind(self._options.inbox_of(to), identity)
        return Message(new_id(), to, topic, payload.data, 0, payload.content_type, behind=behind, about=identity)

    async def _ask(self, message: Message) -> Recalled:
        sent = await self._sending.send(message)
        await sent.stored()
        recalled = _ANSWERS.get(sent._answer or "")
        if recalled is None:
            raise UnsupportedError("this broker takes no message back, and changes none")
        return recalled
