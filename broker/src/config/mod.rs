//! What an operator can set, and where it comes from.
//!
//! A [`Config`] is parsed, not validated: [`Config::load`] and [`Config::default`] return only values that are in range and
//! fit together. Four layers, the later one wins key by key: the defaults below, a TOML file, the environment (`INBOXD_…`
//! with `__` between levels), and the flags of the command line. `inboxd.example.toml` lists every key.

mod auth;
mod budget;
mod directives;
mod error;
mod http;
mod keys;
mod kind;
mod listener;
mod listener_table;
mod listeners;
mod load;
mod machine;
mod print;
mod quotas;
mod service_variables;
#[cfg(test)]
mod tests;
mod text;
mod wrong_value;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use access::QuotaLimits;
use inbox_bridge::{CheckpointOptions, Limits, Sizes, WhenFull};

pub use auth::AuthConfig;
pub use budget::MemoryShares;
pub use directives::DirectivesError;
pub(crate) use directives::parse_directives;
pub use error::{ConfigError, Misfit, SetBy, Setting};
pub use http::{DEFAULT_HTTP, HttpConfig, HttpListen, HttpPart};
pub use inbox_bridge::Engine;
pub use listener::{NamedListener, Transport};
pub use load::Overrides;
pub(crate) use machine::{meminfo, memory_bytes};
pub use mqtt_session::MqttLimits;
pub use pubsub::Engine as RouterEngine;
pub use service_variables::ignored_variables;
pub use wrong_value::{ListenersError, PrefixError, RoleQuotasError, WrongValue};

/// The whole configuration of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The directory that holds the store.
    pub data_dir: PathBuf,
    /// How long an orderly shutdown may take.
    pub shutdown_timeout: Duration,
    /// `[[listener]]`: where else to listen than at `mqtt.listen`.
    pub listeners: Vec<NamedListener>,
    /// Section `[mqtt]`: the listener.
    pub listener: ListenerConfig,
    /// Sections `[mqtt]` and `[delivery]`: what one client may take.
    pub mqtt: MqttLimits,
    /// Section `[http]`: health, metrics, the API, the dashboard.
    pub http: HttpConfig,
    /// Section `[auth]`: who clients are.
    pub auth: AuthConfig,
    /// Section `[access]`: what clients may do.
    pub access: AccessConfig,
    /// Section `[inbox]`: the durable inboxes.
    pub inbox: InboxConfig,
    /// Section `[store]`: the disk.
    pub store: StoreConfig,
    /// Section `[router]`: ordinary topics.
    pub router: RouterConfig,
    /// Section `[quota]`: what users, addresses and roles may take.
    pub quotas: QuotaLimits,
    /// Section `[memory]`: what the process may take.
    pub memory: MemoryConfig,
    /// Section `[log]`: the log on standard error.
    pub log: LogConfig,
}

/// Where clients come in: the keys of `[mqtt]` that no session needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Where to listen for MQTT 3.1.1 and MQTT 5 over TCP; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Clients need not say who they are; required for an address that is not loopback, unless users are known.
    pub allow_anonymous: bool,
    /// Connections at a time.
    pub connections_max: usize,
}

/// Section `[access]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessConfig {
    /// The access rules.
    pub acl_file: Option<PathBuf>,
}

/// Section `[inbox]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxConfig {
    /// What all inbox topics begin with (contract rule 1): empty, or topic levels that end with `/`.
    pub prefix: String,
    /// Messages that one inbox holds.
    pub messages_max: u64,
    /// Bytes that one inbox holds.
    pub bytes_max: u64,
    /// What happens to a message for a full inbox.
    pub when_full: WhenFull,
    /// How much of each limit one sender may hold, in per cent.
    pub sender_share: u8,
    /// How long a message waits at most.
    pub time_to_live: Duration,
    /// How long the owner of an inbox may stay away until it is forgotten.
    pub idle_expiry: Option<Duration>,
    /// Whether mail is taken only for client IDs that somebody may have.
    pub registered_only: bool,
    /// Messages that a stranger may write until it is answered.
    pub strangers_max: Option<u32>,
    /// How long an `id` is remembered (contract rule 8).
    pub dedupe_window: Duration,
    /// How many are remembered, over all inboxes.
    pub dedupe_ids_max: usize,
    /// How long a connection stays open after a message was written to it with QoS 0, until that leaves the inbox (contract rule 5).
    pub qos0_settle: Duration,
}

/// Section `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// What keeps the inboxes on disk.
    pub engine: Engine,
    /// Memory that the engine may use as a cache, in bytes.
    pub cache_bytes: u64,
    /// How long messages stay in the log before they move to their inboxes' own records.
    pub checkpoint_after: Duration,
    /// How long a message that its online reader is about to acknowledge is held back from the disk.
    pub commit_hold: Duration,
    /// How long a durable removal may wait for company (contract rule 7).
    pub ack_flush_interval: Duration,
    /// Bytes accepted but not yet durable, over all inboxes, above which publishers are not read from.
    pub uncommitted_bytes_max: usize,
    /// New messages are refused while the disk has fewer free bytes than this.
    pub disk_free_bytes_min: u64,
}

/// Section `[router]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterConfig {
    /// What finds the subscriptions of a topic.
    pub engine: RouterEngine,
    /// Distinct topic filters subscribed to at a time, over all sessions; 0 means what is good for the engine.
    pub filters_max: usize,
    /// Retained messages, over all topics.
    pub retained_messages_max: usize,
    /// Bytes of retained messages, over all topics.
    pub retained_bytes_max: u64,
    /// Bytes of retained messages that stay in memory although the store has them.
    pub retained_cache_bytes: usize,
}

impl RouterConfig {
    /// Whether messages can be retained at all.
    pub fn retains(&self) -> bool {
        self.retained_messages_max > 0 && self.retained_bytes_max > 0
    }
}

/// Section `[memory]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Bytes that the process may take; 0 is half of the memory that it can have.
    pub budget: u64,
}

/// Section `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// What is logged: a level, or directives such as `info,inboxd=debug`. `RUST_LOG` overrides it.
    pub level: String,
    /// How it is written.
    pub format: LogFormat,
    /// The file that has the audit log for itself; without one it is part of the log.
    pub audit_file: Option<PathBuf>,
}

/// How log records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line per record, for people.
    Pretty,
    /// One JSON object per line, for machines.
    Json,
}

impl Config {
    /// Longest MQTT packet that is taken, in bytes: the Maximum Packet Size in CONNACK (MQTT 5, 3.2.2.3.6).
    pub fn packet_bytes_max(&self) -> usize {
        self.mqtt.packet_bytes_max()
    }

    /// Every listener: the one of `mqtt.listen` is called `mqtt`.
    pub fn all_listeners(&self) -> Vec<NamedListener> {
        let mut all = vec![NamedListener::tcp("mqtt", self.listener.listen)];
        all.extend(self.listeners.iter().cloned());
        all
    }

    /// The limits of the inboxes.
    pub fn limits(&self) -> Limits {
        let shares = self.memory_shares();
        Limits {
            inbox_messages_max: self.inbox.messages_max,
            inbox_bytes_max: self.inbox.bytes_max,
            when_full: self.inbox.when_full,
            sender_share: self.inbox.sender_share,
            time_to_live: self.inbox.time_to_live,
            idle_expiry: self.inbox.idle_expiry,
            dedupe_window: self.inbox.dedupe_window,
            dedupe_ids_max: self.inbox.dedupe_ids_max,
            qos0_settle: self.inbox.qos0_settle,
            commit_hold: self.store.commit_hold,
            ack_flush_interval: self.store.ack_flush_interval,
            uncommitted_bytes_max: shares.uncommitted,
            memory_bytes_max: shares.clients,
            disk_free_bytes_min: self.store.disk_free_bytes_min,
            sizes: Sizes::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        // The inboxes' own limits have their defaults in `inbox_bridge`; they are not repeated here.
        let limits = Limits::default();
        Config {
            data_dir: PathBuf::from("./data"),
            shutdown_timeout: Duration::from_secs(10),
            listeners: Vec::new(),
            listener: ListenerConfig {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
                allow_anonymous: false,
                connections_max: 50_000,
            },
            mqtt: MqttLimits::default(),
            http: HttpConfig::default(),
            auth: AuthConfig::default(),
            access: AccessConfig::default(),
            inbox: InboxConfig {
                prefix: String::new(),
                messages_max: limits.inbox_messages_max,
                bytes_max: limits.inbox_bytes_max,
                when_full: limits.when_full,
                sender_share: limits.sender_share,
                time_to_live: limits.time_to_live,
                idle_expiry: limits.idle_expiry,
                registered_only: false,
                strangers_max: None,
                dedupe_window: limits.dedupe_window,
                dedupe_ids_max: limits.dedupe_ids_max,
                qos0_settle: limits.qos0_settle,
            },
            store: StoreConfig {
                engine: Engine::Sled,
                cache_bytes: 128 * 1024 * 1024,
                checkpoint_after: CheckpointOptions::default().after,
                commit_hold: limits.commit_hold,
                ack_flush_interval: limits.ack_flush_interval,
                uncommitted_bytes_max: limits.uncommitted_bytes_max,
                disk_free_bytes_min: limits.disk_free_bytes_min,
            },
            router: RouterConfig {
                engine: RouterEngine::Native,
                filters_max: 0,
                retained_messages_max: 1_000_000,
                retained_bytes_max: 16 * 1024 * 1024 * 1024,
                retained_cache_bytes: 64 * 1024 * 1024,
            },
            quotas: QuotaLimits::default(),
            memory: MemoryConfig { budget: 0 },
            log: LogConfig {
                level: "info".to_owned(),
                format: LogFormat::Pretty,
                audit_file: None,
            },
        }
    }
}
