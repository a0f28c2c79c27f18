//! The one door for everything that is published: who says what, and where; then the access rules; then a message for an inbox or for the
//! router. Clients, wills and `$SYS` come through it, and so will every gateway.
//!
//! No sockets and no MQTT packets here. `ARCHITECTURE.md` has the map.

mod address;
mod door;

pub use address::{Destination, InboxNames};
pub use door::{Intake, Publication, Shut, Taken};
