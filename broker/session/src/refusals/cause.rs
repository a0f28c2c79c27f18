//! Every cause for which the broker says no to a client, or gives up what was for it.

use mqtt_codec::reason;

/// Makes [`Cause`], and what is known about each of them, from one table: the name in counters and log records, what was refused, and what to
/// do about it where the sentence that comes with it does not say so itself.
macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $cause:ident = $name:literal, $subject:ident, $advice:literal;)+) => {
        /// Why something was refused. The order is that of the counters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Cause {
            $($(#[doc = $doc])+ $cause,)+
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Cause] = &[$(Cause::$cause),+];
            /// How many there are.
            pub const COUNT: usize = Cause::ALL.len();

            /// Its name in log records.
            pub fn name(self) -> &'static str {
                match self { $(Cause::$cause => $name),+ }
            }

            /// The name of its counter.
            pub fn counter(self) -> &'static str {
                match self { $(Cause::$cause => concat!("refused_", $name)),+ }
            }

            pub(super) fn subject(self) -> &'static str {
                match self { $(Cause::$cause => $subject),+ }
            }

            pub(super) fn advice(self) -> &'static str {
                match self { $(Cause::$cause => $advice),+ }
            }
        }
    };
}

const CONNECTION: &str = "a connection was refused";
const SUBSCRIPTION: &str = "a subscription was refused";
const PUBLISH: &str = "a publish was refused";
const ENDED: &str = "the broker ended a connection";
const LOST: &str = "messages of a shared subscription were lost with the session of their reader";

causes! {
    /// As many connections are open as there may be.
    ConnectionLimit = "connect_limit", CONNECTION,
        "find out who holds them, or raise mqtt.connections_max and the limit on open files";
    /// The system has no file descriptor for another connection, beside those of the store.
    NoDescriptor = "connect_no_descriptor", CONNECTION,
        "raise the limit on open files (docs/operations.md, \"File descriptors\")";
    /// No CONNECT came in time.
    ConnectTimeout = "connect_timeout", CONNECTION,
        "a client that is slow needs a longer mqtt.connect_timeout; a health check may connect, but is counted here";
    /// The first packet is something else.
    NotConnect = "connect_missing", CONNECTION,
        "something that is no MQTT client uses this port: a browser, a TLS client, or a health check";
    /// CONNECT cannot be read, or breaks the protocol.
    ConnectMalformed = "connect_malformed", CONNECTION, "tell the author of the client";
    /// CONNECT, the will's payload or the answer is too large.
    ConnectTooLarge = "connect_too_large", CONNECTION, "make it smaller, or raise mqtt.message_bytes_max";
    /// A version of MQTT that is not spoken here.
    ProtocolVersion = "connect_version", CONNECTION, "set the client to MQTT 3.1.1 or 5";
    /// The client ID cannot be used.
    ClientIdInvalid = "connect_client_id", CONNECTION, "give the client an ID of 1 to 1,024 bytes";
    /// The client may not connect.
    ConnectDenied = "connect_not_authorized", CONNECTION, "";
    /// Who the client is was not found out in time.
    AuthenticationTimeout = "connect_authentication_timeout", CONNECTION, "look whether what authenticates clients answers";
    /// Extended authentication is asked for.
    AuthenticationMethod = "connect_authentication", CONNECTION, "";
    /// The will is one that could not be published.
    WillInvalid = "connect_will", CONNECTION, "change the will of that client";
    /// The inbox of somebody else.
    OthersInbox = "subscribe_inbox_of_other", SUBSCRIPTION, "";
    /// A shared subscription to an inbox.
    SharedInbox = "subscribe_inbox_shared", SUBSCRIPTION, "";
    /// The access rules say no to the subscription.
    NotAuthorized = "subscribe_not_authorized", SUBSCRIPTION, "";
    /// The filter breaks the rules for filters.
    FilterInvalid = "subscribe_filter_invalid", SUBSCRIPTION, "correct the filter in that client";
    /// A filter that begins with `$`.
    FilterReserved = "subscribe_filter_reserved", SUBSCRIPTION, "";
    /// The session has as many subscriptions as it may.
    SubscriptionLimit = "subscribe_session_limit", SUBSCRIPTION,
        "subscribe with wildcards instead of topic by topic, or raise mqtt.subscriptions_per_session_max";
    /// The filters of the session take as many bytes as they may.
    FilterBytes = "subscribe_session_bytes", SUBSCRIPTION,
        "subscribe with wildcards instead of topic by topic, or raise mqtt.filter_bytes_per_session_max";
    /// The broker has as many filters as it may.
    FilterLimit = "subscribe_filter_limit", SUBSCRIPTION,
        "or have clients subscribe with wildcards instead of topic by topic";
    /// Ordinary publish/subscribe has stopped.
    SubscribeStopped = "subscribe_stopped", SUBSCRIPTION, "start the broker again";
    /// The access rules say no to the publish.
    PublishDenied = "publish_not_authorized", PUBLISH, "";
    /// Nobody may publish there.
    TopicInvalid = "publish_topic", PUBLISH, "publish to another topic";
    /// An inbox, the disk, or the retained messages are full.
    Full = "publish_full", PUBLISH,
        "have the recipient read, purge its inbox, make room on the disk, or raise the limit that is named (inbox.messages_max, \
         inbox.bytes_max, store.disk_free_bytes_min, router.retained_messages_max, router.retained_bytes_max)";
    /// The store fails, an inbox cannot be read, or ordinary publish/subscribe has stopped.
    Failed = "publish_failed", PUBLISH, "look for an error in this log, and start the broker again";
    /// Retained messages are turned off.
    RetainOff = "publish_retain", PUBLISH, "publish without RETAIN, or allow retained messages (router.retained_messages_max)";
    /// A payload over the limit.
    PayloadTooLarge = "publish_too_large", PUBLISH, "send less at once, or raise mqtt.message_bytes_max";
    /// A will that was not published.
    Will = "publish_will", PUBLISH, "change the will of that client";
    /// For another reason.
    PublishOther = "publish_other", PUBLISH, "";
    /// Messages of a shared subscription that no other member could have.
    SharedLost = "shared_lost", LOST,
        "have more than one member in the group, or members whose sessions are kept";
    /// A packet that cannot be read.
    Malformed = "packet_malformed", ENDED, "tell the author of the client";
    /// A packet that breaks the protocol.
    ProtocolError = "packet_protocol", ENDED, "tell the author of the client";
    /// Nothing came for too long.
    KeepAlive = "keep_alive", ENDED,
        "the network was lost, or the client did not send PINGREQ in time: give it a longer keep alive if it sleeps";
    /// A topic name that is not valid.
    PacketTopic = "packet_topic", ENDED, "correct the topic in that client";
    /// More unacknowledged publishes than the client was told.
    ReceiveMaximum = "packet_receive_maximum", ENDED,
        "the client must heed Receive Maximum in CONNACK; raise mqtt.unacknowledged_publishes_max if it cannot";
    /// A topic alias that is not valid.
    TopicAlias = "packet_topic_alias", ENDED, "the client must heed Topic Alias Maximum in CONNACK (mqtt.topic_alias_max)";
    /// A packet or payload over the limit.
    PacketTooLarge = "packet_too_large", ENDED, "send less at once, or raise mqtt.message_bytes_max";
    /// Another connection came with the same client ID.
    TakenOver = "taken_over", ENDED, "if that goes on, two clients have the same ID and push each other out: give each its own";
    /// For another reason.
    EndedOther = "packet_other", ENDED, "";
}

impl Cause {
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Of a connection that the broker ended with this MQTT 5 reason code.
    pub fn of_ending(code: u8) -> Self {
        match code {
            reason::MALFORMED_PACKET => Cause::Malformed,
            reason::PROTOCOL_ERROR => Cause::ProtocolError,
            reason::KEEP_ALIVE_TIMEOUT => Cause::KeepAlive,
            reason::TOPIC_NAME_INVALID => Cause::PacketTopic,
            reason::RECEIVE_MAXIMUM_EXCEEDED => Cause::ReceiveMaximum,
            reason::TOPIC_ALIAS_INVALID => Cause::TopicAlias,
            reason::PACKET_TOO_LARGE => Cause::PacketTooLarge,
            reason::SESSION_TAKEN_OVER => Cause::TakenOver,
            _ => Cause::EndedOther,
        }
    }

    /// Of a publish that is answered with this MQTT 5 reason code.
    pub fn of_publish(code: u8) -> Self {
        match code {
            reason::TOPIC_NAME_INVALID => Cause::TopicInvalid,
            reason::NOT_AUTHORIZED => Cause::PublishDenied,
            reason::QUOTA_EXCEEDED => Cause::Full,
            reason::IMPLEMENTATION_SPECIFIC_ERROR => Cause::Failed,
            reason::RETAIN_NOT_SUPPORTED => Cause::RetainOff,
            reason::PACKET_TOO_LARGE => Cause::PayloadTooLarge,
            _ => Cause::PublishOther,
        }
    }

    /// Of a CONNECT that was declined with this MQTT 5 reason code.
    pub fn of_connect(code: u8) -> Self {
        match code {
            reason::CLIENT_IDENTIFIER_NOT_VALID => Cause::ClientIdInvalid,
            reason::NOT_AUTHORIZED => Cause::ConnectDenied,
            reason::SERVER_UNAVAILABLE => Cause::AuthenticationTimeout,
            reason::BAD_AUTHENTICATION_METHOD => Cause::AuthenticationMethod,
            reason::TOPIC_NAME_INVALID | reason::RETAIN_NOT_SUPPORTED => Cause::WillInvalid,
            reason::PACKET_TOO_LARGE => Cause::ConnectTooLarge,
            reason::UNSUPPORTED_PROTOCOL_VERSION => Cause::ProtocolVersion,
            _ => Cause::ConnectMalformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_counter_of_its_own() {
        // Goal: no two share a name, and each finds its own counter.
        let mut names: Vec<_> = Cause::ALL.iter().map(|cause| cause.counter()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Cause::COUNT);
        assert!(Cause::ALL.iter().enumerate().all(|(at, cause)| cause.index() == at));
    }
}
