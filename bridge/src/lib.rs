//! The durable inboxes of inboxd: mailbox state machines, group commit, stores.
//!
//! **Promise:** a publish with QoS 1 or 2 gets an [`Outcome::Accepted`] only when its message is durable, or acknowledged by its
//! reader, or gone by a rule that somebody is told about. Whatever is not acknowledged by its reader is delivered again, in
//! order, after any crash. What can be repeated after a crash: acknowledgements younger than `ack_flush_interval`.
//!
//! No sockets and no MQTT packets here. `ARCHITECTURE.md` has the map.

mod age_clock;
mod alarm;
mod amendments;
mod bridge;
mod dedupe;
mod hub;
mod mailbox;
mod notices;
mod observer;
mod receipts;
mod rooms;
mod seq_clock;
mod tables;

pub use age_clock::age_now;
pub use bridge::{Bridge, Pulse, StartError};
pub use hub::{Absences, Fetched, Hub, PendingCommit, Purge, ReadRequest, Round, count_unread, kept};
// What a user of the inboxes says and keeps comes with them.
pub use inbox_store::*;
pub use inbox_types::*;
pub use mailbox::{InMemory, Place, Waiting};
pub use observer::Observer;
#[cfg(feature = "testing")]
pub use observer::Unobserved;
pub use tables::{Entries, entries, entries_of};
