"""Why something could not be done, sorted by who must act."""

from __future__ import annotations


class InboxError(Exception):
    """Anything that this package raises on purpose."""


class OutboxFullError(InboxError):
    """The outbox holds as much as it may: wait until some of it is stored, then send again."""


class RefusedError(InboxError):
    """The broker refused a message for good, or the recipient did, or it left the inbox unread."""

    def __init__(self, why: str, code: int | None = None) -> None:
        super().__init__(why)
        self.code = code
        """The MQTT reason code, where there was one."""


class UnsupportedError(InboxError):
    """The broker lacks what was asked for; the message says what."""


class StoppedError(InboxError):
    """The client has stopped for a reason that trying again does not mend. What is in the outbox stays there."""


class ClosedError(InboxError):
    """``close`` was called."""


class StoreError(InboxError):
    """The file that keeps the outbox cannot be used, or belongs to somebody else."""


class ForgottenError(InboxError):
    """So many newer messages wait for receipts that this one is not followed any more; it was stored."""
