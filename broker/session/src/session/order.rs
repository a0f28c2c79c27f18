//! What others ask of a session's connection.

mod seen;

use super::Session;
pub(super) use seen::Asked;
pub use seen::{Holdings, Seen, Subscribed, WantedFilters};

/// What a session's connection must do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// End, because another connection took the session over (MQTT-3.1.4-3).
    TakenOver,
    /// End, because the broker shuts down.
    ShutDown,
    /// End, because an operator wants it to.
    Disconnect,
    /// The same, and with it its session.
    Forget,
    /// Look again whether its client may have what it has: the access rules have changed.
    Review,
}

impl Session {
    /// It is not kept when its connection ends, whatever was agreed.
    pub(crate) fn ends_with_its_connection(&mut self) {
        self.link.session_expiry = 0;
    }
}
