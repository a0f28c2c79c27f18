//! Requests about sessions: of clients that are connected, and those that are kept for clients that are away.

use inbox_bridge::Micros;
use mqtt_session::{Seen, Subscribed, WantedFilters};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{OfClient, Parts, page_of};
use crate::bounds::{LISTED, LISTED_MAX, within};
use crate::error::{OperatorError, client_id};

/// Which sessions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    after: Option<String>,
    limit: Option<u64>,
}

/// Which session, and which of its subscriptions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    client: String,
    after: Option<u32>,
    limit: Option<u64>,
}

/// A page of the sessions, in byte order of their client IDs.
pub(super) async fn list(parts: &Parts, wanted: Listed) -> Result<Value, OperatorError> {
    let limit = within("limit", wanted.limit, LISTED, 1, LISTED_MAX)?;
    let after = wanted.after.as_deref().map(client_id).transpose()?;
    let mut page = parts.table.page(after.as_ref(), limit + 1).await;
    let is_more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| is_more).map(|last| json!(last.client.as_str()));
    let now = parts.shared.node.now().wall;
    let shown = page.iter().map(|seen| Value::Object(session(seen, now)));
    Ok(page_of("sessions", shown.collect(), next))
}

/// One session, with a page of its subscriptions.
pub(super) async fn show(parts: &Parts, wanted: Shown) -> Result<Value, OperatorError> {
    let client = client_id(&wanted.client)?;
    let filters = WantedFilters {
        after: wanted.after,
        limit: within("limit", wanted.limit, LISTED, 1, LISTED_MAX)?,
        // The answer is a message, too.
        bytes: parts.shared.mqtt.message_bytes_max / 4,
    };
    let seen = parts
        .table
        .look(&client, filters)
        .await
        .ok_or(OperatorError::NoClient)?;
    let mut answer = session(&seen, parts.shared.node.now().wall);
    if let Some(holds) = &seen.holds {
        answer.insert("filters".to_owned(), holds.page.iter().map(subscription).collect());
        let last = holds.page.last().filter(|_| holds.has_more);
        answer.extend(last.map(|last| ("next".to_owned(), json!(last.number))));
    }
    Ok(Value::Object(answer))
}

/// Ends a session, and nothing else of its client.
pub(super) async fn end(parts: &Parts, by: &str, wanted: OfClient) -> Result<Value, OperatorError> {
    let client = client_id(&wanted.client)?;
    let ended = parts.table.forget(&client).await?;
    if ended {
        super::audit(by, "end-session", &client, None);
    }
    Ok(json!({"ended": ended}))
}

/// A session at this time, without its subscriptions.
pub fn session(seen: &Seen, now: Micros) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("client", json!(seen.client.as_str()));
    put("connected", json!(seen.is_connected));
    if let Some(ends_in) = seen.ends_in {
        let micros = u64::try_from(ends_in.as_micros()).unwrap_or(u64::MAX);
        put("expires_at", json!(now.0.saturating_add(micros)));
    }
    if let Some(holds) = &seen.holds {
        if let Some(protocol) = holds.protocol {
            put("protocol", json!(protocol));
        }
        if holds.expiry != u32::MAX {
            put("expiry", json!(holds.expiry));
        }
        put("durable", json!(holds.is_durable));
        put("subscriptions", json!(holds.subscriptions));
        put("messages", json!(holds.messages));
        put("bytes", json!(holds.bytes));
    }
    fields
}

/// A subscription.
pub fn subscription(subscribed: &Subscribed) -> Value {
    json!({"filter": subscribed.filter, "qos": subscribed.qos as u8})
}
