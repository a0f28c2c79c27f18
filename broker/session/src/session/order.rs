//! What others ask of a session's connection.

/// What a session's connection must do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// End, because another connection took the session over (MQTT-3.1.4-3).
    TakenOver,
    /// End, because the broker shuts down.
    ShutDown,
    /// End, because an operator wants it to.
    Disconnect,
    /// Look again whether its client may have what it has: the access rules have changed.
    Review,
}
