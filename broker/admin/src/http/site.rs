//! What all HTTP ports share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use mqtt_session::{Gauge, Limiter, Rate, Shared};
use parking_lot::Mutex;
use transport::{Door, WebSocketRules};

use super::health::{Health, NotReady};
use super::operations::{Operations, Performed};
use super::token::Token;
use crate::prometheus::{Measured, Surroundings, exposition};

/// What is configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The version of the broker.
    pub version: &'static str,
    /// The directory of the store, whose disk is looked at.
    pub data_dir: PathBuf,
    /// What inbox topics begin with.
    pub inbox_prefix: String,
    /// Whether clients of this machine need not say who they are.
    pub anonymous: bool,
    /// Whether users are known, so that operators can prove who they are.
    pub knows_users: bool,
    /// Web pages that may use the API and MQTT beside those of this broker.
    pub origins: Vec<String>,
    /// Whether MQTT is spoken over WebSocket, and the port where that is another one.
    pub websocket: Option<Option<u16>>,
    /// Whether there is an API.
    pub has_api: bool,
    /// HTTP connections at a time, beside those that became WebSockets.
    pub connections_max: usize,
}

/// The broker, from when it serves.
pub struct Live {
    /// Who clients are, and what is counted of them.
    pub shared: Arc<Shared>,
    /// The way to MQTT, if there is one here.
    pub door: Option<Door>,
    /// What is measured.
    pub figures: Arc<dyn Measured>,
    /// Who carries requests out, if anybody does.
    pub operations: Option<Arc<dyn Operations>>,
    /// Is told of each request that changes something, when it was answered.
    pub audit: Box<dyn Fn(&Performed<'_>) + Send + Sync>,
}

/// See the module's documentation.
pub struct Site {
    pub(super) settings: Settings,
    pub(super) pages: WebSocketRules,
    pub(super) health: Arc<Health>,
    pub(super) own_token: Token,
    pub(super) token: ArcSwapOption<Token>,
    live: OnceLock<Live>,
    started: Instant,
    started_at: f64,
    pub(super) connections: Gauge,
    pub(super) refused: AtomicU64,
    pub(super) denied: AtomicU64,
    pub(super) denials: Mutex<Limiter<&'static str>>,
    requests: [AtomicU64; 5],
}

impl Site {
    /// A site of a broker that does not serve yet. `own_token` lets programs of this machine in, `token` those of the operator.
    pub fn new(settings: Settings, health: Arc<Health>, own_token: Token, token: Option<Token>) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Site {
            pages: WebSocketRules {
                paths: vec!["/mqtt".to_owned()],
                origins: settings.origins.clone(),
                // This port has pages of its own.
                same_host: true,
            },
            settings,
            health,
            own_token,
            token: ArcSwapOption::from_pointee(token),
            live: OnceLock::new(),
            started: Instant::now(),
            started_at: since_1970.as_secs_f64(),
            connections: Gauge::default(),
            refused: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            denials: Mutex::new(Limiter::of(Rate::REFUSALS)),
            requests: Default::default(),
        }
    }

    /// Where MQTT is spoken over WebSocket, and to which pages.
    pub fn websocket_rules(&self) -> WebSocketRules {
        self.pages.clone()
    }

    /// The broker serves from now on. Only the first one counts.
    pub fn serve(&self, live: Live) {
        let _first = self.live.set(live);
    }

    /// The operator's token is this one from now on.
    pub fn take_token(&self, token: Option<Token>) {
        self.token.store(token.map(Arc::new));
    }

    /// How long this run is.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn live(&self) -> Option<&Live> {
        self.live.get()
    }

    /// Why new messages are not taken.
    pub(super) fn not_ready(&self) -> Option<NotReady> {
        self.health.not_ready().or_else(|| match self.live() {
            None => Some(NotReady::Recovering),
            Some(live) => live
                .shared
                .node
                .inboxes
                .is_troubled()
                .then_some(NotReady::StoreTroubled),
        })
    }

    /// A request was answered with this status.
    pub(super) fn count(&self, status: u16) {
        if let Some(class) = self.requests.get(usize::from(status / 100).saturating_sub(1)) {
            class.fetch_add(1, Relaxed);
        }
    }

    /// Everything that is measured, for Prometheus.
    pub(super) fn metrics(&self) -> String {
        let requests = self.requests.each_ref().map(|class| class.load(Relaxed));
        let surroundings = Surroundings {
            version: self.settings.version,
            is_ready: self.not_ready().is_none(),
            started_at: self.started_at,
            disk: disk(&self.settings.data_dir),
            http_connections: self.connections.get(),
            http_connections_refused: self.refused.load(Relaxed),
            http_requests: requests,
            api_denied: self.denied.load(Relaxed),
        };
        exposition(surroundings, self.live().map(|live| live.figures.clone()))
    }
}

/// Free and all bytes of the file system of `path`.
fn disk(path: &std::path::Path) -> Option<(u64, u64)> {
    let of = rustix::fs::statvfs(path).ok()?;
    Some((
        of.f_bavail.saturating_mul(of.f_frsize),
        of.f_blocks.saturating_mul(of.f_frsize),
    ))
}
