//! What the inboxes, their stores and the sessions speak of.
//!
//! No sockets, no files and no threads here. `ARCHITECTURE.md` has the map.

mod client_id;
mod counters;
mod fault;
mod limits;
mod message;
mod port;

pub use client_id::{ClientId, ClientIdError, NOTICE_FROM};
pub use counters::{Counter, Counters};
#[cfg(feature = "testing")]
pub use fault::{Fault, Given, TUNING_DEFAULT, Tuning, given, set_fault, set_tuning, take_given, tuning};
pub use limits::*;
pub use message::{Entry, Message, Micros, PayloadFormat, Properties, Qos, Seq, message_id};
pub use port::{AttachmentId, Clock, Delivery, Left, Now, Outcome, Port, Proof, Refusal, Room, SystemClock, Ticket};
