//! Retained messages in the store of the inboxes: brought back at the start, and kept by the same commits as mail.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use inbox_bridge::{
    Kept, MemoryBudget, Node, Port, Refusal, StartError, Store, StoreError, Table, TableKey, Ticket, entries,
};
use pubsub::{AgeSource, RetainedStore, Router, RouterOptions, Unreadable};
use tokio::time::{MissedTickBehavior, interval};

/// Damaged records that the log names one by one.
const NAMED_MAX: usize = 10;
/// How often a record is tried that cannot be read for now, and the pause in between.
const READ_ATTEMPTS: u32 = 20;
const READ_PAUSE: Duration = Duration::from_millis(100);
/// How often some retained messages are looked at for expired ones.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// See the module's documentation.
struct InTheStore {
    node: Node,
    store: Arc<dyn Store>,
}

/// Starts the router of ordinary topics, with the retained messages that `store` has. Where nothing may be retained they stay there unseen.
///
/// # Errors
/// The operating system gave no thread, or the store cannot be read.
pub fn start(options: RouterOptions, now: AgeSource, node: &Node, store: Arc<dyn Store>) -> Result<Router, StartError> {
    let retains = options.retained_messages_max > 0 && options.retained_bytes_max > 0;
    let kept = InTheStore {
        node: node.clone(),
        store: Arc::clone(&store),
    };
    let router = Router::start_keeping(options, now, Arc::new(kept))?;
    if retains {
        restore(&router, &*store)?;
    }
    Ok(router)
}

/// A record that cannot be read costs its own message, and not the start.
fn restore(router: &Router, store: &dyn Store) -> Result<(), StoreError> {
    let mut damaged = 0;
    for entry in entries(store, Table::RETAINED) {
        let (key, record) = entry?;
        if let Err(why) = router.restore(key.as_bytes(), &record) {
            damaged += 1;
            if damaged <= NAMED_MAX {
                let key = String::from_utf8_lossy(key.as_bytes());
                tracing::warn!(%key, error = %why, "a retained message is damaged, and is not there; publish it again, or clear its topic");
            }
        }
    }
    if damaged > NAMED_MAX {
        tracing::warn!(
            damaged,
            "that many retained messages are damaged, of which only the first were named"
        );
    }
    tracing::info!(messages = router.retained(), damaged, "retained messages are back");
    Ok(())
}

/// Has expired messages leave the store, a part of all at a time.
pub(crate) async fn sweep(router: Router) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        router.sweep_retained();
    }
}

impl InTheStore {
    /// What passes is waited for, as readers of mail wait; on a thread that may.
    fn get(&self, key: &Bytes) -> Result<Option<Bytes>, Unreadable> {
        let key = TableKey::new(key.clone()).map_err(|error| Unreadable(error.into()))?;
        for _ in 1..READ_ATTEMPTS {
            match self.store.get(Table::RETAINED, &key) {
                Err(StoreError::Troubled(_)) => thread::sleep(READ_PAUSE),
                read => return read.map_err(|error| Unreadable(error.into())),
            }
        }
        let read = self.store.get(Table::RETAINED, &key);
        read.map_err(|error| Unreadable(error.into()))
    }
}

impl RetainedStore for InTheStore {
    fn keep(&self, key: Bytes, value: Option<Bytes>, waits: Option<(Arc<dyn Port>, Ticket)>) {
        self.node.inboxes.keep(Kept::Retained, key, value, waits);
    }

    fn refuses(&self) -> Option<Refusal> {
        self.node.inboxes.refuses()
    }

    fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Unreadable> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn budget(&self) -> Option<&Arc<MemoryBudget>> {
        Some(&self.node.budgets.all)
    }
}
