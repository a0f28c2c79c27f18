"""The outbox as a state machine: what is to be published next, and what an answer means. It does no I/O.

The promise: to one recipient, messages go out in the order in which they were sent, whatever is lost or refused. So **one message for each
recipient is unanswered at a time**: behind two, the broker could refuse the first for want of room and take the second.

A recipient's queue::

    idle ──due──▶ in flight ──stored, refused──▶ idle (the message leaves)
                     │  └──passing refusal──▶ held until a pause is over ──▶ idle (the message stays)
                     └──disconnected──▶ idle (the message stays, and goes out again with the same id)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from . import reasons
from .backoff import Backoff, Chance
from .errors import OutboxFullError
from .message import Message


class Answer(Enum):
    """What a PUBACK means."""

    STORED = "stored"
    HELD = "held"
    REFUSED = "refused"


@dataclass(frozen=True)
class OutboxLimits:
    """How much an outbox holds, and how it waits. Times in seconds."""

    messages_max: int
    bytes_max: int
    answer_timeout_s: float
    pause_least_s: float
    pause_most_s: float


@dataclass
class _Queue:
    backoff: Backoff
    messages: deque[Message] = field(default_factory=deque)
    in_flight_since: float | None = None
    held_until: float = 0.0


class Outbox:
    """Messages that the broker does not have yet, a queue for each recipient."""

    def __init__(self, limits: OutboxLimits, messages: Iterable[Message] = ()) -> None:
        self._limits = limits
        self._queues: dict[str, _Queue] = {}
        self._queued: dict[str, Message] = {}
        self._bytes = 0
        self._window = 0
        for message in sorted(messages, key=lambda message: message.order):
            self._enqueue(message)

    def __len__(self) -> int:
        return len(self._queued)

    def add(self, message: Message) -> None:
        """Takes a message, which goes out when it is marked durable."""
        if len(self._queued) >= self._limits.messages_max:
            raise OutboxFullError(f"the outbox holds {len(self._queued)} messages, and no more may wait")
        if self._bytes + len(message.payload) > self._limits.bytes_max:
            raise OutboxFullError(f"the outbox holds {self._bytes} bytes, and {self._limits.bytes_max} at most")
        self._enqueue(message)

    def find(self, queue: str, identity: str) -> Message | None:
        """The message of this id in that queue; requests about it are behind it."""
        return next((it for it in self._messages(queue) if it.topic == queue and it.id == identity), None)

    def is_about(self, queue: str, identity: str) -> bool:
        """Whether the message of this id is in that queue, or a request about it."""
        return any(identity in (it.id, it.about) for it in self._messages(queue))

    def remove(self, message: Message) -> None:
        """It is not to go out any more: it was stored, refused, or never made durable."""
        if self._queued.pop(message.id, None) is None:
            return
        self._bytes -= len(message.payload)
        queue = self._queues[message.queue]
        if queue.messages[0] is message:
            queue.in_flight_since = None
        queue.messages.remove(message)
        if not queue.messages:
            del self._queues[message.queue]

    def connected(self, window: int) -> None:
        """Publishing may begin; the broker takes ``window`` unanswered publishes."""
        self._window = window

    def disconnected(self) -> None:
        """No answers will come; what is unanswered goes out again after the next connection."""
        self._window = 0
        for queue in self._queues.values():
            queue.in_flight_since = None

    def due(self, now: float) -> list[Message]:
        """What is to be published now. It counts as in flight from here on."""
        due: list[Message] = []
        room = self._window - sum(queue.in_flight_since is not None for queue in self._queues.values())
        for queue in self._queues.values():
            if len(due) >= room:
                break
            if queue.in_flight_since is None and queue.held_until <= now and queue.messages[0].durable:
                queue.in_flight_since = now
                queue.messages[0].may_be_out = True
                due.append(queue.messages[0])
        return due

    def wake_at(self, now: float) -> float | None:
        """The next time at which a pause ends or an answer is overdue."""
        if self._window == 0:
            return None
        times = (
            queue.held_until if queue.in_flight_since is None else queue.in_flight_since + self._limits.answer_timeout_s
            for queue in self._queues.values()
            if queue.in_flight_since is not None or queue.held_until > now
        )
        return min(times, default=None)

    def is_overdue(self, now: float) -> bool:
        """Whether an answer is missing for so long that the connection must be given up: on it, nothing may be sent again."""
        limit = self._limits.answer_timeout_s
        return any(queue.in_flight_since is not None and queue.in_flight_since + limit <= now for queue in self._queues.values())

    def answered(self, message: Message, code: int, now: float, chance: Chance) -> tuple[Answer, float]:
        """A PUBACK came. The second value is the pause in seconds, where the recipient's queue is held."""
        queue = self._queues.get(message.queue)
        if code < reasons.ERROR_LEAST and not reasons.publish_is_final(code):
            if queue:
                queue.backoff.reset()
                queue.held_until = 0.0
            self.remove(message)
            return Answer.STORED, 0.0
        if reasons.publish_is_final(code) or queue is None:
            self.remove(message)
            return Answer.REFUSED, 0.0
        pause = queue.backoff.next_s(chance)
        queue.in_flight_since = None
        queue.held_until = now + pause
        return Answer.HELD, pause

    def largest_in_flight(self) -> Message | None:
        """Whom a broker means that ends a connection because a packet is too large."""
        flying = (queue.messages[0] for queue in self._queues.values() if queue.in_flight_since is not None)
        return max(flying, key=lambda message: len(message.payload), default=None)

    def _messages(self, queue: str) -> Iterable[Message]:
        found = self._queues.get(queue)
        return found.messages if found else ()

    def _enqueue(self, message: Message) -> None:
        queue = self._queues.get(message.queue)
        if queue is None:
            queue = _Queue(Backoff(self._limits.pause_least_s, self._limits.pause_most_s))
            self._queues[message.queue] = queue
        queue.messages.append(message)
        self._queued[message.id] = message
        self._bytes += len(message.payload)
