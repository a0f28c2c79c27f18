//! What operators can see: log lines, events and numbers under `$SYS/inboxd/`.
//!
//! | topic | when | payload |
//! |---|---|---|
//! | `$SYS/inboxd/event/expired`, `…/dropped` | a message left an inbox unread (contract rule 5) | JSON: `inbox`, `seq`, `id`, `from`, `reason` |
//! | `$SYS/inboxd/metrics` | every ten seconds, retained | JSON: every counter by name |
//! | `$SYS/inboxd/version` | at the start, retained | text |

use std::sync::Arc;
use std::time::Duration;

use access::Identity;
use bytes::Bytes;
use inbox_bridge::{
    ClientId, Event, EventKind, Heard, Left, Listener, MemoryBudget, Node, Observer, Pressure, Qos, Seq, StoreError,
    Trouble, message_id,
};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use intake::{Publication, Taken};
use mqtt_session::Shared;
use pubsub::{OrdinaryMessage, PublishError, Router};

const METRICS_EVERY: Duration = Duration::from_secs(10);
/// Events that wait to be published. Beyond, they are only logged and counted, and how many were missed is logged.
const EVENTS_MAX: usize = 1024;

/// The broker's [`Observer`].
pub(crate) struct Watcher {
    store_failed: watch::Sender<bool>,
}

impl Watcher {
    /// Gives also what comes out of it: whether the store failed.
    pub(crate) fn new() -> (Self, watch::Receiver<bool>) {
        let (store_failed, failed) = watch::channel(false);
        (Watcher { store_failed }, failed)
    }
}

impl Observer for Watcher {
    fn left(&self, inbox: &ClientId, seq: Seq, from: &ClientId, why: Left) {
        tracing::info!(%inbox, %seq, %from, reason = why.as_str(), "a message left its inbox unread");
    }

    fn store_failed(&self, error: &StoreError) {
        tracing::error!(%error, "FATAL: the store failed; nothing more is acknowledged, and the broker ends");
        self.store_failed.send_replace(true);
    }

    fn unreadable(&self, inbox: &ClientId, error: &StoreError) {
        tracing::error!(%inbox, %error, "an inbox cannot be read; its messages stay where they are");
    }

    fn memory(&self, pressure: Pressure, budget: &MemoryBudget) {
        let (used, limit) = (budget.used(), budget.limit());
        match pressure {
            Pressure::None => tracing::info!(used, limit, "memory is not scarce any more"),
            Pressure::Refuse => tracing::error!(
                used,
                limit,
                "the memory budget is used up: new messages and clients are refused. Look for readers that do not read, or raise \
                 memory.budget"
            ),
            pressure => tracing::warn!(
                used,
                limit,
                measure = pressure.as_str(),
                "memory is scarce: publishers are slowed down. Look for readers that do not read, or raise memory.budget"
            ),
        }
    }

    fn store_is_troubled(&self, trouble: Option<Trouble>) {
        match trouble {
            Some(trouble) => {
                tracing::error!(%trouble, "the store cannot make room: new messages for inboxes are refused until it can; reading goes on");
            }
            None => tracing::info!("the store can make room again: new messages for inboxes are accepted"),
        }
    }

    fn disk_is_full(&self, is_full: bool, free_bytes: u64) {
        if is_full {
            tracing::error!(
                free_bytes,
                "the disk is nearly full: new messages for inboxes are refused (store.disk_free_bytes_min)"
            );
        } else {
            tracing::info!(
                free_bytes,
                "the disk has room again: new messages for inboxes are accepted"
            );
        }
    }
}

/// Publishes events as they come and numbers now and then, for ever.
pub(crate) async fn report(shared: Arc<Shared>, router: Router, events: Listener) {
    publish(
        &shared,
        &router,
        "version".into(),
        env!("CARGO_PKG_VERSION").into(),
        true,
    )
    .await;
    let mut ticks = tokio::time::interval(METRICS_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                shared.metrics.refusals.tell_left_out(shared.node.now().mono);
                publish(&shared, &router, "metrics".into(), metrics(&shared, &router), true).await;
            }
            heard = events.next() => match heard {
                Heard::Event(event) => {
                    if let Some((name, payload)) = published(&event) {
                        publish(&shared, &router, format!("event/{name}"), payload, false).await;
                    }
                }
                Heard::Missed(missed) => tracing::warn!(missed, "events came faster than they are published under $SYS; the counters have them"),
            },
        }
    }
}

/// The events that `$SYS` has: those that nobody else would tell an application of.
pub(crate) fn listen(node: &Node) -> Listener {
    node.events.listen(&[EventKind::Left], EVENTS_MAX)
}

/// The last level of an event's topic, and its payload.
fn published(event: &Event) -> Option<(&'static str, String)> {
    match event {
        Event::Left {
            inbox,
            seq,
            from,
            id,
            why,
        } => {
            let id = id.as_deref().map_or_else(|| message_id(*seq), str::to_owned);
            let reason = why.as_str();
            let payload =
                json!({"inbox": inbox.as_str(), "seq": seq.0, "id": id, "from": from.as_str(), "reason": reason});
            Some((reason, payload.to_string()))
        }
        _ => None,
    }
}

pub(crate) fn metrics(shared: &Shared, router: &Router) -> String {
    let inboxes = shared.node.counters.snapshot();
    let budget = &shared.node.budgets.all;
    let memory = [
        ("memory_used", budget.used() as u64),
        ("memory_limit", budget.limit() as u64),
        ("memory_pressure", budget.pressure() as u64),
    ];
    let routed = [
        ("router_restarts", router.restarts()),
        ("router_refreshes", router.refreshes()),
        ("router_lost", router.lost()),
        ("shared_subscription_lost", router.orphans_lost()),
        ("log_records_lost", crate::logging::lost()),
        ("audit_records_lost", crate::logging::audit_lost()),
        ("store_is_troubled", u64::from(shared.node.inboxes.is_troubled())),
    ];
    let numbers = shared
        .metrics
        .snapshot()
        .into_iter()
        .chain(inboxes)
        .chain(routed)
        .chain(memory);
    let object: Map<String, Value> = numbers.map(|(name, number)| (name.to_owned(), number.into())).collect();
    Value::Object(object).to_string()
}

async fn publish(shared: &Shared, router: &Router, name: String, payload: String, retain: bool) {
    let topic = format!("$SYS/inboxd/{name}");
    let said = || Publication {
        qos: Qos::AtLeastOnce,
        retain,
        message_expiry: None,
        payload: Bytes::from(payload),
        properties: None,
    };
    let intake = shared.intake(shared.node.now());
    let message = match intake.take(&Identity::broker(), &topic, said) {
        Ok(Taken::Ordinary(message)) => message,
        Ok(Taken::Inbox(..)) => return,
        Err(error) => {
            tracing::debug!(%error, name, "a $SYS message was not published");
            return;
        }
    };
    let mut published = router.publish(message.clone()).await;
    if published == Err(PublishError::RetainedFull) {
        // Whoever is subscribed sees it nevertheless.
        published = router
            .publish(OrdinaryMessage {
                retain: false,
                ..message
            })
            .await;
    }
    if let Err(error) = published {
        tracing::debug!(%error, name, "a $SYS message was not published");
    }
}
