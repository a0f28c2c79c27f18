//! A client of inboxd: send to an inbox, read one's own.
//!
//! Any MQTT client can do both; this crate adds what the delivery contract promises in types: a [`Receipt`] that resolves
//! when the message is safe, and a [`Message`] that leaves the inbox when it is acknowledged. It knows the broker only by
//! the contract (`docs/delivery.md`).
//!
//! This is a beginning. Receipts from the recipient, groups, broadcasts and resending across connections are not here
//! yet: when a connection is lost, a [`Receipt`] that was not resolved says so, and the application sends again, with the
//! same id where duplicates matter.

mod connection;
mod message;
mod receipt;

pub use connection::{ConnectError, InboxClient, InboxClientOptions, Login, Unreachable};
pub use message::{AckError, Message, Messages};
pub use receipt::{Receipt, Refusal, Refused, SendError};
