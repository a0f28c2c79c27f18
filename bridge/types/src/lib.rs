//! What the inboxes, their stores and the sessions speak of.
//!
//! No sockets, no files and no threads here. `ARCHITECTURE.md` has the map.

mod age;
mod budget;
mod client_id;
mod clock;
mod counters;
mod epoch;
mod events;
mod fault;
mod hexadecimal;
mod inbox_sizes;
mod inboxes;
mod limits;
mod message;
mod port;
mod quantity;
mod receipts;
mod timings;
pub mod wire;

pub use age::{Age, BootId, CLOSED_MAX, Expiry, TimeMark};
pub use budget::{Budgets, Charge, MemoryBudget, Pressure};
pub use client_id::{ClientId, ClientIdError, DEVICE, NOTICE_FROM, party};
pub use clock::{Clock, Now, SystemClock};
pub use counters::{Counter, Counters};
pub use epoch::Epoch;
pub use events::{Event, EventKind, Events, Heard, Listener};
pub use fault::CAN_MAKE_MISTAKES;
#[cfg(feature = "testing")]
pub use fault::{Fault, Given, given, given_back, set_fault, take_given, take_given_back};
pub use hexadecimal::hexadecimal;
pub use inbox_sizes::InboxSizes;
pub use inboxes::{
    Amendment, Holds, Inboxes, Keeping, Kept, KeptChange, Node, ReadMarks, RefusedPublishes, WantedRoom,
};
pub use limits::*;
pub use message::{COLLAPSE, Entry, Message, Micros, PayloadFormat, Properties, Qos, Seq, message_id};
pub use port::{AttachmentId, Delivery, Left, Outcome, Port, Proof, PublishState, Refusal, Room, Ticket};
pub use quantity::{format_duration, format_size, parse_duration, parse_size};
pub use receipts::{NoSuchReceipt, ReceiptsWanted};
pub use timings::{Recorder, Timings};
