/** Why something could not be done, sorted by who must act. */

/** Anything that this package throws on purpose. */
export class InboxError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** The outbox holds as much as it may: wait until some of it is stored, then send again. */
export class OutboxFullError extends InboxError {}

/** The broker refused a message for good, or the recipient did, or it left the inbox unread. */
export class RefusedError extends InboxError {
  constructor(
    why: string,
    /** The MQTT reason code, where there was one. */
    readonly code?: number,
  ) {
    super(why);
  }
}

/** The broker lacks what was asked for; the message says what. */
export class UnsupportedError extends InboxError {}

/** The client has stopped for a reason that trying again does not mend. What is in the outbox stays there. */
export class StoppedError extends InboxError {}

/** `close` was called. */
export class ClosedError extends InboxError {}

/** The store of the outbox cannot be used, or belongs to somebody else. */
export class StoreError extends InboxError {}

/** So many newer messages wait for receipts that this one is not followed any more; it was stored. */
export class ForgottenError extends InboxError {}
