//! Running the broker: from a configuration to an exit code.
//!
//! Shutdown, in this order, within `shutdown_timeout`: stop accepting; tell every client (MQTT 5: 0x8B) and put its session away;
//! publish what ordinary messages and wills are left; commit what waits; close the store.

mod error;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inbox_bridge::{
    Bridge, CheckpointOptions, Clock, Epoch, FjallOptions, Node, OpenError, SledOptions, StartError, StoreOptions,
    SystemClock, check_data_directory, keep_epoch, open_store,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use access::{Access, Quotas, Strangers};
use admin::{Health, Live, State};

pub(crate) use error::is_lack;
pub use error::{ServeError, open_exit};

use crate::access_rules;
use crate::addresses;
use crate::audit::{self, Auditor};
use crate::authentication;
use crate::config::{Config, RouterConfig};
use crate::descriptors;
use crate::http_ports::{self, Http};
use crate::listening::{self, Certificates, Listening};
use crate::logging;
use crate::observe::{self, Watcher};
use crate::otel::Otel;
use crate::receipts::{OrdinaryReceipts, Receipts};
use crate::reload::Reloading;
use crate::retained;
use crate::service_manager;
use crate::sessions;
use crate::signals::{Hangups, Signals};
use intake::InboxNames;
use mqtt_session::{Metrics, Operators, Order, SessionTable, Shared};
use pubsub::{AgeSource, RouterOptions};
use transport::{BindError, Broker, Door, Remark};

/// How often every client is told that the broker shuts down: some had no session yet when it began.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Requests of operators that wait for their answers.
const OPERATORS_REQUESTS_MAX: usize = 64;
/// After the store failed: how long clients are given to hear of it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How the store of `config` is opened.
pub fn store_options(config: &Config) -> StoreOptions {
    let cache_bytes = config.store.cache_bytes;
    StoreOptions {
        engine: config.store.engine,
        sled: SledOptions { cache_bytes },
        fjall: FjallOptions {
            cache_bytes,
            open_tables_max: descriptors::for_tables(),
        },
        checkpoint: CheckpointOptions {
            after: config.store.checkpoint_after,
            memory_bytes_max: config.memory_shares().log_index,
        },
    }
}

/// Looks at what [`serve`] would need, without taking or changing any of it. Gives what an operator should know.
///
/// # Errors
/// What [`serve`] would say about the address or the data directory. An address or a directory that is in use is none: it may be in
/// use by the broker whose configuration this is.
pub fn check(config: &Config) -> Result<Vec<Remark>, ServeError> {
    let remarks = listening::check(config)?;
    authentication::check(config)?;
    access_rules::load(config)?;
    http_ports::check(config)?;
    let is_there = check_data_directory(&config.data_dir, config.store.engine)?;
    if !is_there {
        check_can_be_made(&config.data_dir)?;
    }
    for spot in listening::spots(config).iter().filter(|spot| !spot.is_auto) {
        if let Some(why) = addresses::refused(spot.address) {
            let address = spot.address;
            return Err(ServeError::Listen(BindError { address, why }));
        }
    }
    Ok(remarks)
}

/// Whether the directory, or what is missing of the path to it, could be made.
fn check_can_be_made(dir: &Path) -> Result<(), ServeError> {
    let above = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let Some(nearest) = above.ancestors().find(|ancestor| ancestor.exists()) else {
        return Ok(());
    };
    rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).map_err(|why| {
        ServeError::Open(OpenError::Unwritable {
            path: dir.to_owned(),
            why: why.into(),
        })
    })
}

/// Runs the broker until it is told to end by one of `signals`, which are taken once the process may be told.
///
/// # Errors
/// See [`ServeError`].
pub fn serve(config: &Config, signals: impl FnOnce() -> io::Result<Signals>) -> Result<(), ServeError> {
    listening::check(config)?;
    descriptors::raise_limit();
    let health = Arc::new(Health::default());
    let (receipts, ordinary_receipts) = Receipts::new(InboxNames::new(&config.inbox.prefix));
    let (watcher, store_failed) = Watcher::new(health.clone(), receipts);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::System)?;
    // Before the store is opened, which can take a while.
    let signals = runtime.block_on(async { signals() }).map_err(ServeError::System)?;
    // And so that whoever waits for the broker is told so meanwhile.
    let mut http = runtime.block_on(async { Http::start(config, &health) })?;
    let store = open_store(&config.data_dir, &store_options(config))?;
    keep_epoch(&*store, Epoch::from_random(rand::random())).map_err(StartError::Store)?;
    http.tell_commands(config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bridge = Bridge::start(store, config.limits(), clock, Arc::new(watcher))?;
    let served = runtime.block_on(async {
        run(
            config,
            &bridge,
            &http,
            &health,
            store_failed,
            ordinary_receipts,
            signals,
        )
        .await?;
        let closing = tokio::task::spawn_blocking(move || bridge.close());
        let closed = timeout(config.shutdown_timeout, closing).await;
        http.stop(config).await;
        match closed {
            Ok(Ok(Ok(()))) => {
                tracing::info!("the store is closed, and everything that was acknowledged is in it");
                Ok(())
            }
            Ok(Ok(Err(error))) => Err(ServeError::Close(error)),
            Ok(Err(panicked)) => Err(ServeError::System(io::Error::other(panicked))),
            Err(_elapsed) => Err(ServeError::Timeout(config.shutdown_timeout)),
        }
    });
    // A thread that hangs in the store must not keep the process.
    runtime.shutdown_background();
    audit::stopped(served.as_ref().err());
    served
}

async fn run(
    config: &Config,
    bridge: &Bridge,
    http: &Http,
    health: &Health,
    mut store_failed: watch::Receiver<bool>,
    receipts: OrdinaryReceipts,
    signals: Signals,
) -> Result<(), ServeError> {
    let (shutdown, hangups) = signals.split();
    let mut reloading = Reloading::default();
    if config.log.audit_file.is_some() {
        // First, so that the file has what became of the other parts.
        reloading.add("audit log", logging::open_audit_file_again);
    }
    let known = authentication::start(config, &mut reloading)?;
    let rules = access_rules::load(config)?;
    bridge.hub().resize(rules.sizes());
    let access = Access::ruled(known.authenticator, rules).registered_only(known.registered);
    // All of them before anybody is let in.
    let listening = Listening::start(config)?;
    let addresses = format!("{}{}", http.addresses, listening.addresses);
    let node = bridge.hub().node();
    let router = retained::start(
        router_options(config),
        age_of(node.clone()),
        &node,
        bridge.shared_store(),
    )?;
    let (operators, operators_requests) = Operators::bounded(OPERATORS_REQUESTS_MAX);
    let strangers = config.inbox.strangers_max;
    let strangers = strangers.map(|most| Strangers::new(most, &node.budgets.all));
    let shared = Arc::new(Shared {
        operators,
        metrics: Metrics::telling(&node.events),
        node: Arc::new(node),
        names: InboxNames::new(&config.inbox.prefix),
        access: access.limiting(strangers),
        mqtt: config.mqtt.clone(),
        packet_bytes_max: config.packet_bytes_max(),
        quotas: Quotas::new(config.quotas.clone()),
        retains: config.router.retains(),
    });
    access_rules::restore(&shared, bridge.store()).map_err(StartError::Store)?;
    let (close, closing) = watch::channel(false);
    let table = Arc::new(SessionTable::new(shared.clone(), router.clone()));
    sessions::restore_meanwhile(&table, &shared, bridge.shared_store())
        .await
        .map_err(StartError::Store)?;
    access_rules::reload_with(&mut reloading, config, bridge.hub(), &shared, &table);
    let broker = Arc::new(Broker {
        shared: shared.clone(),
        table,
        router: router.clone(),
        connections_max: config.listener.connections_max,
        connections_with_descriptors: http_ports::mqtt_connections_max(config, descriptors::limit()),
        closing,
    });
    let observing = observe::start(config, bridge, &broker, operators_requests, receipts);
    let reporter = observing.reporter;
    let auditor = Auditor::start(shared.clone());
    let otel = Otel::start(&shared.node);
    // Every connection's task holds a sender; when the last one is gone, receiving ends.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    http.site.serve(Live {
        door: Some(Door {
            name: "http".into(),
            rules: http.site.websocket_rules(),
            broker: broker.clone(),
            alive: alive.downgrade(),
        }),
        figures: observing.numbers,
        operations: Some(observing.operations),
        audit: Box::new(audit::requested),
        shared,
    });
    http_ports::reload_with(&mut reloading, config, &http.site);
    health.enter(State::Serving);
    audit::started(addresses.trim_start(), &config.data_dir);
    let reloader = reload_at(reloading, hangups, listening.certificates());
    let reaper = tokio::spawn({
        let broker = broker.clone();
        async move { broker.table.reap().await }
    });
    let sweeper = tokio::spawn(retained::sweep(router.clone()));
    if broker.connections_with_descriptors < broker.connections_max {
        let (connections, connections_max) = (broker.connections_with_descriptors, broker.connections_max);
        const FEWER: &str = "the limit on open files allows fewer connections than mqtt.connections_max; raise it if so many are to come \
                             (docs/operations.md, \"File descriptors\")";
        // A limit that nobody asked for is no reason for a warning.
        match config.listener.connections_max == Config::default().listener.connections_max {
            true => tracing::info!(connections, connections_max, "{FEWER}"),
            false => tracing::warn!(connections, connections_max, "{FEWER}"),
        }
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listeners = addresses.trim_start(),
        data_dir = %config.data_dir.display(),
        engine = config.store.engine.name(),
        memory_budget = config.memory_shares().budget,
        "the broker is ready"
    );
    service_manager::ready(addresses.trim_start());
    service_manager::watch(bridge.pulse());
    // Whoever should read it may be gone, or stuck; clients can be served all the same.
    tokio::task::spawn_blocking(move || {
        if let Err(error) = say_ready(&addresses) {
            tracing::warn!(%error, "the line that says that the broker is ready could not be written to standard output");
        }
    });

    let failed = tokio::select! {
        () = listening.accept_all(broker.clone(), alive) => false,
        () = shutdown => false,
        _ = store_failed.wait_for(|failed| *failed) => true,
    };
    service_manager::stopping();
    tracing::info!(connections = broker.shared.metrics.connections.get(), "shutting down");
    health.enter(State::Closing);
    let patience = if failed { LAST_WORDS } else { config.shutdown_timeout };
    close.send_replace(true);
    let ended = timeout(patience, async {
        // A client that connected meanwhile is told as soon as it has its session.
        loop {
            broker.table.order_all(Order::ShutDown);
            if timeout(TELL_EVERY, all_gone.recv()).await.is_ok() {
                break;
            }
        }
        reloader.abort();
        reaper.abort();
        sweeper.abort();
        broker.table.reap_due().await;
        reporter.abort();
        router.shutdown().await;
        auditor.finish().await;
        otel.stop().await;
    });
    match (ended.await, failed) {
        (_, true) => Err(ServeError::StoreFailed),
        (Ok(()), false) => Ok(()),
        (Err(_elapsed), false) => Err(ServeError::Timeout(config.shutdown_timeout)),
    }
}

/// Reloads what can be reloaded at each SIGHUP.
fn reload_at(mut reloading: Reloading, hangups: Hangups, certificates: Certificates) -> JoinHandle<()> {
    if !certificates.is_empty() {
        reloading.add("certificates", move || certificates.reload());
    }
    tokio::spawn(reloading.at_each(hangups))
}

/// The one line on standard output: every listener by its name.
fn say_ready(addresses: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "inboxd ready{addresses}")?;
    out.flush()
}

fn router_options(config: &Config) -> RouterOptions {
    let RouterConfig {
        engine, filters_max, ..
    } = config.router;
    RouterOptions {
        engine,
        filters_max: match filters_max {
            0 => engine.filters_max(),
            filters_max => filters_max,
        },
        retained_messages_max: config.router.retained_messages_max,
        retained_bytes_max: config.router.retained_bytes_max,
        retained_cache_bytes: config.memory_shares().retained_cache,
        ..RouterOptions::default()
    }
}

/// Retained messages expire by the measure by which mail does.
pub(crate) fn age_of(node: Node) -> AgeSource {
    Arc::new(move || node.inboxes.age(node.now()))
}
