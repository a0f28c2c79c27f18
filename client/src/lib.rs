//! A client of inboxd: send to an inbox, read one's own, and know what became of what was sent.
//!
//! ```no_run
//! use inbox_client::{Inbox, InboxOptions};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let options = InboxOptions::new("mqtt://localhost", "alice").outbox("alice.redb");
//!     let inbox = Inbox::connect(options).await?;
//!
//!     let sent = inbox.send("bob", "hello").await?; // it is in the outbox, on disk
//!     sent.stored().await?; // the broker has it, on disk
//!     sent.delivered().await?; // bob has acknowledged it
//!
//!     while let Some(delivery) = inbox.recv().await {
//!         println!("{} says {}", delivery.from, delivery.text()?);
//!         delivery.ack().await?; // it leaves the inbox, and its sender is told
//!         delivery.mark_read().await?; // and that somebody has read it
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What each word means
//!
//! | Word | When it is said | What can undo it |
//! |---|---|---|
//! | `send` returned | the message is in the outbox, durably if that is on disk ([`InboxOptions::outbox`]) | the disk's loss |
//! | [`stored`](Sent::stored) | the broker has it on its disk, or bob has it | the loss of the broker's disk; [`Undelivered::Expired`], [`Undelivered::Dropped`] |
//! | [`delivered`](Sent::delivered) | bob's program called [`ack`](Delivery::ack) | nothing |
//! | [`read`](Sent::read) | bob's program called [`mark_read`](Delivery::mark_read) | nothing |
//!
//! Nothing of this is guessed: "delivered" is what the broker says in a PUBACK, or in a receipt that no client can forge.
//!
//! # Sending
//!
//! [`Inbox::send`] takes text, bytes, or a [`Message`], which can also be JSON or MessagePack, expire, or replace an earlier one. Messages to one
//! recipient keep their order over lost connections and restarts of the program. What nobody acknowledged is published again, with the same id, by which
//! the broker and the recipient know it again; so the recipient gets it once. A recipient without room holds its own messages back and
//! no others.
//!
//! Limits are in [`Limits`]. A full outbox refuses with [`SendError::Full`].
//!
//! # Receiving
//!
//! [`Inbox::recv`] gives messages in the order of the inbox; [`Inbox::deliveries`] is a stream of them, [`Inbox::on_message`] calls a function. A message stays in the
//! inbox until it is [acknowledged](Delivery::ack) or [rejected](Delivery::reject). That it was, is on disk before the broker is told; so after
//! a crash, a message may come again that the program had not acknowledged, and none that it had.
//!
//! # Connections
//!
//! [`Inbox::connect`] waits for the first connection, [`Inbox::open`] does not. After that, connections are made anew by themselves, after
//! pauses of up to 64 s ([`Pauses`]). A link that went silent is found by a heartbeat which finds out by itself how rare it may be
//! ([`Heartbeats`]). What would not pass, as a wrong password or a certificate that is not trusted, stops the inbox ([`StopReason`]). [`Inbox::events`] tells of all this.
//!
//! # Errors
//!
//! There is one enum for each thing that fails in its own way. Its text is a sentence for people, and `must_act` says who can do something
//! about it ([`MustAct`]):
//!
//! | Call | Error | It says that |
//! |---|---|---|
//! | [`Inbox::connect`], [`Inbox::open`] | [`ConnectError`] | there is no inbox |
//! | [`Inbox::send`], [`Delivery::mark_read`] | [`SendError`] | the message was not taken, and will not be sent |
//! | [`Sent::stored`], [`Sent::delivered`], [`Sent::read`] | [`Undelivered`] | the message got no further, or nobody tells |
//! | [`Delivery::ack`], [`Delivery::reject`] | [`AckError`] | the message is in the inbox still |
//! | [`Inbox::recall`], [`Inbox::edit`] | [`RequestError`] | it is as it was |
//! | [`Inbox::close`] | [`NotAllSent`] | messages are in the outbox still |
//! | [`Delivery::text`], [`Delivery::json`], [`Message::json`] … | [`PayloadError`] | the payload is something else |
//!
//! # Other brokers
//!
//! With a broker that is not inboxd, [`Event::PlainBroker`] is told once per connection. Sending and [`Sent::stored`] work there, [`Sent::delivered`] and [`Sent::read`] end with
//! [`NotToldWhy::Broker`]; deliveries have no sender that could be trusted, repeats cannot be recognised, and what is sent to who is away is lost
//! ([`Refusal::NobodyThere`]).
//!
//! # Without async
//!
//! [`blocking`] has the same inbox for programs without a runtime.

mod arrivals;
mod backoff;
pub mod blocking;
mod connection;
mod delivery;
mod driver;
mod error;
mod event;
mod heartbeat;
mod inbox;
mod message;
mod notice;
mod options;
mod outbox;
mod requests;
mod sent;
mod shared;
mod store;
mod undelivered;
mod url;

pub use backoff::Pauses;
pub use delivery::{Delivery, DeliveryKind};
pub use error::{
    AckError, CertificateFault, ConnectError, Lost, LostWhy, MustAct, SendError, StopReason, StoreError, TlsError,
    UrlError,
};
pub use event::{Event, Events, Status};
pub use heartbeat::Heartbeats;
pub use inbox::{Deliveries, Inbox, NotAllSent};
pub use message::{Message, PayloadError, Receipts};
pub use options::{InboxOptions, Limits};
pub use requests::{Recalled, RequestError};
pub use sent::{Sent, SentState, Stored};
pub use undelivered::{DropReason, NotToldWhy, Refusal, Refused, Undelivered};
