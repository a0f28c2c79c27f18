"""What the link brings and what it says, in our own types: the machines know nothing of the MQTT library."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Packet:
    """A PUBLISH that came from the broker."""

    topic: str
    payload: bytes
    packet_id: int
    """What PUBACK names; 0 with QoS 0."""
    qos: int = 1
    retain: bool = False
    properties: list[tuple[str, str]] = field(default_factory=list)
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None

    def first(self, name: str) -> str | None:
        """The first user property of that name."""
        return next((value for key, value in self.properties if key == name), None)

    def number(self, name: str) -> int | None:
        """The first user property of that name, if it is a number."""
        text = self.first(name)
        return int(text) if text is not None and text.isascii() and text.isdigit() else None


@dataclass(frozen=True)
class Answered:
    """A PUBACK that came from the broker."""

    packet_id: int
    code: int
    reason: str | None
    properties: list[tuple[str, str]]

    def first(self, name: str) -> str | None:
        """The first user property of that name."""
        return next((value for key, value in self.properties if key == name), None)


@dataclass(frozen=True)
class Opened:
    """What the broker said when it let the client in."""

    epoch: str | None
    """None where the broker is no inboxd."""
    receive_maximum: int
    keep_alive_s: int | None = None
    """Where the broker wants another one than it was told; 0 for none."""


@dataclass(frozen=True)
class Lost:
    """The end of a connection: a code where the broker gave one."""

    why: str
    code: int | None = None
    is_final: bool = False
    """Whether connecting again would end the same."""
