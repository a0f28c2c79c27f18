//! Requests about clients: who is connected, and everything that is kept about one.

use std::sync::Arc;

use inbox_bridge::{ClientId, Port, Ticket, party};
use mqtt_session::Presence;
use serde::Deserialize;
use serde_json::{Value, json};

use super::inboxes::empty;
use super::{OfClient, Parts, page_of};
use crate::bounds::{LISTED, LISTED_MAX, within};
use crate::error::{OperatorError, client_id};
use crate::speaking::Nobody;

/// Which clients.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    after: Option<String>,
    limit: Option<u64>,
}

/// A page of the clients that are connected, in byte order of their IDs.
pub(super) fn list(parts: &Parts, wanted: &Listed) -> Result<Value, OperatorError> {
    let limit = within("limit", wanted.limit, LISTED, 1, LISTED_MAX)?;
    let after = wanted.after.as_deref().map(client_id).transpose()?;
    let mut page = parts.shared.metrics.present.page(after.as_ref(), limit + 1);
    let is_more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| is_more).map(|last| json!(last.client.as_str()));
    Ok(page_of("clients", page.iter().map(shown).collect(), next))
}

/// One client.
pub(super) fn show(parts: &Parts, wanted: &OfClient) -> Result<Value, OperatorError> {
    let client = client_id(&wanted.client)?;
    match parts.shared.metrics.present.get(&client) {
        Some(presence) => Ok(shown(&presence)),
        None if parts.table.is_kept(&client) => Ok(json!({"client": client.as_str(), "connected": false})),
        None => Err(OperatorError::NoClient),
    }
}

fn shown(presence: &Presence) -> Value {
    json!({
        "client": presence.client.as_str(),
        "user": presence.user,
        "peer": presence.peer.to_string(),
        "listener": presence.listener.as_deref(),
        "protocol": presence.protocol,
        "connected_at": presence.since.0,
        "connected": true,
    })
}

/// Ends the connection of a client. Its session and its mail stay.
pub(super) fn disconnect(parts: &Parts, by: &str, wanted: &OfClient) -> Result<Value, OperatorError> {
    let client = client_id(&wanted.client)?;
    let disconnected = parts.table.disconnect(&client);
    if disconnected {
        super::audit(by, "disconnect", &client, None);
    }
    Ok(json!({"disconnected": disconnected}))
}

/// The first part of erasing: nothing of a client is in use any more.
pub(super) async fn end_session(parts: &Parts, wanted: &OfClient) -> Result<bool, OperatorError> {
    Ok(parts.table.forget(&client_id(&wanted.client)?).await?)
}

/// The second part: its inbox, whom it takes messages from, and who wrote to it. What it wrote to others is theirs.
pub(super) fn erase(parts: &Parts, by: &str, wanted: &OfClient, session: bool) -> Result<Value, OperatorError> {
    let client = client_id(&wanted.client)?;
    let node = &parts.shared.node;
    let has_lists = parts.shared.access.recipients().forget(&client, &node.budgets.all);
    if has_lists {
        let port: Arc<dyn Port> = Arc::new(Nobody);
        node.inboxes.keep_senders(&client, None, &port, Ticket(0));
    }
    let acquaintances = forget_acquaintances(parts, &client);
    // It waits until all of it is durable.
    let purged = empty(parts, by, "erase", &client, None)?;
    // What counts that, and what left before, goes with the next commit.
    parts.hub.erase_unread(&client);
    Ok(json!({
        "purged": purged,
        "session": session,
        "kept": {"lists": u64::from(has_lists), "acquaintances": acquaintances},
    }))
}

/// Who wrote to whom is kept by party, so it is the user's as much as the client's: it is forgotten with the client that is called as the party.
fn forget_acquaintances(parts: &Parts, client: &ClientId) -> usize {
    let node = &parts.shared.node;
    match parts.shared.access.strangers() {
        Some(strangers) if party(client.as_str()) == client.as_str() => {
            let gone = strangers.forget(client.as_str());
            let entries = gone.len();
            node.inboxes.keep_acquaintances(gone);
            entries
        }
        _ => 0,
    }
}
