"""What a client is told when it connects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .heartbeat import HeartbeatBounds
from .outbox import OutboxLimits

_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}


@dataclass(frozen=True)
class Options:
    """Who connects where, and where its outbox is kept. Times are in seconds, and end in ``_s``."""

    client_id: str
    """The name of this client, and of its inbox."""
    outbox: str | Path
    """The file with the outbox and the memory of what was received; it is made when it is not there. One client has it at a time."""
    url: str = "mqtt://127.0.0.1:1883"
    """``mqtt://``, ``mqtts://`` (TLS), ``ws://`` or ``wss://`` (WebSocket, by default at ``/mqtt``), host, port."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    """For TLS: the certificates to trust, in PEM; those of the system where there is none."""
    inbox_prefix: str = ""
    """``inbox.prefix`` of the broker."""
    receipts: bool = True
    """Whether to ask for receipts; without them, ``delivered`` and ``read`` of a message fail."""
    outbox_messages_max: int = 10_000
    outbox_bytes_max: int = 64 * 1024 * 1024
    followed_max: int = 10_000
    """Stored messages whose receipts are waited for; beyond, the oldest is not followed any more."""
    remembered_max: int = 50_000
    """Received messages that are remembered, to know repeats."""
    window: int = 100
    """Received messages that may be unanswered."""
    heartbeat_first_s: float = 30.0
    """How long the link may be silent before it is asked whether it lives: at first, for the interval is learnt. A dead one is found within
    one and a half intervals."""
    heartbeat_shortest_s: float = 10.0
    heartbeat_longest_s: float = 240.0
    connect_timeout_s: float = 10.0
    answer_timeout_s: float = 30.0
    """How long PUBACK may take before the connection is given up."""
    reconnect_least_s: float = 1.0
    reconnect_most_s: float = 64.0
    """Bounds of the pauses between connections, and of those after a refusal that passes."""
    stable_s: float = 60.0
    """A connection that lasted so long makes the next pause a short one again."""

    def __post_init__(self) -> None:
        check_name(self.client_id)
        if self.address.scheme not in _PORTS or not self.address.hostname:
            raise ValueError(f"{self.url} is no address: it begins with mqtt://, mqtts://, ws:// or wss://, and names a host")
        if min(self.heartbeat_first_s, self.heartbeat_shortest_s, self.heartbeat_longest_s) <= 0:
            raise ValueError("a heartbeat takes longer than no time")

    @property
    def address(self) -> Address:
        """The URL in parts."""
        parts = urlsplit(self.url)
        path = parts.path if parts.path not in ("", "/") else "/mqtt"
        return Address(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0), path)

    @property
    def outbox_limits(self) -> OutboxLimits:
        """The bounds of the outbox."""
        return OutboxLimits(
            messages_max=self.outbox_messages_max,
            bytes_max=self.outbox_bytes_max,
            answer_timeout_s=self.answer_timeout_s,
            pause_least_s=self.reconnect_least_s,
            pause_most_s=self.reconnect_most_s,
        )

    @property
    def heartbeat(self) -> HeartbeatBounds:
        """The bounds of the heartbeat."""
        return HeartbeatBounds(self.heartbeat_first_s, self.heartbeat_shortest_s, self.heartbeat_longest_s)

    def inbox_of(self, name: str) -> str:
        """The topic of somebody's inbox."""
        return self.inbox_prefix + name


@dataclass(frozen=True)
class Address:
    """A URL in parts."""

    scheme: str
    hostname: str
    port: int
    path: str

    @property
    def is_websocket(self) -> bool:
        return self.scheme in ("ws", "wss")

    @property
    def is_tls(self) -> bool:
        return self.scheme in ("mqtts", "wss")


def check_name(name: str) -> str:
    """A name that has an inbox: other topics would be ordinary publish/subscribe, which stores nothing."""
    if not name or any(character in name for character in "/+#\0"):
        raise ValueError(f"{name!r} cannot have an inbox: a name is not empty, and has no /, + or #")
    return name
