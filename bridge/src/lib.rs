//! The durable inboxes of inboxd: mailbox state machines, group commit, stores.
//!
//! **Promise:** a publish with QoS 1 or 2 gets an [`Outcome::Accepted`] only when its message is durable, or acknowledged by its
//! reader, or gone by a rule that somebody is told about. Whatever is not acknowledged by its reader is delivered again, in
//! order, after any crash. What can be repeated after a crash: acknowledgements younger than `ack_flush_interval`.
//!
//! No sockets and no MQTT packets here. `ARCHITECTURE.md` has the map.

mod alarm;
mod bridge;
mod client_id;
mod counters;
mod fault;
mod hub;
mod limits;
mod mailbox;
mod message;
mod port;
mod seq_clock;
mod store;

pub use bridge::{Bridge, StartError};
pub use client_id::{ClientId, ClientIdError};
pub use counters::{Counter, Counters};
#[cfg(feature = "testing")]
pub use fault::{Fault, Given, TUNING_DEFAULT, Tuning, set_fault, set_tuning, take_given};
pub use hub::{Hub, PendingCommit, ReadRequest, Round};
pub use limits::*;
pub use message::{Entry, Message, Micros, Properties, Qos, Seq, message_id};
pub use port::{
    AttachmentId, Clock, Delivery, Left, Now, Observer, Outcome, Port, Proof, Refusal, SystemClock, Ticket,
};
#[cfg(feature = "testing")]
pub use store::raw;
pub use store::{
    Batch, CheckpointOptions, ConvertError, Converted, Engine, FaultPlan, FjallOptions, InboxRecord, MemoryStore,
    OpenError, Page, PageLimit, SledOptions, Store, StoreError, StoreOptions, convert, open_store,
};
#[cfg(any(test, feature = "testing"))]
pub use store::{FaultyStore, contract};
