"""Reliable messages over inboxd: a durable outbox, receipts, no duplicates, in order.

``Inbox`` is the client, ``BlockingInbox`` the same without asyncio.
"""

from .arrivals import Dropped, EpochChanged, Gap
from .blocking import BlockingInbox
from .delivery import Delivery, Kind
from .errors import (
    ClosedError,
    ForgottenError,
    InboxError,
    OutboxFullError,
    RefusedError,
    StoppedError,
    StoreError,
    UnsupportedError,
)
from .events import Event, Held, Link, LinkChanged, Missing, Progress
from .inbox import Inbox
from .message import State
from .options import Options
from .payload import Payload
from .requests import Recalled
from .sent import Sent

__all__ = [
    "BlockingInbox",
    "ClosedError",
    "Delivery",
    "Dropped",
    "EpochChanged",
    "Event",
    "ForgottenError",
    "Gap",
    "Held",
    "Inbox",
    "InboxError",
    "Kind",
    "Link",
    "LinkChanged",
    "Missing",
    "Options",
    "OutboxFullError",
    "Payload",
    "Progress",
    "Recalled",
    "RefusedError",
    "Sent",
    "State",
    "StoppedError",
    "StoreError",
    "UnsupportedError",
]
