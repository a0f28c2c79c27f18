//! What `inboxd init` writes and says.

use std::fmt;

use super::{AUDIT, CERTIFICATE, CONFIG, DATA, KEY, PASSWORDS, RULES as RULES_FILE};
use crate::config::DEFAULT_HTTP;

/// The configuration, with all of its files in `dir`.
pub(super) fn configuration(dir: &str) -> String {
    let path = |name: &str| toml::Value::String(format!("{dir}/{name}"));
    let (data, passwords, rules) = (path(DATA), path(PASSWORDS), path(RULES_FILE));
    let (certificate, key, audit) = (path(CERTIFICATE), path(KEY), path(AUDIT));
    format!(
        r#"# A first configuration of inboxd, for trials, made by `inboxd init`. inboxd.example.toml has every key, its default and the reason for it.
# Before other machines may connect: docs/security.md, "Hardening checklist", and `inboxd check-config --strict`.

data_dir = {data}

# MQTT over TLS. For clients of other machines: listen = "0.0.0.0:8883".
[[listener]]
name = "mqtts"
listen = "127.0.0.1:8883"
transport = "tls"
certificate = {certificate}
key = {key}

# MQTT over WebSocket and TLS, for browsers: wss://localhost:8084/mqtt. origins lists the pages that may connect.
[[listener]]
name = "wss"
listen = "127.0.0.1:8084"
transport = "wss"
certificate = {certificate}
key = {key}
origins = []

# MQTT in the clear, for this machine alone.
[mqtt]
listen = "127.0.0.1:1883"

# Who clients are. `inboxd passwd FILE NAME` adds a user to this file, or changes a password.
[auth]
password_file = {passwords}

# Who may do what.
[access]
acl_file = {rules}

# What one address may take.
[quota]
connections_per_address = 1000
connects_per_second = 100

# Who logged in, who was refused and why, what operators did.
[log]
audit_file = {audit}
"#
    )
}

/// Access rules to begin with.
pub(super) const RULES: &str = r##"# Access rules of inboxd, made by `inboxd init`: docs/security.md, "Access rules", and acl.example.toml.
# A running broker reads them again at SIGHUP. `inboxd acl --config inboxd.toml test USER CLIENT publish TOPIC` says what they decide.

# Whoever has logged in may use all ordinary topics, and write to every inbox. Narrow this down: %u is the user, %c the client ID.
[[role]]
name = "authenticated"
publish = ["#"]
subscribe = ["#"]
write_to = ["*"]
"##;

/// What is said at the end.
pub(super) struct Told<'t> {
    pub(super) dir: &'t str,
    /// Passwords.
    pub(super) operator: &'t str,
    pub(super) alice: &'t str,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { dir, operator, alice } = self;
        let word = |name: &str| quoted(&format!("{dir}/{name}"));
        let (config, certificate) = (word(CONFIG), word(CERTIFICATE));
        write!(
            f,
            "\
Wrote {KEY}, {CERTIFICATE}, {PASSWORDS}, {RULES_FILE} and {CONFIG} to {dir}

Users and their passwords, which are not shown again:

  operator  {operator}  (role ops: runs the broker: dashboard, API, $SYS)
  alice     {alice}

Start the broker:

  inboxd --config {config}

The dashboard is at http://{DEFAULT_HTTP}/, for operator and that password. (If the port is taken, the broker takes
another one: its first line names it, after http=.)

Send alice a message, and read it, over TLS:

  mosquitto_pub --cafile {certificate} -h localhost -p 8883 -i operator -u operator -P {operator} -q 1 -t alice -m hello
  mosquitto_sub --cafile {certificate} -h localhost -p 8883 -i alice -u alice -P {alice} -q 1 -t alice -C 1

Before other machines may connect, change in {dir}:

  {CERTIFICATE}, {KEY}  signed by themselves, for a year: take some that an authority signed
  {PASSWORDS}                     the users: inboxd passwd {passwords} NAME [--role ROLE], or --delete
  {RULES_FILE}                  every user may write to every inbox and use every topic: say who may do what
  {CONFIG}               the addresses: everything listens on this machine alone

  inboxd check-config --strict --config {config}

says what is left to do, and docs/security.md, \"Hardening checklist\", why.
",
            passwords = word(PASSWORDS),
        )
    }
}

/// A word for a shell.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | '@' | ':' | ',');
    match path.chars().all(is_plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}
