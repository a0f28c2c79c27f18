"""What can be sent: bytes, text, JSON, or MessagePack, each with the content type that says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgpack

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
MESSAGE_PACK = "application/vnd.msgpack"


@dataclass(frozen=True)
class Payload:
    """Bytes, and what they are."""

    data: bytes
    content_type: str | None = None

    @classmethod
    def text(cls, text: str) -> Payload:
        """Text, as UTF-8."""
        return cls(text.encode(), TEXT)

    @classmethod
    def json(cls, value: Any) -> Payload:
        """Anything that JSON can say."""
        return cls(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(), JSON)

    @classmethod
    def message_pack(cls, value: Any) -> Payload:
        """Anything that MessagePack can say."""
        return cls(msgpack.packb(value), MESSAGE_PACK)

    @classmethod
    def of(cls, payload: bytes | str | Payload) -> Payload:
        """What ``Inbox.send`` takes."""
        if isinstance(payload, str):
            return cls.text(payload)
        return payload if isinstance(payload, Payload) else cls(bytes(payload))


def unpack(payload: bytes) -> Any:
    """The value in a payload of MessagePack; raises ``ValueError`` where it is none."""
    try:
        return msgpack.unpackb(payload)
    except msgpack.UnpackException as error:
        raise ValueError(f"this is no MessagePack: {error}") from error
