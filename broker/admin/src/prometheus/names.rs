//! What the broker's numbers are called here.

/// How a number behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It is of now.
    Gauge,
    /// So many bytes, of now.
    Bytes,
}

/// A number of `$SYS/inboxd/metrics`.
#[derive(Debug)]
pub(super) struct Known {
    /// Its name there.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Its name here, without `_total` and `_bytes`.
    pub(super) metric: &'static str,
    pub(super) help: &'static str,
}

const fn counts(name: &'static str, metric: &'static str, help: &'static str) -> Known {
    let kind = Kind::Counter;
    Known {
        name,
        kind,
        metric,
        help,
    }
}

const fn shows(name: &'static str, metric: &'static str, help: &'static str) -> Known {
    let kind = Kind::Gauge;
    Known {
        name,
        kind,
        metric,
        help,
    }
}

const fn bytes(name: &'static str, metric: &'static str, help: &'static str) -> Known {
    let kind = Kind::Bytes;
    Known {
        name,
        kind,
        metric,
        help,
    }
}

/// Causes of refusals that the inboxes count themselves; the others are counted where clients are answered.
pub(crate) const INBOX_REFUSALS: [&str; 7] = [
    "inbox_full",
    "sender_share",
    "other_payload",
    "disk_full",
    "memory_full",
    "store_troubled",
    "store_failed",
];

/// Every number but the refusals.
pub(super) const NUMBERS: [Known; 57] = [
    shows("connections", "inboxd_connections", "Open MQTT connections"),
    counts(
        "connects_accepted",
        "inboxd_connects_accepted",
        "CONNECTs that were accepted",
    ),
    counts(
        "connects_refused",
        "inboxd_connects_refused",
        "CONNECTs that were refused, and connections that never sent one",
    ),
    counts(
        "half_packets_refused",
        "inboxd_half_packets_refused",
        "Connections closed because packets that are not whole took too much memory",
    ),
    counts(
        "connects_refused_memory",
        "inboxd_connects_refused_memory",
        "Clients not let in because the memory budget was used up",
    ),
    counts("takeovers", "inboxd_takeovers", "Connections that took a session over"),
    counts(
        "protocol_errors",
        "inboxd_protocol_errors",
        "Connections that the broker ended, but for takeovers and its own shutdown",
    ),
    counts(
        "publishes_refused",
        "inboxd_publishes_refused",
        "Publishes that were refused",
    ),
    counts(
        "publishes_bounced",
        "inboxd_publishes_bounced",
        "Refused publishes that a notice told",
    ),
    counts(
        "reserved_topics_dropped",
        "inboxd_reserved_topics_dropped",
        "Publishes and wills to topics that begin with $",
    ),
    counts(
        "ordinary_overflowed",
        "inboxd_ordinary_messages_overflowed",
        "Ordinary messages dropped because their reader was too slow",
    ),
    counts(
        "too_large_for_reader",
        "inboxd_messages_too_large_for_reader",
        "Messages not sent because of the reader's Maximum Packet Size",
    ),
    counts("wills_published", "inboxd_wills_published", "Wills that were published"),
    counts(
        "accepted",
        "inboxd_messages_accepted",
        "Messages with QoS 1 or 2 that inboxes accepted",
    ),
    counts(
        "delivered",
        "inboxd_messages_delivered",
        "Messages handed to readers of inboxes, repetitions included",
    ),
    counts(
        "acknowledged",
        "inboxd_messages_acknowledged",
        "Messages that readers of inboxes acknowledged",
    ),
    counts(
        "never_written",
        "inboxd_messages_never_written",
        "Acknowledged messages that the disk never saw",
    ),
    counts("committed", "inboxd_messages_committed", "Messages made durable"),
    counts("commits", "inboxd_commits", "Commits"),
    counts(
        "rooms_told",
        "inboxd_room_notices",
        "Senders told that there is room again",
    ),
    counts(
        "rooms_forgotten",
        "inboxd_room_requests_forgotten",
        "Senders that asked to be told of room and were forgotten",
    ),
    counts(
        "paged_out",
        "inboxd_inboxes_paged_out",
        "Times that durable mail of an inbox left memory because the budget was nearly used up",
    ),
    shows(
        "store_is_troubled",
        "inboxd_store_troubled",
        "1 while the store lacks something and new messages are refused",
    ),
    counts(
        "store_troubles",
        "inboxd_store_troubles",
        "Times that the store began to refuse new messages for want of something",
    ),
    counts(
        "reads_retried",
        "inboxd_store_reads_retried",
        "Reads of stored mail that were tried again",
    ),
    counts(
        "repeated",
        "inboxd_publishes_repeated",
        "Publishes that repeated an id and were not stored again",
    ),
    counts("receipts", "inboxd_receipts", "Receipts made for senders"),
    counts(
        "receipts_lost",
        "inboxd_receipts_lost",
        "Receipts given up because there was no room for them",
    ),
    counts(
        "ids_forgotten",
        "inboxd_ids_forgotten",
        "Ids of messages forgotten before their time",
    ),
    counts("expired", "inboxd_messages_expired", "Messages that expired in inboxes"),
    counts(
        "dropped",
        "inboxd_messages_dropped",
        "Messages dropped from full inboxes",
    ),
    counts(
        "qos0_undelivered",
        "inboxd_qos0_undelivered",
        "Messages with QoS 0 for inboxes that nobody got",
    ),
    counts(
        "pages_read",
        "inboxd_store_pages_read",
        "Pages read from the store for readers",
    ),
    counts(
        "shared_subscription_lost",
        "inboxd_shared_subscription_lost",
        "Messages of shared subscriptions that were lost",
    ),
    counts(
        "retained_unreadable",
        "inboxd_retained_unreadable",
        "Retained messages that were damaged or could not be read",
    ),
    counts(
        "log_records_lost",
        "inboxd_log_records_lost",
        "Log records that standard error did not take",
    ),
    counts(
        "audit_records_lost",
        "inboxd_audit_records_lost",
        "Records of the audit log that its file did not take",
    ),
    counts(
        "router_restarts",
        "inboxd_router_restarts",
        "Routers of ordinary topics replaced because they failed",
    ),
    counts(
        "router_refreshes",
        "inboxd_router_refreshes",
        "Routers of ordinary topics replaced because they had grown",
    ),
    counts(
        "router_lost",
        "inboxd_router_messages_lost",
        "Ordinary messages that a router lost",
    ),
    bytes(
        "memory_used",
        "inboxd_memory_used",
        "Bytes that clients make the broker keep",
    ),
    bytes(
        "memory_limit",
        "inboxd_memory_limit",
        "Bytes that clients may make the broker keep",
    ),
    shows(
        "memory_pressure",
        "inboxd_memory_pressure",
        "0; 1: publishers are slowed down; 2: and durable mail leaves memory; 3: and new messages are refused",
    ),
    counts(
        "bytes_received",
        "inboxd_received_bytes",
        "Bytes of MQTT that came from clients",
    ),
    counts(
        "bytes_sent",
        "inboxd_sent_bytes",
        "Bytes of MQTT that the sockets of clients took",
    ),
    counts(
        "packets_received",
        "inboxd_packets_received",
        "Packets of clients that were let in",
    ),
    counts(
        "packets_sent",
        "inboxd_packets_sent",
        "PUBLISH packets and the answers to those of clients",
    ),
    counts(
        "publishes_received",
        "inboxd_publishes_received",
        "PUBLISH packets of clients",
    ),
    counts(
        "publish_bytes_received",
        "inboxd_publish_received_bytes",
        "Bytes of payloads of clients",
    ),
    counts("publishes_sent", "inboxd_publishes_sent", "PUBLISH packets to clients"),
    counts(
        "publish_bytes_sent",
        "inboxd_publish_sent_bytes",
        "Bytes of payloads to clients",
    ),
    counts("purged", "inboxd_messages_purged", "Messages that operators removed"),
    counts(
        "idle",
        "inboxd_messages_idle",
        "Messages that went with their inbox, whose owner did not come",
    ),
    counts(
        "collapsed",
        "inboxd_messages_collapsed",
        "Messages that a later one of their sender with the same key replaced",
    ),
    counts(
        "recalled",
        "inboxd_messages_recalled",
        "Messages that their senders took back before they were delivered",
    ),
    counts(
        "edited",
        "inboxd_messages_edited",
        "Messages that their senders replaced before they were delivered",
    ),
    counts(
        "inboxes_forgotten",
        "inboxd_inboxes_forgotten",
        "Inboxes that were forgotten because their owner did not come",
    ),
];

/// Where a number of `$SYS/inboxd/metrics` is found here: the name of the metric, with its label if it has one. `None`: it has no name here
/// yet, and is told under a makeshift one.
pub fn metric_of(name: &str) -> Option<String> {
    if let Some(cause) = name.strip_prefix("refused_") {
        let family = match INBOX_REFUSALS.contains(&cause) {
            true => "inboxd_inbox_refusals",
            false => "inboxd_refusals",
        };
        return Some(format!("{family}_total{{cause=\"{cause}\"}}"));
    }
    let known = NUMBERS.iter().find(|known| known.name == name)?;
    let suffix = match known.kind {
        Kind::Counter => "_total",
        Kind::Bytes => "_bytes",
        Kind::Gauge => "",
    };
    Some(format!("{}{suffix}", known.metric))
}
