"""Receipts: what the broker tells a sender about its messages. A receipt is believed only where no client can have made it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .message import State
from .packet import Packet

BROKER = "$inboxd"
"""The sender of what the broker says itself; nobody connects under that name."""

_STATES = {"delivered": State.DELIVERED, "read": State.READ}


@dataclass(frozen=True)
class Receipt:
    """What became of one message: a state that it reached, or why it never will."""

    id: str
    topic: str
    seq: int | None
    state: State | None
    why: str = ""
    code: int | None = None


def is_receipt(packet: Packet, is_inboxd: bool) -> bool:
    """Whether the broker made this. With another broker, anybody could have."""
    told = packet.first("from") == BROKER and packet.first(BROKER) == "receipt"
    return is_inboxd and packet.retain and told


def parse(payload: bytes) -> list[Receipt]:
    """The receipts in one message; what is not understood is left out."""
    try:
        body = json.loads(payload)
    except ValueError:
        return []
    told = body.get("receipts") if isinstance(body, dict) else None
    found = [_receipt(item) for item in told] if isinstance(told, list) else []
    return [receipt for receipt in found if receipt]


def _receipt(item: object) -> Receipt | None:
    if not isinstance(item, dict):
        return None
    identity, topic, state = item.get("id"), item.get("topic"), item.get("state")
    if not isinstance(identity, str) or not isinstance(topic, str):
        return None
    seq = item.get("seq")
    seq = seq if isinstance(seq, int) else None
    if state in _STATES:
        return Receipt(identity, topic, seq, _STATES[state])
    if state == "expired":
        return Receipt(identity, topic, seq, None, "it expired before the recipient took it")
    if state == "dropped":
        return Receipt(identity, topic, seq, None, f"it left the inbox unread: {item.get('why')}")
    if state == "refused":
        code = item.get("reason")
        code = code if isinstance(code, int) else None
        shown = "" if code is None else f" (0x{code:02X})"
        return Receipt(identity, topic, seq, None, f"the recipient refused it{shown}", code)
    return None
