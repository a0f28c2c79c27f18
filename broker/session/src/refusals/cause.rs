//! Every cause for which the broker says no to a client, or gives up what was for it.

use access::Denied;
use inbox_types::Refusal;
use intake::Shut;
use mqtt_codec::DecodeError;
use pubsub::PublishError;

use crate::closed::Closed;
use crate::declined::Declined;
use crate::not_published::NotPublished;

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
const WITHDRAWN: &str = "a subscription was ended";
const PUBLISH: &str = "a publish was refused";
const WILL: &str = "a will was not published";
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
        "something that is no MQTT client uses this port: a browser, a client for TLS or WebSocket, a load balancer that sends PROXY headers, or a health check";
    /// An address of `proxy_protocol_from` sent no PROXY header that can be read.
    ProxyHeader = "connect_proxy_header", CONNECTION,
        "have the load balancer send it, or take the address out of proxy_protocol_from";
    /// Another address sent a PROXY header.
    ProxyStranger = "connect_proxy_stranger", CONNECTION,
        "if it is a load balancer of yours, add its address to proxy_protocol_from";
    /// TLS was not agreed on.
    TlsHandshake = "connect_tls", CONNECTION,
        "look whether that client is meant to use TLS here, and knows who signed the certificate of this listener";
    /// The client certificate is missing or not valid.
    ClientCertificate = "connect_client_certificate", CONNECTION,
        "give the client one that is valid and signed by a certificate in client_ca";
    /// The HTTP request does not begin MQTT over WebSocket.
    WebSocketUpgrade = "connect_websocket", CONNECTION, "";
    /// A web page may not connect.
    WebSocketOrigin = "connect_origin", CONNECTION, "";
    /// The memory budget is used up.
    ConnectMemory = "connect_memory_full", CONNECTION,
        "look what fills it: readers that do not read, retained messages (docs/operations.md, \"Memory\")";
    /// Its address or its user has too many connections, or begins them too fast.
    ConnectQuota = "connect_quota", CONNECTION, "";
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
    /// The user name or the password is wrong.
    ConnectCredentials = "connect_credentials", CONNECTION, "correct it in the client, or set it anew with `inboxd passwd`";
    /// The token is not accepted.
    ConnectToken = "connect_token", CONNECTION, "";
    /// Too many wrong passwords came before.
    ConnectGuessing = "connect_too_many_failures", CONNECTION,
        "somebody guesses, or a client has a wrong password and does not stop trying";
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
    /// The filter has more levels than the engine of ordinary topics takes.
    FilterLevels = "subscribe_filter_levels", SUBSCRIPTION,
        "or set router.engine to \"rumqttd\", which has no such limit";
    /// Ordinary publish/subscribe has stopped.
    SubscribeStopped = "subscribe_stopped", SUBSCRIPTION, "start the broker again";
    /// The access rules changed, and say no to a subscription that the client has.
    SubscriptionWithdrawn = "subscription_withdrawn", WITHDRAWN, "";
    /// The access rules say no to the publish.
    PublishDenied = "publish_not_authorized", PUBLISH, "";
    /// Nobody may publish there.
    TopicInvalid = "publish_topic", PUBLISH, "publish to another topic";
    /// Its owner has not answered what the sender wrote before.
    Stranger = "publish_stranger", PUBLISH, "";
    /// Nobody may have the client ID of the inbox.
    Unregistered = "publish_unregistered", PUBLISH,
        "correct the topic, or add the user to the password file and send SIGHUP";
    /// A request to the broker is none, or asks for too much.
    RequestRefused = "publish_request", PUBLISH, "";
    /// Its sender asks for receipts that there are not, or that it may not have sent there.
    Receipt = "publish_receipt", PUBLISH, "";
    /// An inbox is full.
    InboxFull = "publish_full", PUBLISH,
        "have its owner read, purge it, or raise inbox.messages_max or inbox.bytes_max, or the size that an [[inbox]] of the access rules gives it";
    /// A sender holds its share of an inbox.
    SenderShare = "publish_share", PUBLISH, "have its owner read or block that sender, or raise inbox.sender_share";
    /// Its sender used its `id` for another message.
    OtherPayload = "publish_other_payload", PUBLISH, "correct the sender: each message to an inbox needs an id of its own";
    /// The disk watermark is reached.
    DiskFull = "publish_disk_full", PUBLISH, "make room on the disk, or lower store.disk_free_bytes_min";
    /// The memory budget is used up.
    MemoryFull = "publish_memory_full", PUBLISH,
        "look what fills it: readers that do not read, retained messages; or raise memory.budget";
    /// There are as many retained messages as there may be.
    RetainedFull = "publish_retained_full", PUBLISH,
        "or raise router.retained_messages_max or router.retained_bytes_max";
    /// The store cannot make room for now.
    StoreTroubled = "publish_store_troubled", PUBLISH, "it goes on by itself; an error in this log says what it lacks";
    /// The store fails, an inbox cannot be read, or ordinary publish/subscribe has stopped.
    Failed = "publish_failed", PUBLISH, "look for an error in this log, and start the broker again";
    /// Retained messages are turned off.
    RetainOff = "publish_retain", PUBLISH, "publish without RETAIN, or allow retained messages (router.retained_messages_max)";
    /// A payload over the limit.
    PayloadTooLarge = "publish_too_large", PUBLISH, "send less at once, or raise mqtt.message_bytes_max";
    /// A will that was not published.
    Will = "publish_will", WILL, "change the will of that client, or make room for it";
    /// Messages of a shared subscription that no other member could have.
    SharedLost = "shared_lost", LOST,
        "have more than one member in the group, or members whose sessions are kept";
    /// A packet that cannot be read.
    Malformed = "packet_malformed", ENDED, "tell the author of the client";
    /// A packet that breaks the protocol.
    ProtocolError = "packet_protocol", ENDED, "tell the author of the client";
    /// Nothing came for too long.
    KeepAlive = "keep_alive", ENDED, "";
    /// The client held a message unacknowledged for too long.
    AckTimeout = "ack_timeout", ENDED,
        "its application hangs or is slow: look at it, or raise delivery.ack_timeout; all its mail waits in its inbox";
    /// What proved who the client is came to its end.
    Expired = "credentials_expired", ENDED, "";
    /// A fresh token was not accepted.
    NotRenewed = "credentials_not_renewed", ENDED, "";
    /// The access rules changed, and the client may not have its client ID any more.
    Withdrawn = "access_withdrawn", ENDED, "";
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
    /// An operator wanted it to end.
    ByOperator = "disconnected_by_operator", ENDED, "";
    /// What came is no WebSocket.
    WebSocketFrame = "packet_websocket", ENDED, "tell the author of the client";
    /// For another reason.
    EndedOther = "packet_other", ENDED, "";
}

impl Cause {
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Whether an access rule is the cause, which is told once of each client and rule.
    pub(super) fn is_by_rule(self) -> bool {
        matches!(self, Cause::PublishDenied | Cause::NotAuthorized)
    }

    /// Of a connection that the broker ended, after its client was let in.
    pub fn of_ending(closed: &Closed) -> Self {
        match closed {
            Closed::Undecodable(error) => match error {
                DecodeError::Malformed(_) => Cause::Malformed,
                DecodeError::Protocol(_) => Cause::ProtocolError,
                DecodeError::TooLarge { .. } => Cause::PacketTooLarge,
                DecodeError::UnsupportedVersion(_) => Cause::EndedOther,
                DecodeError::TopicNameInvalid(_) => Cause::PacketTopic,
                DecodeError::TopicAliasInvalid => Cause::TopicAlias,
            },
            Closed::NotConnect
            | Closed::Unexpected(_)
            | Closed::UnaskedAuth
            | Closed::WrongAuth
            | Closed::EarlyPubRel
            | Closed::WrongPubAck
            | Closed::WrongPubRec
            | Closed::WrongPubComp
            | Closed::LateSessionExpiry
            | Closed::NoLocalOfShared
            | Closed::UnknownAlias
            | Closed::Late => Cause::ProtocolError,
            Closed::ReceiveMaximum => Cause::ReceiveMaximum,
            Closed::AliasTooHigh => Cause::TopicAlias,
            Closed::AnswerTooLarge | Closed::NotPublished(NotPublished::TooLarge { .. }) => Cause::PacketTooLarge,
            Closed::Transport(_) => Cause::WebSocketFrame,
            Closed::Declined(declined) => Cause::of_declined(declined),
            Closed::NotPublished(why) => Cause::of_publish(why),
            Closed::Expired => Cause::Expired,
            Closed::NotRenewed(_) => Cause::NotRenewed,
            Closed::Withdrawn(_) => Cause::Withdrawn,
            Closed::Silent | Closed::SilentForLess => Cause::KeepAlive,
            Closed::Stuck => Cause::AckTimeout,
            Closed::TakenOver => Cause::TakenOver,
            Closed::ByOperator => Cause::ByOperator,
            Closed::RetainUnavailable | Closed::PartialsFull | Closed::ShuttingDown => Cause::EndedOther,
        }
    }

    /// Of a connection whose client was not let in.
    pub fn of_connect(closed: &Closed) -> Self {
        match closed {
            Closed::Late => Cause::ConnectTimeout,
            Closed::NotConnect => Cause::NotConnect,
            Closed::PartialsFull => Cause::ConnectMemory,
            Closed::Undecodable(error) => match error {
                DecodeError::Malformed(_) | DecodeError::Protocol(_) | DecodeError::TopicAliasInvalid => {
                    Cause::ConnectMalformed
                }
                DecodeError::TooLarge { .. } => Cause::ConnectTooLarge,
                DecodeError::UnsupportedVersion(_) => Cause::ProtocolVersion,
                DecodeError::TopicNameInvalid(_) => Cause::WillInvalid,
            },
            other => Cause::of_ending(other),
        }
    }

    fn of_declined(declined: &Declined) -> Self {
        match declined {
            Declined::ClientId(_)
            | Declined::NamelessSession
            | Declined::NamelessV31
            | Declined::Denied(Denied::BrokersId) => Cause::ClientIdInvalid,
            Declined::AuthenticationMethod => Cause::AuthenticationMethod,
            Declined::WillTopic(_) | Declined::WillRetained => Cause::WillInvalid,
            Declined::WillTooLarge { .. } | Declined::AnswerTooLarge => Cause::ConnectTooLarge,
            Declined::Denied(Denied::Credentials) => Cause::ConnectCredentials,
            Declined::Denied(Denied::Token(_)) => Cause::ConnectToken,
            Declined::Denied(Denied::TooManyFailures) => Cause::ConnectGuessing,
            Declined::Denied(Denied::Undecided) => Cause::AuthenticationTimeout,
            Declined::Denied(_) => Cause::ConnectDenied,
            Declined::Quota(_) => Cause::ConnectQuota,
            Declined::MemoryFull => Cause::ConnectMemory,
            Declined::MadeUpId(_) => Cause::ConnectMalformed,
        }
    }

    /// Of a publish that was refused.
    pub fn of_publish(why: &NotPublished) -> Self {
        match why {
            NotPublished::TooLarge { .. } => Cause::PayloadTooLarge,
            NotPublished::RetainOff => Cause::RetainOff,
            NotPublished::Request(_)
            | NotPublished::Marks(_)
            | NotPublished::Amendment(_)
            | NotPublished::OperatorsBusy
            | NotPublished::NoResponseTopic => Cause::RequestRefused,
            NotPublished::Shut(Shut::NoSuchReceipt(_) | Shut::ResponseTopic(_)) => Cause::Receipt,
            NotPublished::Shut(Shut::Nowhere(_) | Shut::Denied(Denied::Reserved)) => Cause::TopicInvalid,
            NotPublished::Shut(Shut::Denied(Denied::Stranger)) => Cause::Stranger,
            NotPublished::Shut(Shut::Denied(Denied::Unregistered)) => Cause::Unregistered,
            NotPublished::Shut(Shut::Denied(_)) => Cause::PublishDenied,
            NotPublished::Inbox(refusal)
            | NotPublished::Shut(Shut::Full(refusal))
            | NotPublished::Router(PublishError::Refused(refusal)) => Cause::of_refusal(*refusal),
            NotPublished::Router(PublishError::RetainedFull) => Cause::RetainedFull,
            NotPublished::Router(PublishError::Stopped) => Cause::Failed,
        }
    }

    fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InboxFull | Refusal::LargerThanInbox => Cause::InboxFull,
            Refusal::SenderShare => Cause::SenderShare,
            Refusal::OtherPayload => Cause::OtherPayload,
            Refusal::DiskFull => Cause::DiskFull,
            Refusal::MemoryFull => Cause::MemoryFull,
            Refusal::StoreTroubled => Cause::StoreTroubled,
            Refusal::StoreFailed => Cause::Failed,
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
