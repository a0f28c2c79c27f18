//! Tests that walk every key: the example file, printing, ranges.

use std::path::Path;

use super::super::*;
use super::{assert_says, load, load_env};

const EXAMPLE: &str = include_str!("../../../../inboxd.example.toml");

/// A value other than the default for every key.
const UNUSUAL: &str = r#"
data_dir = "/srv/ü \"quoted\"/data"
shutdown_timeout = "1500ms"
listener = [
    { name = "lan", listen = "[::1]:1" },
    { name = "tls", listen = "[::1]:2", transport = "tls", certificate = "c", key = "k", client_ca = "ca", client_certificates = "optional" },
    { name = "ws", listen = "[::1]:3", transport = "ws", path = "/x", origins = ["https://A.example"], proxy_protocol_from = ["10.0.0.0/8", "::1"] },
    { name = "wss", listen = "[::1]:4", transport = "wss", certificate = "c", key = "k" },
]
[mqtt]
listen = "[::]:0"
allow_anonymous = true
connections_max = 7
connect_timeout = "3s"
message_bytes_max = 1000
in_flight_max = 1
unacknowledged_publishes_max = 2
topic_alias_max = 0
session_expiry_max = "0s"
sessions_max = 0
durable_sessions = false
keep_alive_max = "90s"
queue_messages_max = 5
queue_bytes_max = "4KiB"
subscriptions_per_session_max = 6
filter_bytes_per_session_max = "3KiB"
v311_refusals = "close"
[http]
listen = "off"
dashboard = "off"
api = "[::1]:5"
metrics = "[::1]:6"
websocket = "[::1]:7"
origins = ["https://Ops.example"]
token_file = "/etc/inboxd/token"
connections_max = 8
[auth]
password_file = "/etc/inboxd/users"
remember = "0s"
verifications_max = 3
anonymous_on_loopback = true
certificate = "common-name"
[auth.jwt]
secret_file = "s"
public_key_file = "p"
jwks_file = "j"
jwks_url = "https://id.example/jwks"
jwks_refresh = "5m"
issuer = "https://id.example"
audience = "inboxd"
leeway = "1m"
user_claim = "name"
client_claim = "clients"
roles_claim = "groups"
[auth.http]
url = "http://127.0.0.1:8080/"
timeout = "1s"
cache = "0s"
[access]
acl_file = "/etc/inboxd/acl.toml"
[inbox]
prefix = "a/b/"
messages_max = 8
bytes_max = "1KiB"
when_full = "drop-oldest"
sender_share = 20
time_to_live = "1d"
idle_expiry = "7d"
registered_only = false
strangers_max = 3
dedupe_window = "1m"
dedupe_ids_max = 9
qos0_settle = "250ms"
[delivery]
ack_timeout = "2m"
rate = 16
[will]
after_restart = "90s"
[store]
engine = "fjall"
cache_bytes = "2MiB"
checkpoint_after = "50ms"
commit_hold = "0s"
ack_flush_interval = "1s"
uncommitted_bytes_max = "1MiB"
disk_free_bytes_min = 0
[router]
engine = "rumqttd"
filters_max = 11
retained_messages_max = 0
retained_bytes_max = "1KiB"
retained_cache_bytes = "2KiB"
[quota]
connections_per_address = 12
connects_per_second = 13
connections_per_user = 14
publishes_per_second = 15
publish_bytes_per_second = "2KiB"
role = [{ name = "guest", publishes_per_second = 1 }]
[memory]
budget = "1GiB"
[log]
level = "warn,inboxd=debug"
format = "json"
audit_file = "/var/log/inboxd/audit.log"
"#;

/// Every key that a TOML text sets, with dots between levels, in its order of appearance.
fn keys_of(text: &str) -> Vec<String> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', ' '])) {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys.push(format!("{section}{key}"));
        }
    }
    keys
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    // Goal: inboxd.example.toml is complete, has nothing that does not exist, and its values are the defaults.
    assert_eq!(load(EXAMPLE).unwrap(), Config::default());
    assert_eq!(keys_of(EXAMPLE), Config::keys());
}

#[test]
fn the_example_explains_every_key() {
    // Goal: each key has a comment above it that states its default; the default in words cannot drift from the value.
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let comment: Vec<&str> = lines[..at]
            .iter()
            .rev()
            .take_while(|l| l.starts_with('#'))
            .copied()
            .collect();
        assert!(comment.len() >= 2, "{key} needs a description and a reason");
        assert!(
            comment.iter().any(|l| l.contains(&format!("# Default {value}"))),
            "{key}: default {value} is not explained"
        );
    }
}

#[test]
fn the_example_states_the_ranges_that_hold() {
    // Goal: the bounds in the example's comments are the bounds of the code: each one is taken, one step beyond is not.
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("INBOXD_SHUTDOWN_TIMEOUT", &["100ms", "1h"], &["99ms", "61m"]),
        (
            "INBOXD_MQTT__CONNECTIONS_MAX",
            &["1", "10000000"],
            &["0", "10000001", "-1", "many"],
        ),
        ("INBOXD_MQTT__CONNECT_TIMEOUT", &["100ms", "10m"], &["0s", "601s"]),
        ("INBOXD_MQTT__MESSAGE_BYTES_MAX", &["1", "255MiB"], &["0", "256MiB"]),
        ("INBOXD_MQTT__IN_FLIGHT_MAX", &["1", "65535"], &["0", "65536"]),
        (
            "INBOXD_MQTT__UNACKNOWLEDGED_PUBLISHES_MAX",
            &["1", "65535"],
            &["0", "65536"],
        ),
        ("INBOXD_MQTT__TOPIC_ALIAS_MAX", &["0", "65535"], &["65536"]),
        (
            "INBOXD_MQTT__SESSION_EXPIRY_MAX",
            &["0s", "4294967294s"],
            &["4294967295s", "500ms", "never"],
        ),
        (
            "INBOXD_QUOTA__CONNECTIONS_PER_ADDRESS",
            &["0", "10000000"],
            &["10000001"],
        ),
        ("INBOXD_QUOTA__CONNECTS_PER_SECOND", &["0", "10000000"], &["10000001"]),
        ("INBOXD_QUOTA__CONNECTIONS_PER_USER", &["0", "10000000"], &["10000001"]),
        (
            "INBOXD_QUOTA__PUBLISHES_PER_SECOND",
            &["0", "10000000"],
            &["10000001", "-1"],
        ),
        ("INBOXD_QUOTA__PUBLISH_BYTES_PER_SECOND", &["0", "1TiB"], &["2TiB"]),
        ("INBOXD_MQTT__SESSIONS_MAX", &["0", "10000000"], &["10000001"]),
        ("INBOXD_WILL__AFTER_RESTART", &["0s", "1s", "1d"], &["86401s", "1500ms"]),
        (
            "INBOXD_MQTT__KEEP_ALIVE_MAX",
            &["0s", "1s", "65535s"],
            &["65536s", "1500ms"],
        ),
        ("INBOXD_MQTT__QUEUE_MESSAGES_MAX", &["1", "10000000"], &["0"]),
        (
            "INBOXD_MQTT__SUBSCRIPTIONS_PER_SESSION_MAX",
            &["1", "1000000"],
            &["0", "1000001"],
        ),
        (
            "INBOXD_HTTP__LISTEN",
            &["auto", "off", "127.0.0.1:0", "localhost:8080"],
            &["on", "8080", "127.0.0.1", ""],
        ),
        (
            "INBOXD_HTTP__METRICS",
            &["on", "off", "127.0.0.1:9090"],
            &["auto", "true", "9090"],
        ),
        (
            "INBOXD_HTTP__ORIGINS",
            &["", "*", "https://a.example, https://b.example"],
            &["a.example", "https://a.example/"],
        ),
        ("INBOXD_HTTP__CONNECTIONS_MAX", &["1", "10000"], &["0", "10001"]),
        ("INBOXD_AUTH__REMEMBER", &["0s", "1h"], &["61m", "5"]),
        ("INBOXD_AUTH__HTTP__TIMEOUT", &["100ms", "1m"], &["99ms", "61s"]),
        ("INBOXD_AUTH__HTTP__CACHE", &["0s", "1h"], &["61m"]),
        ("INBOXD_AUTH__JWT__JWKS_REFRESH", &["1m", "1d"], &["59s", "25h"]),
        ("INBOXD_AUTH__JWT__LEEWAY", &["0s", "10m"], &["601s", "500ms"]),
        ("INBOXD_AUTH__VERIFICATIONS_MAX", &["1", "256"], &["0", "257"]),
        (
            "INBOXD_INBOX__MESSAGES_MAX",
            &["1", "9223372036854775807"],
            &["0", "9223372036854775808"],
        ),
        ("INBOXD_INBOX__BYTES_MAX", &["1MiB", "1024TiB"], &["0", "1025TiB"]),
        ("INBOXD_INBOX__TIME_TO_LIVE", &["1s", "3650d"], &["999ms", "3651d"]),
        ("INBOXD_STORE__CACHE_BYTES", &["1MiB", "1TiB"], &["1023KiB", "2TiB"]),
        ("INBOXD_STORE__COMMIT_HOLD", &["0s", "1s"], &["1001ms"]),
        ("INBOXD_STORE__ACK_FLUSH_INTERVAL", &["1ms", "1m"], &["0s", "61s"]),
        (
            "INBOXD_STORE__UNCOMMITTED_BYTES_MAX",
            &["64KiB", "1TiB"],
            &["63KiB", "2TiB"],
        ),
        ("INBOXD_STORE__DISK_FREE_BYTES_MIN", &["0B", "1024TiB"], &["1025TiB"]),
        ("INBOXD_ROUTER__FILTERS_MAX", &["0", "10000000"], &["10000001"]),
        (
            "INBOXD_ROUTER__RETAINED_MESSAGES_MAX",
            &["0", "10000000"],
            &["10000001"],
        ),
        ("INBOXD_ROUTER__RETAINED_BYTES_MAX", &["0B", "1TiB"], &["2TiB"]),
        ("INBOXD_ROUTER__RETAINED_CACHE_BYTES", &["0B", "1TiB"], &["2TiB"]),
    ];
    for (name, good, bad) in cases {
        for value in *good {
            if let Err(error) = load_env(&[(name, value)]) {
                panic!("{name}={value}: {error}");
            }
        }
        for value in *bad {
            assert_says(
                load_env(&[(name, value)]),
                &[name, &format!("{value:?} cannot be used")],
            );
        }
    }
}

#[test]
fn a_printed_configuration_reads_back_to_the_same() {
    // Goal: `inboxd print-config > f; inboxd --config f` changes nothing, and no key is left out of the print.
    let unusual = load(UNUSUAL).unwrap();
    assert_ne!(unusual, Config::default());
    for config in [Config::default(), unusual] {
        let text = config.to_toml();
        assert_eq!(load(&text).unwrap(), config, "{text}");
        assert_eq!(keys_of(&text), Config::keys());
    }
}

#[test]
fn every_key_reaches_its_place() {
    // Goal: no key is wired to another's field: with every value changed, every field differs from its default.
    assert_eq!(keys_of(UNUSUAL), Config::keys());
    let (config, limits) = (load(UNUSUAL).unwrap(), load(UNUSUAL).unwrap().limits());
    let mqtt = &config.mqtt;
    assert_eq!(config.data_dir, Path::new("/srv/ü \"quoted\"/data"));
    assert_eq!(config.shutdown_timeout, Duration::from_millis(1500));
    let listeners: Vec<_> = config
        .all_listeners()
        .into_iter()
        .map(|listener| format!("{} {}", listener.name, listener.listen))
        .collect();
    assert_eq!(
        listeners,
        ["mqtt [::]:0", "lan [::1]:1", "tls [::1]:2", "ws [::1]:3", "wss [::1]:4"]
    );
    assert_eq!(
        (
            config.listener.listen.to_string().as_str(),
            config.listener.allow_anonymous
        ),
        ("[::]:0", true)
    );
    assert_eq!(
        (config.listener.connections_max, mqtt.connect_timeout),
        (7, Duration::from_secs(3))
    );
    assert_eq!(
        (mqtt.message_bytes_max, config.packet_bytes_max()),
        (1000, 1000 + 128 * 1024)
    );
    assert_eq!(
        (
            mqtt.in_flight_max,
            mqtt.unacknowledged_publishes_max,
            mqtt.topic_alias_max
        ),
        (1, 2, 0)
    );
    assert_eq!((mqtt.session_expiry_max, mqtt.sessions_max), (Duration::ZERO, 0));
    assert!(!mqtt.durable_sessions);
    assert_eq!(mqtt.will_after_restart, Some(Duration::from_secs(90)));
    assert_eq!(mqtt.keep_alive_max, Some(Duration::from_secs(90)));
    assert_eq!(
        (mqtt.ack_timeout, mqtt.delivery_rate),
        (Some(Duration::from_secs(120)), Some(16))
    );
    assert_eq!((mqtt.queue_messages_max, mqtt.subscriptions_per_session_max), (5, 6));
    assert_eq!(config.inbox.strangers_max, Some(3));
    assert_eq!(config.access.acl_file, Some("/etc/inboxd/acl.toml".into()));
    let own = |port: u16| HttpPart::At(std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)));
    let http = HttpConfig {
        listen: HttpListen::Off,
        dashboard: HttpPart::Off,
        api: own(5),
        metrics: own(6),
        websocket: own(7),
        origins: vec!["https://ops.example".to_owned()],
        token_file: Some("/etc/inboxd/token".into()),
        connections_max: 8,
    };
    assert_eq!(config.http, http);
    let auth = AuthConfig {
        password_file: Some("/etc/inboxd/users".into()),
        remember: Duration::ZERO,
        verifications_max: 3,
        anonymous_on_loopback: true,
        jwks_refresh: Duration::from_secs(300),
        http_url: Some("http://127.0.0.1:8080/".to_owned()),
        http_timeout: Duration::from_secs(1),
        http_cache: Duration::ZERO,
        certificate: access::CertificateName::CommonName,
        token_keys: access::TokenKeyFiles {
            secret: Some("s".into()),
            public_key: Some("p".into()),
            jwks: Some("j".into()),
            jwks_url: Some("https://id.example/jwks".to_owned()),
        },
        token_rules: access::TokenRules {
            issuer: Some("https://id.example".to_owned()),
            audience: Some("inboxd".to_owned()),
            leeway: Duration::from_secs(60),
            user_claim: "name".to_owned(),
            client_claim: Some("clients".to_owned()),
            roles_claim: "groups".to_owned(),
        },
    };
    assert_eq!(config.auth, auth);
    assert_eq!(mqtt.filter_bytes_per_session_max, 3072);
    let quotas = &config.quotas;
    assert_eq!(
        (quotas.connections_per_address, quotas.connects_per_second),
        (Some(12), Some(13))
    );
    let everybody = quotas.everybody;
    assert_eq!(
        (everybody.connections_per_user, everybody.publishes_per_second),
        (Some(14), Some(15))
    );
    assert_eq!(everybody.publish_bytes_per_second, Some(2048));
    assert_eq!(quotas.roles.len(), 1);
    assert_eq!(
        (quotas.roles[0].0.as_str(), quotas.roles[0].1.publishes_per_second),
        ("guest", Some(1))
    );
    assert_eq!((mqtt.queue_bytes_max, config.memory.budget), (4096, 1 << 30));
    assert_eq!(
        (config.inbox.prefix.as_str(), config.store.cache_bytes),
        ("a/b/", 2 << 20)
    );
    assert_eq!(
        (config.router.filters_max, config.router.retained_messages_max),
        (11, 0)
    );
    assert_eq!(config.router.engine, RouterEngine::Rumqttd);
    assert_eq!(
        (config.router.retained_bytes_max, config.router.retained_cache_bytes),
        (1024, 2048)
    );
    assert_eq!(
        (config.log.level.as_str(), config.log.format),
        ("warn,inboxd=debug", LogFormat::Json)
    );
    let expected = Limits {
        inbox_messages_max: 8,
        inbox_bytes_max: 1024,
        when_full: WhenFull::DropOldest,
        sender_share: 20,
        time_to_live: Duration::from_secs(24 * 3600),
        idle_expiry: Some(Duration::from_secs(7 * 24 * 3600)),
        dedupe_window: Duration::from_secs(60),
        dedupe_ids_max: 9,
        qos0_settle: Duration::from_millis(250),
        commit_hold: Duration::ZERO,
        ack_flush_interval: Duration::from_secs(1),
        memory_bytes_max: config.memory_shares().clients,
        uncommitted_bytes_max: 1 << 20,
        disk_free_bytes_min: 0,
        sizes: Sizes::default(),
    };
    assert_eq!(limits, expected);
}
