"""How long a link may be silent before it is asked whether it lives. It does no I/O: times, in seconds, come in as arguments.

Routers forget connections that are silent for too long, and say nothing. How long that is differs, so it is found out: each silence that
the link survived counts, and after two of the same length the interval grows by half. A link that was found dead after a silence halves
it, and the length that killed is not tried again until shorter ones went well often. Traffic is a heartbeat, too::

             silent for the interval                  nothing came for the patience
    quiet ────────────────────────────▶ asked ──────────────────────────────────────▶ dead
      ▲                                   │
      └───────────────────────────────────┘ anything came
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_PATIENCE_MAX_S = 20.0
"""Nobody waits longer for an answer."""
_SURVIVALS = 2
"""So many silences of one length must go well before a longer one is tried."""
_SURVIVALS_BELOW_CEILING = 20
"""And so many before the length that killed may be tried again."""


@dataclass(frozen=True)
class HeartbeatBounds:
    """Between which bounds the interval is, and where it begins. Times in seconds."""

    first_s: float
    shortest_s: float
    longest_s: float


class Beat(Enum):
    """What is to be done."""

    WAIT = "wait"
    ASK = "ask"
    DEAD = "dead"


class Heartbeat:
    """The heartbeat of a client, over its connections."""

    def __init__(self, bounds: HeartbeatBounds) -> None:
        self._shortest_s = bounds.shortest_s
        self._longest_s = max(bounds.longest_s, bounds.shortest_s)
        self.interval_s = min(max(bounds.first_s, self._shortest_s), self._longest_s)
        """The present interval."""
        self._ceiling_s: float | None = None
        self._survived = 0
        self._sent_at = 0.0
        self._heard_at = 0.0
        self._asked_at: float | None = None
        self._silence_s = 0.0

    @property
    def keep_alive_s(self) -> float:
        """The longest that the interval may become while a connection holds, and what is told to the broker as Keep Alive."""
        return min(self._longest_s, self.interval_s * 2)

    def connected(self, now: float) -> None:
        """A connection was made."""
        self._sent_at = self._heard_at = now
        self._asked_at = None

    def asking(self, now: float) -> None:
        """The question goes out."""
        self._silence_s = now - max(self._sent_at, self._heard_at)
        self._asked_at = self._sent_at = now

    def noted(self, sent_at: float, heard_at: float) -> None:
        """When something was last written, and when something last came."""
        self._sent_at = max(self._sent_at, sent_at)
        if heard_at <= self._heard_at:
            return
        self._heard_at = heard_at
        if self._asked_at is None or heard_at < self._asked_at:
            return
        self._asked_at = None
        if self._silence_s >= self.interval_s * 0.9:
            self._survive()

    def due(self, now: float, most_s: float) -> tuple[Beat, float]:
        """What is to be done now, or when to look again. ``most_s`` is the longest interval of this connection."""
        if self._asked_at is not None:
            at = self._asked_at + min(self.interval_s / 2, _PATIENCE_MAX_S)
            return (Beat.DEAD if now >= at else Beat.WAIT), at
        at = min(self._sent_at, self._heard_at) + min(self.interval_s, most_s)
        return (Beat.ASK if now >= at else Beat.WAIT), at

    def lost(self) -> None:
        """The connection ended. Where the question had no answer, the silence before it killed the link."""
        if self._asked_at is not None and self._silence_s * 2 >= self.interval_s:
            self._ceiling_s = self.interval_s
            self.interval_s = max(self.interval_s / 2, self._shortest_s)
            self._survived = 0
        self._asked_at = None

    def _survive(self) -> None:
        self._survived += 1
        is_below = self._ceiling_s is None or self.interval_s * 1.5 < self._ceiling_s
        if self._survived < (_SURVIVALS if is_below else _SURVIVALS_BELOW_CEILING):
            return
        if not is_below:
            self._ceiling_s = None
        self._survived = 0
        self.interval_s = min(self.interval_s * 1.5, self._longest_s)
