//! The limits of ordinary publish/subscribe, and which engine it has.

/// What finds the subscriptions of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// Tables of this crate.
    #[default]
    Native,
    /// rumqttd's router.
    Rumqttd,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 2] = [Engine::Native, Engine::Rumqttd];

    /// Distinct filters that it can well have. Each costs rumqttd's router some 7 KB, and the first publish to each topic looks at all of them.
    pub const fn filters_max(self) -> usize {
        match self {
            Engine::Native => 10_000_000,
            Engine::Rumqttd => 10_000,
        }
    }
}

/// The limits of ordinary publish/subscribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterOptions {
    /// What finds the subscriptions of a topic.
    pub engine: Engine,
    /// Distinct filters subscribed to at the same time.
    pub filters_max: usize,
    /// Retained messages.
    pub retained_messages_max: usize,
    /// The sum of [`OrdinaryMessage::size`](crate::OrdinaryMessage::size) of the retained messages, in bytes.
    pub retained_bytes_max: u64,
    /// Bytes of retained messages that stay in memory although the store has them.
    pub retained_cache_bytes: usize,
    /// Embedded: calls that wait for the router, before [`Router::publish`](crate::Router::publish) and its siblings wait.
    pub queue_commands_max: usize,
    /// Embedded: bytes of accepted messages that are not yet with the sinks, before [`Router::publish`](crate::Router::publish) waits.
    pub queue_bytes_max: usize,
    /// Embedded: distinct topics that the router remembers before it is replaced by a fresh one (nobody notices).
    pub topics_max: usize,
}

impl Default for RouterOptions {
    fn default() -> Self {
        RouterOptions {
            engine: Engine::default(),
            filters_max: Engine::default().filters_max(),
            retained_messages_max: 1_000_000,
            retained_bytes_max: 16 * 1024 * 1024 * 1024,
            retained_cache_bytes: 64 * 1024 * 1024,
            queue_commands_max: 1_024,
            queue_bytes_max: 32 * 1024 * 1024,
            topics_max: 100_000,
        }
    }
}
