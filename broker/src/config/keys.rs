//! Every key, once: its name, its place in [`Config`], its kind and its range.
//!
//! Reading, printing and "did you mean" all walk this one list, so that none of them can forget a key.

use std::ops::RangeInclusive;
use std::time::Duration;

use access::CertificateName;
use access::QuotaLimits;
use inbox_bridge::WhenFull;
use mqtt_session::V311Refusals;

use super::http::{HttpConfig, Listen, Origins, Part};
use super::kind::{
    Address, Choice, Count, Directives, Directory, Kind, OptionalFile, OptionalSeconds, Prefix, Seconds, Size, Span,
    Truth,
};
use super::listeners::Listeners;
use super::quotas::{self, OrNone, RoleQuotas};
use super::text::{OptionalText, Text};
use super::{AuthConfig, Config, ConfigError, Engine, LogFormat, RouterEngine};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
/// Largest number that TOML can hold.
const NUMBER_MAX: u64 = i64::MAX as u64;
/// MQTT packets end at 256 MiB (MQTT 5, 2.1.4); the rest is room for the packet's overhead.
const MESSAGE_BYTES_MAX: u64 = 255 * MIB;
/// Receive Maximum, Topic Alias Maximum and Server Keep Alive are two bytes wide.
const TWO_BYTES_MAX: u64 = u16::MAX as u64;
/// The next one, 2^32 - 1 seconds, means "never" (MQTT 5, 3.1.2.11.2).
const SESSION_EXPIRY_MAX: Duration = Duration::from_secs(u32::MAX as u64 - 1);
/// Time to live: ten years.
const TIME_TO_LIVE_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

pub(super) const LISTEN: &str = "mqtt.listen";
pub(super) const LISTENERS: &str = "listener";
pub(super) const MESSAGE_BYTES: &str = "mqtt.message_bytes_max";
pub(super) const REGISTERED_ONLY: &str = "inbox.registered_only";
pub(super) const INBOX_BYTES: &str = "inbox.bytes_max";
pub(super) const DATA_DIR: &str = "data_dir";
pub(super) const MEMORY_BUDGET: &str = "memory.budget";
pub(super) const CACHE_BYTES: &str = "store.cache_bytes";
pub(super) const LOG_LEVEL: &str = "log.level";
pub(super) const LOG_FORMAT: &str = "log.format";

/// The names of [`LogFormat`].
pub(super) const LOG_FORMATS: &[(&str, LogFormat)] = &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];

/// The names of [`Engine`]; [`Engine::name`] gives the same.
const ENGINES: &[(&str, Engine)] = &[("sled", Engine::Sled), ("fjall", Engine::Fjall)];

/// Engines of ordinary topics by their names.
const ROUTER_ENGINES: &[(&str, RouterEngine)] = &[("native", RouterEngine::Native), ("rumqttd", RouterEngine::Rumqttd)];

/// Something that looks at every key in turn.
pub(super) trait Visitor {
    /// Looks at the key `name`, whose value lives in `slot`.
    fn key<T>(&mut self, name: &'static str, slot: &mut T, kind: impl Kind<T>) -> Result<(), ConfigError>;
}

/// Shows every key of `c` to `v`, in the order of the example file.
pub(super) fn visit(c: &mut Config, v: &mut impl Visitor) -> Result<(), ConfigError> {
    v.key(DATA_DIR, &mut c.data_dir, Directory)?;
    v.key(
        "shutdown_timeout",
        &mut c.shutdown_timeout,
        Span(millis(100)..=minutes(60)),
    )?;
    v.key(LISTENERS, &mut c.listeners, Listeners)?;
    visit_mqtt(c, v)?;
    visit_http(&mut c.http, v)?;
    visit_auth(&mut c.auth, v)?;
    v.key("access.acl_file", &mut c.access.acl_file, OptionalFile)?;
    v.key("inbox.prefix", &mut c.inbox.prefix, Prefix)?;
    v.key("inbox.messages_max", &mut c.inbox.messages_max, Count(1..=NUMBER_MAX))?;
    v.key(INBOX_BYTES, &mut c.inbox.bytes_max, Size(1..=1024 * TIB))?;
    v.key("inbox.when_full", &mut c.inbox.when_full, WHEN_FULL)?;
    v.key("inbox.sender_share", &mut c.inbox.sender_share, Count(1..=100))?;
    v.key(
        "inbox.time_to_live",
        &mut c.inbox.time_to_live,
        Span(seconds(1)..=TIME_TO_LIVE_MAX),
    )?;
    v.key(
        "inbox.idle_expiry",
        &mut c.inbox.idle_expiry,
        OptionalSeconds(seconds(1)..=TIME_TO_LIVE_MAX),
    )?;
    v.key(REGISTERED_ONLY, &mut c.inbox.registered_only, Truth)?;
    v.key("inbox.strangers_max", &mut c.inbox.strangers_max, OrNone(quotas::COUNT))?;
    v.key(
        "inbox.dedupe_window",
        &mut c.inbox.dedupe_window,
        Span(millis(0)..=minutes(24 * 60)),
    )?;
    v.key(
        "inbox.dedupe_ids_max",
        &mut c.inbox.dedupe_ids_max,
        Count(1..=100_000_000),
    )?;
    v.key(
        "inbox.qos0_settle",
        &mut c.inbox.qos0_settle,
        Span(millis(0)..=minutes(1)),
    )?;
    v.key(
        "delivery.ack_timeout",
        &mut c.mqtt.ack_timeout,
        OptionalSeconds(seconds(1)..=minutes(24 * 60)),
    )?;
    v.key("delivery.rate", &mut c.mqtt.delivery_rate, OrNone(quotas::COUNT))?;
    v.key(
        "will.after_restart",
        &mut c.mqtt.will_after_restart,
        OptionalSeconds(seconds(1)..=minutes(24 * 60)),
    )?;
    v.key("store.engine", &mut c.store.engine, Choice(ENGINES))?;
    v.key(CACHE_BYTES, &mut c.store.cache_bytes, Size(MIB..=TIB))?;
    v.key(
        "store.checkpoint_after",
        &mut c.store.checkpoint_after,
        Span(millis(1)..=minutes(1)),
    )?;
    v.key(
        "store.commit_hold",
        &mut c.store.commit_hold,
        Span(millis(0)..=seconds(1)),
    )?;
    v.key(
        "store.ack_flush_interval",
        &mut c.store.ack_flush_interval,
        Span(millis(1)..=minutes(1)),
    )?;
    v.key(
        "store.uncommitted_bytes_max",
        &mut c.store.uncommitted_bytes_max,
        memory(64 * KIB),
    )?;
    v.key(
        "store.disk_free_bytes_min",
        &mut c.store.disk_free_bytes_min,
        Size(0..=1024 * TIB),
    )?;
    v.key("router.engine", &mut c.router.engine, Choice(ROUTER_ENGINES))?;
    v.key("router.filters_max", &mut c.router.filters_max, Count(0..=10_000_000))?;
    v.key(
        "router.retained_messages_max",
        &mut c.router.retained_messages_max,
        Count(0..=10_000_000),
    )?;
    v.key(
        "router.retained_bytes_max",
        &mut c.router.retained_bytes_max,
        Size(0..=TIB),
    )?;
    v.key(
        "router.retained_cache_bytes",
        &mut c.router.retained_cache_bytes,
        memory(0),
    )?;
    visit_quota(&mut c.quotas, v)?;
    v.key(MEMORY_BUDGET, &mut c.memory.budget, Size(0..=1024 * TIB))?;
    v.key(LOG_LEVEL, &mut c.log.level, Directives)?;
    v.key(LOG_FORMAT, &mut c.log.format, Choice(LOG_FORMATS))?;
    v.key("log.audit_file", &mut c.log.audit_file, OptionalFile)
}

fn visit_mqtt(c: &mut Config, v: &mut impl Visitor) -> Result<(), ConfigError> {
    let listener = &mut c.listener;
    v.key(LISTEN, &mut listener.listen, Address)?;
    v.key("mqtt.allow_anonymous", &mut listener.allow_anonymous, Truth)?;
    v.key(
        "mqtt.connections_max",
        &mut listener.connections_max,
        Count(1..=10_000_000),
    )?;
    let mqtt = &mut c.mqtt;
    v.key(
        "mqtt.connect_timeout",
        &mut mqtt.connect_timeout,
        Span(millis(100)..=minutes(10)),
    )?;
    v.key(MESSAGE_BYTES, &mut mqtt.message_bytes_max, Size(1..=MESSAGE_BYTES_MAX))?;
    v.key("mqtt.in_flight_max", &mut mqtt.in_flight_max, Count(1..=TWO_BYTES_MAX))?;
    v.key(
        "mqtt.unacknowledged_publishes_max",
        &mut mqtt.unacknowledged_publishes_max,
        Count(1..=TWO_BYTES_MAX),
    )?;
    v.key(
        "mqtt.topic_alias_max",
        &mut mqtt.topic_alias_max,
        Count(0..=TWO_BYTES_MAX),
    )?;
    v.key(
        "mqtt.session_expiry_max",
        &mut mqtt.session_expiry_max,
        Seconds(seconds(0)..=SESSION_EXPIRY_MAX),
    )?;
    v.key("mqtt.sessions_max", &mut mqtt.sessions_max, Count(0..=10_000_000))?;
    v.key("mqtt.durable_sessions", &mut mqtt.durable_sessions, Truth)?;
    v.key(
        "mqtt.keep_alive_max",
        &mut mqtt.keep_alive_max,
        OptionalSeconds(seconds(1)..=seconds(TWO_BYTES_MAX)),
    )?;
    v.key(
        "mqtt.queue_messages_max",
        &mut mqtt.queue_messages_max,
        Count(1..=10_000_000),
    )?;
    v.key("mqtt.queue_bytes_max", &mut mqtt.queue_bytes_max, memory(KIB))?;
    v.key(
        "mqtt.subscriptions_per_session_max",
        &mut mqtt.subscriptions_per_session_max,
        Count(1..=1_000_000),
    )?;
    v.key(
        "mqtt.filter_bytes_per_session_max",
        &mut mqtt.filter_bytes_per_session_max,
        memory(KIB),
    )?;
    v.key("mqtt.v311_refusals", &mut mqtt.v311_refusals, V311_REFUSALS)
}

fn visit_http(http: &mut HttpConfig, v: &mut impl Visitor) -> Result<(), ConfigError> {
    v.key("http.listen", &mut http.listen, Listen)?;
    v.key("http.dashboard", &mut http.dashboard, Part)?;
    v.key("http.api", &mut http.api, Part)?;
    v.key("http.metrics", &mut http.metrics, Part)?;
    v.key("http.websocket", &mut http.websocket, Part)?;
    v.key("http.origins", &mut http.origins, Origins)?;
    v.key("http.token_file", &mut http.token_file, OptionalFile)?;
    v.key("http.connections_max", &mut http.connections_max, Count(1..=10_000))
}

fn visit_quota(quota: &mut QuotaLimits, v: &mut impl Visitor) -> Result<(), ConfigError> {
    let addresses = &mut quota.connections_per_address;
    v.key("quota.connections_per_address", addresses, OrNone(quotas::COUNT))?;
    v.key(
        "quota.connects_per_second",
        &mut quota.connects_per_second,
        OrNone(quotas::COUNT),
    )?;
    let everybody = &mut quota.everybody;
    v.key(
        "quota.connections_per_user",
        &mut everybody.connections_per_user,
        OrNone(quotas::COUNT),
    )?;
    v.key(
        "quota.publishes_per_second",
        &mut everybody.publishes_per_second,
        OrNone(quotas::COUNT),
    )?;
    let bytes = &mut everybody.publish_bytes_per_second;
    v.key("quota.publish_bytes_per_second", bytes, OrNone(quotas::BYTES))?;
    v.key("quota.role", &mut quota.roles, RoleQuotas)
}

fn visit_auth(auth: &mut AuthConfig, v: &mut impl Visitor) -> Result<(), ConfigError> {
    v.key("auth.password_file", &mut auth.password_file, OptionalFile)?;
    v.key("auth.remember", &mut auth.remember, Span(millis(0)..=minutes(60)))?;
    v.key("auth.verifications_max", &mut auth.verifications_max, Count(1..=256))?;
    v.key("auth.anonymous_on_loopback", &mut auth.anonymous_on_loopback, Truth)?;
    v.key("auth.certificate", &mut auth.certificate, CERTIFICATE_NAMES)?;
    let (keys, rules) = (&mut auth.token_keys, &mut auth.token_rules);
    v.key("auth.jwt.secret_file", &mut keys.secret, OptionalFile)?;
    v.key("auth.jwt.public_key_file", &mut keys.public_key, OptionalFile)?;
    v.key("auth.jwt.jwks_file", &mut keys.jwks, OptionalFile)?;
    v.key("auth.jwt.jwks_url", &mut keys.jwks_url, OptionalText)?;
    v.key(
        "auth.jwt.jwks_refresh",
        &mut auth.jwks_refresh,
        Span(minutes(1)..=minutes(24 * 60)),
    )?;
    v.key("auth.jwt.issuer", &mut rules.issuer, OptionalText)?;
    v.key("auth.jwt.audience", &mut rules.audience, OptionalText)?;
    v.key("auth.jwt.leeway", &mut rules.leeway, Seconds(seconds(0)..=minutes(10)))?;
    v.key("auth.jwt.user_claim", &mut rules.user_claim, Text)?;
    v.key("auth.jwt.client_claim", &mut rules.client_claim, OptionalText)?;
    v.key("auth.jwt.roles_claim", &mut rules.roles_claim, Text)?;
    v.key("auth.http.url", &mut auth.http_url, OptionalText)?;
    v.key(
        "auth.http.timeout",
        &mut auth.http_timeout,
        Span(millis(100)..=minutes(1)),
    )?;
    v.key("auth.http.cache", &mut auth.http_cache, Span(millis(0)..=minutes(60)))
}

const CERTIFICATE_NAMES: Choice<CertificateName> = Choice(&[
    ("off", CertificateName::Off),
    ("common-name", CertificateName::CommonName),
    ("alternative-name", CertificateName::AlternativeName),
]);

const V311_REFUSALS: Choice<V311Refusals> = Choice(&[("bounce", V311Refusals::Bounce), ("close", V311Refusals::Close)]);

const WHEN_FULL: Choice<WhenFull> = Choice(&[("refuse", WhenFull::Refuse), ("drop-oldest", WhenFull::DropOldest)]);

/// A size that must fit in memory.
fn memory(least: u64) -> Size {
    let most = u64::try_from(usize::MAX).unwrap_or(u64::MAX).min(TIB);
    Size(RangeInclusive::new(least, most))
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}
