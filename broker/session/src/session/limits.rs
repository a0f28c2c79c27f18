//! What one client may take of the broker: limits that sessions keep.

use std::time::Duration;

/// What an MQTT packet may have beyond its application payload, in bytes: topic, properties, headers.
const PACKET_OVERHEAD_BYTES_MAX: usize = 128 * 1024;

/// What an MQTT 3.1.1 client is told of a refusal, for which its version has no answer (contract rule 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum V311Refusals {
    /// A durable notice in its own inbox, and then the acknowledgement.
    Bounce,
    /// Its connection is closed.
    Close,
}

/// The limits of sessions and their connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttLimits {
    /// How long a new connection may take until its CONNECT is complete.
    pub connect_timeout: Duration,
    /// Application payload of one message, in bytes. [`MqttLimits::packet_bytes_max`] is the limit of a packet.
    pub message_bytes_max: usize,
    /// Unacknowledged QoS 1 and 2 messages sent to one client at a time; its own Receive Maximum may be smaller.
    pub in_flight_max: u16,
    /// Unacknowledged QoS 1 and 2 publishes taken from one client: the Receive Maximum in CONNACK (MQTT 5, 3.2.2.3.3).
    pub unacknowledged_publishes_max: u16,
    /// Topic aliases that one client may set (MQTT 5, 3.2.2.3.8); 0 allows none.
    pub topic_alias_max: u16,
    /// Longest session expiry that a client is granted, in whole seconds (MQTT 5, 3.2.2.3.2).
    pub session_expiry_max: Duration,
    /// Sessions kept for clients that are offline.
    pub sessions_max: usize,
    /// Whether sessions that outlive their connections outlive the broker, too.
    pub durable_sessions: bool,
    /// How long clients have to come back after a restart until their wills are published; `None`: a crash loses their wills.
    pub will_after_restart: Option<Duration>,
    /// Longest keep alive that a client is granted, in whole seconds up to 65,535 (MQTT 5, 3.2.2.3.14); `None` is no limit.
    pub keep_alive_max: Option<Duration>,
    /// Messages of ordinary topics that wait for one session.
    pub queue_messages_max: usize,
    /// Bytes of messages of ordinary topics that wait for one session, and as many that it has not acknowledged; one message may
    /// exceed it.
    pub queue_bytes_max: usize,
    /// Subscriptions that one session holds.
    pub subscriptions_per_session_max: usize,
    /// Bytes of the topic filters that one session holds, together.
    pub filter_bytes_per_session_max: usize,
    /// How refusals are told to MQTT 3.1.1 clients.
    pub v311_refusals: V311Refusals,
    /// How long a client may hold a message that it was sent with QoS 1 or 2 without acknowledging it; `None`: for ever.
    pub ack_timeout: Option<Duration>,
    /// Pieces of mail that are sent to one client in a second; `None` is no limit.
    pub delivery_rate: Option<u32>,
    /// [`inbox_types::UNTAKEN_BYTES_MAX`], which tests make small.
    pub untaken_bytes_max: usize,
}

impl MqttLimits {
    /// Longest MQTT packet that is taken, in bytes: the Maximum Packet Size in CONNACK (MQTT 5, 3.2.2.3.6).
    pub fn packet_bytes_max(&self) -> usize {
        self.message_bytes_max.saturating_add(PACKET_OVERHEAD_BYTES_MAX)
    }
}

impl Default for MqttLimits {
    fn default() -> Self {
        MqttLimits {
            connect_timeout: Duration::from_secs(10),
            message_bytes_max: 1024 * 1024,
            in_flight_max: 100,
            unacknowledged_publishes_max: 1000,
            topic_alias_max: 32,
            session_expiry_max: Duration::from_secs(7 * 24 * 3600),
            sessions_max: 100_000,
            durable_sessions: true,
            will_after_restart: Some(Duration::from_secs(60)),
            keep_alive_max: None,
            queue_messages_max: 1000,
            queue_bytes_max: 16 * 1024 * 1024,
            subscriptions_per_session_max: 10_000,
            filter_bytes_per_session_max: 2 * 1024 * 1024,
            v311_refusals: V311Refusals::Bounce,
            ack_timeout: None,
            delivery_rate: None,
            untaken_bytes_max: inbox_types::UNTAKEN_BYTES_MAX,
        }
    }
}
