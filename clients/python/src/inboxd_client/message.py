"""A message on its way to a recipient, as the outbox keeps it."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class State(IntEnum):
    """How far a message has come. It only ever goes up."""

    QUEUED = 0
    """In the outbox of this client."""
    STORED = 1
    """On the broker's disk, or with the recipient already."""
    DELIVERED = 2
    """The recipient has acknowledged it."""
    READ = 3
    """The recipient's application said that it was read."""


def new_id() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


@dataclass(eq=False)
class Message:
    """What goes out in a PUBLISH, and what is known of it."""

    id: str
    to: str
    topic: str
    payload: bytes
    order: int
    """Its place among all messages of this outbox."""
    content_type: str | None = None
    properties: list[tuple[str, str]] = field(default_factory=list)
    receipts: str = ""
    """Which receipts are asked for: ``delivered``, ``read``, both, or none."""
    expires_at: float | None = None
    """When nobody wants it any more, in seconds since 1970."""
    state: State = State.QUEUED
    seq: int | None = None
    behind: str = ""
    """Of a request about another message: the queue that it waits in, where that message is in the outbox still."""
    about: str = ""
    """Of a request about another message: the id of that."""
    durable: bool = False
    """Whether the store has it, so that it may go out."""
    may_be_out: bool = False
    """Whether it was published, perhaps: by an earlier process, too."""

    @property
    def last_state(self) -> State:
        """The state after which nothing more is to come."""
        return State.READ if "read" in self.receipts else State.DELIVERED if self.receipts else State.STORED

    @property
    def queue(self) -> str:
        """What is in one queue goes out one after the other."""
        return self.behind or self.topic

    @property
    def is_request(self) -> bool:
        """Whether it is a request to the broker rather than a message to somebody."""
        return self.topic.startswith("$")

    def as_record(self) -> dict[str, Any]:
        """For the store. A message that the broker has needs no payload any more."""
        kept = self.payload if self.state == State.QUEUED else b""
        return {
            "to": self.to,
            "topic": self.topic,
            "payload": base64.b64encode(kept).decode(),
            "order": self.order,
            "content_type": self.content_type,
            "properties": self.properties,
            "receipts": self.receipts,
            "expires_at": self.expires_at,
            "state": int(self.state),
            "seq": self.seq,
            "behind": self.behind,
            "about": self.about,
        }

    @classmethod
    def from_record(cls, key: str, record: dict[str, Any]) -> Message:
        """Out of the store."""
        values = dict(record)
        values["payload"] = base64.b64decode(values["payload"])
        values["properties"] = [(name, value) for name, value in values["properties"]]
        values["state"] = State(values["state"])
        return cls(id=key, durable=True, may_be_out=True, **values)
