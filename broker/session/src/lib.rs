//! MQTT sessions: synchronous state machines, and the table of who is connected and whose session is kept.
//!
//! No sockets here. `ARCHITECTURE.md` has the map.

mod amendments;
mod closed;
mod conversation;
mod declined;
mod keeping;
mod marks;
mod metrics;
mod not_published;
mod presences;
mod refusals;
mod session;
mod session_table;
mod will;

pub use amendments::AmendmentRefused;
pub use closed::Closed;
pub use conversation::{Conversation, Step};
pub use declined::Declined;
pub use keeping::{Found, FoundWill, PendingWill, Restored, RestoredWill, Restoring, Will, found_will};
pub use marks::MarksRefused;
pub use metrics::{Counted, Gauge, Metrics};
pub use not_published::NotPublished;
pub use presences::{Presence, PresenceCounts, Presences};
pub use refusals::{Caller, Cause, Limiter, Rate, Refusals};
pub use session::{
    Ending, Holdings, Link, MqttLimits, Operators, OperatorsRequest, Order, Outbox, Reply, Resumed, RouteResult,
    RouterCall, Seen, Session, Shared, SubscribeCall, Subscribed, V311Refusals, Wanted, WantedFilters,
    is_operators_request, is_request,
};
pub use session_table::{NotForgotten, Place, Routed, SessionTable};
