"""What a client tells beside messages: its state, and what an application may want to know of its mail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .arrivals import Dropped, EpochChanged, Gap
from .message import State

_LOG = logging.getLogger("inboxd_client")


class Link(Enum):
    """Where the connection is."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    """Until it is tried again."""
    STOPPED = "stopped"
    """For good; the reason says why."""
    CLOSED = "closed"


@dataclass(frozen=True)
class LinkChanged:
    """The connection has another state."""

    state: Link
    why: str = ""
    pause_s: float = 0.0


@dataclass(frozen=True)
class Held:
    """The broker cannot take a message now; this recipient's messages wait."""

    to: str
    code: int
    why: str
    pause_s: float


@dataclass(frozen=True)
class Progress:
    """A message has reached another state, or will come no further; also for messages that an earlier process sent."""

    id: str
    to: str
    state: State
    failure: str = ""


@dataclass(frozen=True)
class Missing:
    """The broker is no inboxd, or an old one: what does not work with it."""

    what: str


Event = LinkChanged | Held | Progress | Missing | Dropped | Gap | EpochChanged
Listener = Callable[[Event], None]


class Events:
    """Who listens."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls ``listener`` with every event until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, event: Event) -> None:
        """A listener that fails is logged, and keeps nobody from anything."""
        _LOG.debug("%s", event)
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:
                _LOG.exception("a listener failed at %s", event)
