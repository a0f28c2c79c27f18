//! What operators can see: log lines, and the wiring of what `$SYS` shows and answers.

use std::sync::Arc;

use admin::{Board, BoardOptions, Figures, Health, Measure, Measured, Operator, Speaker, State, answer_requests};
use hdrhistogram::Histogram;
use inbox_bridge::{Bridge, ClientId, Left, MemoryBudget, Message, Observer, Pressure, Seq, StoreError, Trouble};
use mqtt_session::{OperatorsRequest, Shared};
use pubsub::Router;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use transport::Broker;

use crate::config::Config;
use crate::receipts::{OrdinaryReceipts, Receipts};

/// The broker's [`Observer`].
pub(crate) struct Watcher {
    store_failed: watch::Sender<bool>,
    health: Arc<Health>,
    receipts: Receipts,
}

impl Watcher {
    /// Gives also what comes out of it: whether the store failed.
    pub(crate) fn new(health: Arc<Health>, receipts: Receipts) -> (Self, watch::Receiver<bool>) {
        let (store_failed, failed) = watch::channel(false);
        let watcher = Watcher {
            store_failed,
            health,
            receipts,
        };
        (watcher, failed)
    }
}

impl Observer for Watcher {
    fn left(&self, inbox: &ClientId, seq: Seq, from: &ClientId, why: Left) {
        if why.is_withdrawn() {
            return;
        }
        tracing::info!(%inbox, %seq, %from, reason = why.as_str(), "a message left its inbox unread");
    }

    fn store_failed(&self, error: &StoreError) {
        tracing::error!(%error, "FATAL: the store failed; nothing more is acknowledged, and the broker ends");
        self.health.enter(State::Failed);
        self.store_failed.send_replace(true);
    }

    fn unreadable(&self, inbox: &ClientId, error: &StoreError) {
        tracing::error!(%inbox, %error, "an inbox cannot be read; its messages stay where they are");
    }

    fn inbox_named(&self, topic: &str) -> Option<ClientId> {
        self.receipts.inbox_named(topic)
    }

    fn topic_of(&self, inbox: &str) -> String {
        self.receipts.topic_of(inbox)
    }

    fn receipt(&self, topic: &str, receipt: Message) {
        self.receipts.publish(topic, receipt);
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
        self.health.set_disk_full(is_full);
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

/// What was started for operators.
pub(crate) struct Observing {
    /// The task that tells them, and answers over MQTT.
    pub(crate) reporter: JoinHandle<()>,
    /// What is measured.
    pub(crate) numbers: Arc<Numbers>,
    /// Who carries out what they ask for over HTTP.
    pub(crate) operations: Arc<Operator>,
}

/// Starts what tells operators of the broker, and what answers them.
pub(crate) fn start(
    config: &Config,
    bridge: &Bridge,
    broker: &Broker,
    requests: flume::Receiver<OperatorsRequest>,
    receipts: OrdinaryReceipts,
) -> Observing {
    let (shared, router) = (broker.shared.clone(), broker.router.clone());
    let figures = Arc::new(Figures::new(
        bridge.hub().clone(),
        bridge.shared_store(),
        shared.clone(),
        broker.table.clone(),
        router.clone(),
        env!("CARGO_PKG_VERSION"),
        config.store.engine.name(),
    ));
    let operator = Operator::new(
        bridge.hub().clone(),
        bridge.shared_store(),
        shared.clone(),
        broker.table.clone(),
        figures.clone(),
    );
    let numbers = Arc::new(Numbers {
        shared: shared.clone(),
        router: router.clone(),
    });
    let operations = Arc::new(operator.clone());
    let speaker = Speaker::new(shared.clone(), router.clone());
    let options = BoardOptions {
        version: env!("CARGO_PKG_VERSION"),
        metrics: numbers.clone(),
    };
    let receipts = receipts.publish_all(router.clone());
    let board = Board::new(shared, router, figures, options);
    let reporter = tokio::spawn(async move {
        tokio::join!(board.run(), answer_requests(requests, operator, speaker), receipts);
    });
    Observing {
        reporter,
        numbers,
        operations,
    }
}

/// What is measured, for whoever asks.
pub(crate) struct Numbers {
    pub(crate) shared: Arc<Shared>,
    pub(crate) router: Router,
}

impl Measured for Numbers {
    fn numbers(&self) -> Vec<(&'static str, u64)> {
        let Numbers { shared, router } = self;
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
            ("retained_unreadable", router.retained_unreadable()),
            ("log_records_lost", crate::logging::lost()),
            ("audit_records_lost", crate::logging::audit_lost()),
            ("store_is_troubled", u64::from(shared.node.inboxes.is_troubled())),
        ];
        let mut numbers = shared.metrics.snapshot();
        numbers.extend(inboxes);
        numbers.extend(routed);
        numbers.extend(memory);
        numbers
    }

    fn histograms(&self) -> Vec<(Measure, Histogram<u64>)> {
        let node = &self.shared.node;
        // Whoever scrapes now and then wants what happens in between, too.
        node.timings.want_for_long(node.now().mono);
        vec![
            (Measure::PubackLatency, node.timings.puback.snapshot()),
            (Measure::DeliveryLatency, node.timings.delivery.snapshot()),
            (Measure::CommitDuration, node.timings.commit.snapshot()),
            (Measure::FsyncDuration, node.timings.sync.snapshot()),
            (Measure::CommitMessages, node.timings.commit_messages.snapshot()),
        ]
    }
}
