//! What embeds rumqttd's router: see the crate's documentation.

pub(super) mod adapter;
pub(super) mod audience;
pub(super) mod engine;
pub(super) mod subscriptions;
