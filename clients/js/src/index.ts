/** Reliable messages over inboxd: a durable outbox, receipts, no duplicates, in order. `Inbox` is the client. */

export { Delivery, type DeliveryKind } from "./delivery.js";
export {
  ClosedError,
  ForgottenError,
  InboxError,
  OutboxFullError,
  RefusedError,
  StoppedError,
  StoreError,
  UnsupportedError,
} from "./errors.js";
export type {
  Dropped,
  Gap,
  Held,
  InboxEvent,
  LinkChanged,
  LinkState,
  Listener,
  Missing,
  EpochChanged,
  Progress,
  Trouble,
} from "./events.js";
export { Inbox, type SendOptions } from "./inbox.js";
export type { Property, State } from "./message.js";
export type { Options } from "./options.js";
export { Payload } from "./payload.js";
export type { Recalled } from "./requests.js";
export { Sent } from "./sent.js";
