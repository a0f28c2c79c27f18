//! Running the broker: from a configuration to an exit code.
//!
//! Shutdown, in this order, within `shutdown_timeout`: stop accepting; tell every client (MQTT 5: 0x8B) and put its session away;
//! publish what ordinary messages and wills are left; commit what waits; close the store.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inbox_bridge::{
    Bridge, CheckpointOptions, Clock, Epoch, FjallOptions, Node, OpenError, SledOptions, StartError, StoreError,
    StoreOptions, SystemClock, check_data_directory, keep_epoch, open_store,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use access::{Access, Quotas, RulesError, Strangers};

use crate::access_rules;
use crate::audit::{self, Auditor};
use crate::authentication::{self, AuthenticationError};
use crate::config::Config;
use crate::descriptors;
use crate::exit::Exit;
use crate::listening::{self, Certificates, ListenerError, Listening, NotListening};
use crate::logging;
use crate::observe::{self, Watcher};
use crate::reload::Reloading;
use crate::service_manager;
use crate::signals::{Hangups, Signals};
use intake::InboxNames;
use mqtt_session::{Metrics, Operators, Order, SessionTable, Shared};
use pubsub::{AgeSource, Router, RouterOptions};
use transport::{BindError, Broker, Remark};

/// How often every client is told that the broker shuts down: some had no session yet when it began.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Requests of operators that wait for their answers.
const OPERATORS_REQUESTS_MAX: usize = 64;
/// After the store failed: how long clients are given to hear of it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why the broker could not start, or ended otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The inboxes did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address cannot be listened on.
    #[error("cannot listen on {} ({}); {}", .0.address, .0.why, listen_advice(.0.why.kind()))]
    Listen(#[from] BindError),
    /// A listener is not what it should be.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// It cannot be found out who clients are.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// It is not known what clients may do.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The system gave no thread, no signal handler, or no standard output.
    #[error("the system does not let the broker start ({0})")]
    System(io::Error),
    /// The store failed while the broker ran.
    #[error("the store failed; what was acknowledged is safe. Check the disk, then start again")]
    StoreFailed,
    /// The store failed at the very end.
    #[error(transparent)]
    Close(StoreError),
    /// It took too long.
    #[error("the shutdown took longer than shutdown_timeout ({0:?}); what was acknowledged is safe")]
    Timeout(Duration),
}

impl ServeError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            ServeError::Open(error) => open_exit(error),
            ServeError::Listen(_) | ServeError::Listener(ListenerError::SameAddress { .. }) => Exit::CannotListen,
            ServeError::Listener(ListenerError::Tls { .. }) | ServeError::Authentication(_) | ServeError::Rules(_) => {
                Exit::BadConfiguration
            }
            ServeError::StoreFailed | ServeError::Close(_) | ServeError::Start(StartError::Store(_)) => {
                Exit::StoreFailed
            }
            ServeError::Start(StartError::Thread(_)) | ServeError::System(_) | ServeError::Timeout(_) => Exit::Failed,
        }
    }
}

impl From<NotListening> for ServeError {
    fn from(why: NotListening) -> Self {
        match why {
            NotListening::Listener(error) => error.into(),
            NotListening::Bind(error) => error.into(),
        }
    }
}

/// What to do when the system does not let us listen.
fn listen_advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => {
            "is another broker running there? Choose another address, with --listen or in its [[listener]]"
        }
        io::ErrorKind::AddrNotAvailable => {
            "it is not an address of this machine: choose one that is, with --listen or in its [[listener]]"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a permission: choose a higher one with --port, or give it with AmbientCapabilities=CAP_NET_BIND_SERVICE \
             in the systemd unit, or with `setcap cap_net_bind_service=+ep` on the binary"
        }
        _ => "choose another address, with --listen or in its [[listener]]",
    }
}

/// How the process ends when the data directory cannot be opened.
pub fn open_exit(error: &OpenError) -> Exit {
    match error {
        OpenError::Locked { .. } => Exit::DataLocked,
        // It may pass: a service manager is to try again.
        OpenError::Unwritable { why, .. } | OpenError::Io { why, .. } if is_lack(why) => Exit::StoreFailed,
        OpenError::Unwritable { .. } | OpenError::Io { .. } | OpenError::NotADirectory { .. } => Exit::NotPermitted,
        _ => Exit::DataUnusable,
    }
}

/// Whether there is none of something for now, so that the same may work later.
pub(crate) fn is_lack(why: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
    matches!(why.kind(), FileTooLarge | OutOfMemory | QuotaExceeded | StorageFull)
}

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
    let is_there = check_data_directory(&config.data_dir, config.store.engine)?;
    if !is_there {
        check_can_be_made(&config.data_dir)?;
    }
    for listener in config.all_listeners() {
        check_address(listener.listen)?;
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

fn check_address(address: SocketAddr) -> Result<(), ServeError> {
    // UDP, so that no client of a broker that is about to start can meet this socket. The rules for addresses and ports are the same.
    match std::net::UdpSocket::bind(address) {
        Err(why) if why.kind() != io::ErrorKind::AddrInUse => Err(ServeError::Listen(BindError { address, why })),
        _ => Ok(()),
    }
}

/// Runs the broker until it is told to end by one of `signals`, which are taken once the process may be told.
///
/// # Errors
/// See [`ServeError`].
pub fn serve(config: &Config, signals: impl FnOnce() -> io::Result<Signals>) -> Result<(), ServeError> {
    listening::check(config)?;
    descriptors::raise_limit();
    let (watcher, store_failed) = Watcher::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::System)?;
    // Before the store is opened, which can take a while.
    let signals = runtime.block_on(async { signals() }).map_err(ServeError::System)?;
    let store = open_store(&config.data_dir, &store_options(config))?;
    keep_epoch(&*store, Epoch::from_random(rand::random())).map_err(StartError::Store)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bridge = Bridge::start(store, config.limits(), clock, Arc::new(watcher))?;
    let served = runtime.block_on(async {
        run(config, &bridge, store_failed, signals).await?;
        let closing = tokio::task::spawn_blocking(move || bridge.close());
        match timeout(config.shutdown_timeout, closing).await {
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
    mut store_failed: watch::Receiver<bool>,
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
    let addresses = listening.addresses.clone();
    let node = bridge.hub().node();
    let router = Router::start(router_options(config), age_of(node.clone())).map_err(ServeError::System)?;
    let (operators, operators_requests) = Operators::bounded(OPERATORS_REQUESTS_MAX);
    let strangers = config.inbox.strangers_max;
    let strangers = strangers.map(|most| Strangers::new(most, &node.budgets.all));
    let shared = Arc::new(Shared {
        operators,
        metrics: Metrics::telling(&node.events),
        node,
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
    access_rules::reload_with(&mut reloading, config, bridge.hub(), &shared, &table);
    let broker = Arc::new(Broker {
        shared: shared.clone(),
        table,
        router: router.clone(),
        connections_max: config.listener.connections_max,
        connections_with_descriptors: descriptors::for_connections(),
        closing,
    });
    let reporter = observe::start(config, bridge, &broker, operators_requests);
    let auditor = Auditor::start(shared);
    audit::started(addresses.trim_start(), &config.data_dir);
    let reloader = reload_at(reloading, hangups, listening.certificates());
    let reaper = tokio::spawn({
        let broker = broker.clone();
        async move { broker.table.reap().await }
    });
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

    // Every connection's task holds a sender; when the last one is gone, receiving ends.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let failed = tokio::select! {
        () = listening.accept_all(broker.clone(), alive) => false,
        () = shutdown => false,
        _ = store_failed.wait_for(|failed| *failed) => true,
    };
    service_manager::stopping();
    tracing::info!(connections = broker.shared.metrics.connections.get(), "shutting down");
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
        broker.table.reap_due().await;
        reporter.abort();
        router.shutdown().await;
        auditor.finish().await;
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
    RouterOptions {
        filters_max: config.router.filters_max,
        retained_messages_max: config.router.retained_messages_max,
        retained_bytes_max: config.router.retained_bytes_max,
        ..RouterOptions::default()
    }
}

/// Retained messages expire by the measure by which mail does.
fn age_of(node: Node) -> AgeSource {
    Arc::new(move || node.inboxes.age(node.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_it_from_listening_is_told_by_its_cause() {
        // Goal: a port that needs a permission is no reason to look for another broker.
        let said = |kind: io::ErrorKind| {
            let address = SocketAddr::from(([127, 0, 0, 1], 883));
            let why = kind.into();
            ServeError::from(BindError { address, why }).to_string()
        };
        let forbidden = said(io::ErrorKind::PermissionDenied);
        assert!(
            forbidden.contains("below 1024") && forbidden.contains("setcap"),
            "{forbidden}"
        );
        assert!(!forbidden.contains("another broker"), "{forbidden}");
        assert!(said(io::ErrorKind::AddrInUse).contains("another broker"));
        assert!(said(io::ErrorKind::AddrNotAvailable).contains("not an address of this machine"));
    }
}
