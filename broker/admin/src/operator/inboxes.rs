//! Requests about inboxes.

use inbox_bridge::{ClientId, PAGE_BYTES_MAX, PageLimit, Purge, Seq};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{OfClient, Parts, message, page_of};
use crate::board::oldest_at;
use crate::bounds::{LISTED, LISTED_MAX, PEEKED, PEEKED_MAX, within};
use crate::error::{OperatorError, client_id};

/// Inboxes read at a time.
const PAGE: usize = 512;
/// Bytes of each payload that a peek gives, unless others are asked for.
const PEEKED_BYTES: usize = 1024;

/// Which inboxes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    after: Option<String>,
    limit: Option<u64>,
    prefix: Option<String>,
}

/// Which messages of an inbox.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peeked {
    client: String,
    after: Option<u64>,
    limit: Option<u64>,
    payload_bytes_max: Option<u64>,
}

/// What of an inbox.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purged {
    client: String,
    up_to: Option<u64>,
}

/// A page of the inboxes that hold something, in byte order of their client IDs.
pub(super) fn list(parts: &Parts, wanted: Listed) -> Result<Value, OperatorError> {
    let limit = within("limit", wanted.limit, LISTED, 1, LISTED_MAX)?;
    let prefix = wanted.prefix.unwrap_or_default();
    let mut after = wanted.after.as_deref().map(client_id).transpose()?;
    let mut found = Vec::new();
    if let Ok(first) = client_id(&prefix)
        && after.as_ref().is_none_or(|after| *after < first)
    {
        // Everything that begins so comes behind what is called just so.
        if let Some(record) = parts.store.inbox(&first)? {
            let (messages, bytes) = (record.messages, record.bytes);
            found.push(json!({"client": first.as_str(), "messages": messages, "bytes": bytes}));
        }
        after = Some(first);
    }
    let mut next = None;
    'pages: loop {
        let page = parts.store.inboxes(after.as_ref(), PAGE)?;
        let is_end = page.len() < PAGE;
        for (client, record) in page {
            if !client.as_str().starts_with(&prefix) {
                // In byte order, nothing behind this one begins so.
                break 'pages;
            }
            if found.len() >= limit {
                next = after;
                break 'pages;
            }
            let (messages, bytes) = (record.messages, record.bytes);
            found.push(json!({"client": client.as_str(), "messages": messages, "bytes": bytes}));
            after = Some(client);
        }
        if is_end {
            break;
        }
    }
    Ok(page_of("inboxes", found, next.map(|next| json!(next.as_str()))))
}

/// One inbox in numbers.
pub(super) fn show(parts: &Parts, wanted: OfClient) -> Result<Value, OperatorError> {
    let client = client_id(&wanted.client)?;
    let record = parts.store.inbox(&client)?.unwrap_or_default();
    let in_memory = parts.hub.in_memory(&client).unwrap_or_default();
    let size = parts.hub.size_of(&client);
    // A message that cannot be read does not keep the rest from being told.
    let oldest = oldest_at(&*parts.store, &client).map(|at| at.0);
    Ok(json!({
        "client": client.as_str(),
        "messages": (record.messages + in_memory.unstored).saturating_sub(in_memory.leaving),
        "bytes": record.bytes,
        "messages_max": size.messages_max,
        "bytes_max": size.bytes_max,
        "oldest_at": oldest,
        "reader": in_memory.has_reader,
        "in_flight": in_memory.in_flight,
        "connected": parts.shared.metrics.present.get(&client).is_some(),
    }))
}

/// A page of the messages of an inbox, oldest first. Nothing changes by it.
pub(super) fn peek(parts: &Parts, by: &str, wanted: &Peeked) -> Result<Value, OperatorError> {
    let most = parts.shared.mqtt.message_bytes_max;
    let payload_bytes_max = within("payload_bytes_max", wanted.payload_bytes_max, PEEKED_BYTES, 0, most)?;
    messages(parts, by, wanted, payload_bytes_max)
}

/// The same, with whole payloads.
pub(super) fn export(parts: &Parts, by: &str, wanted: &Peeked) -> Result<Value, OperatorError> {
    messages(parts, by, wanted, usize::MAX)
}

fn messages(parts: &Parts, by: &str, wanted: &Peeked, payload_bytes_max: usize) -> Result<Value, OperatorError> {
    let client = client_id(&wanted.client)?;
    let limit = PageLimit {
        messages: within("limit", wanted.limit, PEEKED, 1, PEEKED_MAX)?,
        // The answer is a message, too.
        bytes: PAGE_BYTES_MAX.min(parts.shared.mqtt.message_bytes_max / 4),
    };
    let page = parts
        .store
        .read(&client, Seq(wanted.after.unwrap_or_default()), limit)?;
    super::audit_look(by, &client, page.entries.len());
    let shown = page
        .entries
        .iter()
        .map(|entry| message::shown(entry, payload_bytes_max));
    let next = page.entries.last().filter(|_| page.more).map(|last| json!(last.seq.0));
    Ok(page_of("messages", shown.collect(), next))
}

/// Everything that an inbox holds leaves it, or everything up to a seq.
pub(super) fn purge(parts: &Parts, by: &str, wanted: Purged) -> Result<Value, OperatorError> {
    let client = client_id(&wanted.client)?;
    let purged = empty(parts, by, "purge", &client, wanted.up_to.map(Seq))?;
    Ok(json!({"purged": purged}))
}

/// Empties an inbox, and notes that in the audit log.
pub(super) fn empty(
    parts: &Parts,
    by: &str,
    what: &'static str,
    client: &ClientId,
    up_to: Option<Seq>,
) -> Result<u64, OperatorError> {
    let Purge { messages, is_durable } = parts.hub.purge(&*parts.store, client, up_to)?;
    super::audit(by, what, client, Some((messages, is_durable)));
    match is_durable {
        true => Ok(messages),
        false => Err(OperatorError::NotDurable(messages)),
    }
}
