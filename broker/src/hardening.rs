//! What works and is not safe: what `inboxd check-config` tells of, and refuses with `--strict`. The checklist of `docs/security.md` has it line by line.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use admin::Part;
use transport::Remark;

use crate::addresses::is_reachable;
use crate::config::{Config, NamedListener, Transport};
use crate::http_ports;
use crate::listening::{Spot, spots};

/// Any access by users who are neither the owner nor of the group.
const OTHERS: u32 = 0o007;
/// Writing by them.
const OTHERS_WRITE: u32 = 0o002;
/// In a directory with this bit nobody removes what is somebody else's.
const STICKY: u32 = 0o1000;

/// Something that works and is not safe. Each is a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// A secret is not one.
    #[error("every user of this machine can read or change the {what} {}; make it the broker's alone (chmod 600)", path.display())]
    Open {
        /// What it is.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Others decide what the broker does.
    #[error("every user of this machine can change the {what} {}; take that from them (chmod o-w)", path.display())]
    Writable {
        /// What it is.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// A certificate whose time is not now, or soon over.
    #[error("{0}")]
    Certificate(Remark),
    /// Nobody vouches for a certificate.
    #[error(
        "the certificate in {} is signed by itself, so clients that do not have this very file cannot tell this broker from somebody in between; \
         take one that an authority signed", .0.display()
    )]
    SelfSigned(PathBuf),
    /// Strangers are let in.
    #[error(
        "anybody who reaches the listener {0:?} is let in, under names of their own choice (mqtt.allow_anonymous); turn that off and give users \
         passwords, tokens or certificates"
    )]
    Anonymous(String),
    /// Secrets travel in the clear.
    #[error(
        "passwords and mail come to the listener {0:?} in the clear; give it transport = \"tls\" or \"wss\", or put it on loopback"
    )]
    Plain(String),
    /// Secrets travel in the clear.
    #[error(
        "passwords, tokens and mail come to the HTTP port {0} in the clear; put it on loopback, and a proxy with TLS before it"
    )]
    PlainHttp(SocketAddr),
    /// One address can take every connection.
    #[error(
        "one address can take all connections of the listener {0:?}, and guess as fast as it connects; set quota.connections_per_address and \
         quota.connects_per_second"
    )]
    NoQuota(String),
    /// Every user may do everything.
    #[error("every user may use all ordinary topics and write to every inbox; say who may do what (access.acl_file)")]
    NoRules,
    /// Any page of the web can connect.
    #[error(
        "any web page that somebody visits can connect to the listener {0:?} without saying who it is (origins = [\"*\"]); list the origins of \
         your own pages"
    )]
    AnyOrigin(String),
    /// A service is asked in the clear.
    #[error(
        "what {key} asks and is answered travels in the clear, and can be changed on the way; give it a URL that begins with https://"
    )]
    PlainUrl {
        /// Which key.
        key: &'static str,
    },
    /// Tokens for others are taken.
    #[error(
        "tokens that were issued for other services are taken, too; set auth.jwt.audience, and have the issuer name it in aud"
    )]
    NoAudience,
}

/// Every weakness of `config`, which comes from the file at `source`. `remarks` are what is known of its certificates.
pub fn weaknesses(config: &Config, source: Option<&Path>, remarks: Vec<Remark>) -> Vec<Weakness> {
    let mut found: Vec<Weakness> = remarks.into_iter().map(Weakness::Certificate).collect();
    found.extend(of_files(config, source));
    found.extend(
        config
            .all_listeners()
            .iter()
            .flat_map(|listener| of_listener(config, listener)),
    );
    found.extend(of_http(config));
    let is_reached = |spot: &Spot| spot.has_mqtt && is_reachable(spot.address);
    if spots(config).iter().any(is_reached) && config.auth.knows_users() && config.access.acl_file.is_none() {
        found.push(Weakness::NoRules);
    }
    let keys = &config.auth.token_keys;
    for (key, url) in [
        ("auth.http.url", &config.auth.http_url),
        ("auth.jwt.jwks_url", &keys.jwks_url),
    ] {
        if url.as_deref().is_some_and(is_plain) {
            found.push(Weakness::PlainUrl { key });
        }
    }
    if keys.are_any() && config.auth.token_rules.audience.is_none() {
        found.push(Weakness::NoAudience);
    }
    // One certificate may serve several listeners, and is told about once.
    let mut distinct = Vec::new();
    for weakness in found {
        if !distinct.contains(&weakness) {
            distinct.push(weakness);
        }
    }
    distinct
}

/// The files that only the broker is to read, where there are any, and what each is.
pub(crate) fn secrets(config: &Config) -> Vec<(&'static str, Option<&Path>)> {
    let mut secret = vec![
        ("password file", config.auth.password_file.as_deref()),
        ("secret of tokens", config.auth.token_keys.secret.as_deref()),
        ("token of the API", config.http.token_file.as_deref()),
        ("audit log", config.log.audit_file.as_deref()),
    ];
    let tls = config.listeners.iter().filter_map(|listener| listener.transport.tls());
    secret.extend(tls.map(|files| ("key", Some(files.key.as_path()))));
    secret
}

/// The files that only the broker's operator is to change, where there are any, and what each is.
pub(crate) fn trusted<'c>(config: &'c Config, source: Option<&'c Path>) -> Vec<(&'static str, Option<&'c Path>)> {
    let keys = &config.auth.token_keys;
    let mut trusted = vec![
        ("configuration file", source),
        ("file of access rules", config.access.acl_file.as_deref()),
        ("public key of tokens", keys.public_key.as_deref()),
        ("set of public keys", keys.jwks.as_deref()),
    ];
    for files in config.listeners.iter().filter_map(|listener| listener.transport.tls()) {
        trusted.push(("certificate", Some(&files.certificate)));
        trusted.push((
            "certificates of those who sign client certificates",
            files.client_ca.as_deref(),
        ));
    }
    trusted
}

fn of_files(config: &Config, source: Option<&Path>) -> Vec<Weakness> {
    let audit = config.log.audit_file.as_deref();
    let mut found = Vec::new();
    for (what, path) in secrets(config) {
        let path = path.filter(|path| mode(path).is_some_and(|mode| mode & OTHERS != 0));
        found.extend(path.map(|path| Weakness::Open {
            what,
            path: path.into(),
        }));
    }
    for (what, path) in trusted(config, source) {
        let path = path.filter(|path| mode(path).is_some_and(|mode| mode & OTHERS_WRITE != 0));
        found.extend(path.map(|path| Weakness::Writable {
            what,
            path: path.into(),
        }));
    }
    let above = audit.and_then(Path::parent);
    let above = above.filter(|above| mode(above).is_some_and(|mode| mode & (OTHERS_WRITE | STICKY) == OTHERS_WRITE));
    found.extend(above.map(|above| Weakness::Writable {
        what: "directory of the audit log",
        path: above.into(),
    }));
    found
}

fn of_listener(config: &Config, listener: &NamedListener) -> Vec<Weakness> {
    let name = || listener.name.clone();
    let mut found = Vec::new();
    if let Some(files) = listener.transport.tls().filter(|files| files.is_self_signed()) {
        found.push(Weakness::SelfSigned(files.certificate.clone()));
    }
    if let Transport::WebSocket(rules) | Transport::SecureWebSocket(_, rules) = &listener.transport
        && rules.origins.iter().any(|origin| origin == "*")
        && config.anonymous().is_some()
    {
        found.push(Weakness::AnyOrigin(name()));
    }
    if !is_reachable(listener.listen) {
        return found;
    }
    found.extend(of_entrance(config, &listener.name));
    // A load balancer that sends PROXY headers may have ended TLS, and be the only one that reaches this listener.
    if listener.transport.tls().is_none() && listener.proxy_protocol_from.is_empty() {
        found.push(Weakness::Plain(name()));
    }
    found
}

/// Of a place where other machines speak MQTT, whatever it is.
fn of_entrance(config: &Config, name: &str) -> Vec<Weakness> {
    let mut found = Vec::new();
    if config.listener.allow_anonymous {
        found.push(Weakness::Anonymous(name.to_owned()));
    }
    if config.quotas.connections_per_address.is_none() || config.quotas.connects_per_second.is_none() {
        found.push(Weakness::NoQuota(name.to_owned()));
    }
    found
}

fn of_http(config: &Config) -> Vec<Weakness> {
    let mut found = Vec::new();
    if config.http.origins.iter().any(|origin| origin == "*") && config.anonymous().is_some() {
        found.push(Weakness::AnyOrigin("http".to_owned()));
    }
    let reachable = http_ports::places(config)
        .into_iter()
        .filter(|place| is_reachable(place.address));
    for place in reachable {
        if place.has(Part::WebSocket) || place.has(Part::Api) {
            found.push(Weakness::PlainHttp(place.address));
        }
        if place.has(Part::WebSocket) {
            found.extend(of_entrance(config, place.name));
        }
    }
    found
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.mode())
}

/// Whether a URL is of another machine and goes there in the clear.
fn is_plain(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|v6| v6.split(']').next()) {
        Some(v6) => v6,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::HttpListen;

    fn said(config: &Config, source: Option<&Path>) -> String {
        let found = weaknesses(config, source, Vec::new());
        found.iter().map(|weakness| format!("{weakness}\n")).collect()
    }

    #[test]
    fn the_defaults_are_safe() {
        // Goal: a broker that serves this machine alone has nothing to complain of.
        assert_eq!(said(&Config::default(), None), "");
    }

    #[test]
    fn what_other_machines_reach_is_looked_at() {
        // Goal: a plain listener without quotas and rules, and strangers, each with a sentence that names listener and key; loopback has none. MQTT
        // over the HTTP port is the same.
        let mut config = Config::default();
        config.listener.listen = "0.0.0.0:1883".parse().unwrap();
        config.auth.http_url = Some("http://auth.example/x".to_owned());
        config.listener.allow_anonymous = true;
        let words = [
            "allow_anonymous",
            "in the clear; give it",
            "connections_per_address",
            "acl_file",
            "auth.http.url",
        ];
        let all = said(&config, None);
        assert!(
            words.iter().all(|word| all.contains(word)) && all.lines().count() == words.len(),
            "{all}"
        );
        config.listener.listen = "[::ffff:127.0.0.1]:1883".parse().unwrap();
        config.auth.http_url = Some("http://[::1]:80/x".to_owned());
        assert_eq!(said(&config, None), "");
        config.auth.token_keys.secret = Some("none".into());
        assert!(said(&config, None).contains("auth.jwt.audience"));
        config.auth.token_keys.secret = None;
        config.http.listen = HttpListen::At("0.0.0.0:8080".parse().unwrap());
        config.http.origins = vec!["*".to_owned()];
        let http = said(&config, None);
        let words = [
            "0.0.0.0:8080 in the clear",
            "origins = [\"*\"]",
            "allow_anonymous",
            "connections_per_address",
            "acl_file",
        ];
        assert!(
            words.iter().all(|word| http.contains(word)) && http.lines().count() == words.len(),
            "{http}"
        );
    }

    #[test]
    fn files_that_others_can_read_or_change_are_named() {
        // Goal: a secret is the broker's alone; what it is told by can be read by others and not changed.
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, mode| {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let mut config = Config::default();
        config.auth.password_file = Some(file("users", 0o640));
        config.log.audit_file = Some(file("audit", 0o604));
        config.access.acl_file = Some(file("acl", 0o644));
        let source = file("inboxd.toml", 0o666);
        let all = said(&config, Some(&source));
        assert_eq!(all.lines().count(), 2, "{all}");
        assert!(all.contains("audit log") && all.contains("chmod 600"), "{all}");
        assert!(all.contains("configuration file") && all.contains("chmod o-w"), "{all}");
    }

    #[test]
    fn urls_of_this_machine_need_no_tls() {
        // Goal: what leaves the machine is to be encrypted, and nothing else.
        for (url, plain) in [
            ("http://auth.example", true),
            ("http://192.0.2.1:8080/", true),
            ("http://localhost.example/", true),
            ("https://auth.example", false),
            ("http://127.0.0.1:8080/x", false),
            ("http://[::1]/", false),
            ("http://localhost:1", false),
        ] {
            assert_eq!(is_plain(url), plain, "{url}");
        }
    }
}
