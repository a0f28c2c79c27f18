//! Directives of Mosquitto that have no counterpart, and why.

const BRIDGES: &str = "there are no bridges: let a client of its own read there and publish here";
const PLUGINS: &str =
    "there are no plugins: auth.http.url asks a service of your own, [auth.jwt] reads tokens (docs/security.md)";
const TLS: &str = "TLS is 1.2 or 1.3 with the ciphers of rustls, and cannot be tuned";
const LOG: &str = "the log goes to standard error, with times, for the service manager to keep";
const ALWAYS: &str = "inboxes are always on disk; sessions and retained messages are in memory";
const PROCESS: &str = "the service manager says that (deploy/systemd/inboxd.service)";
const NOT_NEEDED: &str = "there is nothing like it to set";

/// Directives by their name, and why they are not taken. Those that end with `*` are all that begin so.
const TABLE: &[(&str, &str)] = &[
    ("connection", BRIDGES),
    ("address", BRIDGES),
    ("addresses", BRIDGES),
    ("topic", BRIDGES),
    ("bridge_*", BRIDGES),
    ("remote_*", BRIDGES),
    ("local_*", BRIDGES),
    ("cleansession", BRIDGES),
    ("notification*", BRIDGES),
    ("start_type", BRIDGES),
    ("try_private", BRIDGES),
    ("keepalive_interval", BRIDGES),
    ("idle_timeout", BRIDGES),
    ("restart_timeout", BRIDGES),
    ("round_robin", BRIDGES),
    ("threshold", BRIDGES),
    ("clientid", BRIDGES),
    ("username", BRIDGES),
    ("password", BRIDGES),
    ("plugin*", PLUGINS),
    ("global_plugin", PLUGINS),
    ("auth_plugin*", PLUGINS),
    ("auth_opt_*", PLUGINS),
    ("ciphers*", TLS),
    ("tls_*", TLS),
    ("dhparamfile", TLS),
    (
        "capath",
        "client_ca is one file: put the certificates of those who sign into it",
    ),
    (
        "crlfile",
        "lists of revoked certificates are not read; do not rely on them",
    ),
    ("psk_*", "there are no pre-shared keys: use certificates or passwords"),
    (
        "use_psk_*",
        "there are no pre-shared keys: use certificates or passwords",
    ),
    (
        "use_subject_as_username",
        "the user is the common name, or the first alternative name, of a certificate (auth.certificate)",
    ),
    (
        "use_username_as_clientid",
        "a user NAME has the client IDs NAME and those that begin with NAME~",
    ),
    ("autosave_*", ALWAYS),
    ("persistence_file", ALWAYS),
    ("retained_persistence", ALWAYS),
    ("log_dest", LOG),
    ("log_facility", LOG),
    ("log_timestamp*", LOG),
    (
        "connection_messages",
        "who logs in and out is in the audit log (log.audit_file)",
    ),
    ("websockets_log_level", LOG),
    ("user", PROCESS),
    ("pid_file", PROCESS),
    (
        "include_dir",
        "other files are not read: import each of them, or put them into this one",
    ),
    ("http_dir", "files are not served: use a web server"),
    ("websockets_headers_size", NOT_NEEDED),
    (
        "websockets_origin",
        "origins of that listener lists the pages that may connect",
    ),
    ("mount_point", "topics are the same on all listeners"),
    ("bind_interface", "name the address of that interface in listen"),
    ("socket_domain", "0.0.0.0 is IPv4, and [::] is both"),
    ("accept_protocol_versions", "every listener takes MQTT 3.1, 3.1.1 and 5"),
    ("max_qos", "every listener takes QoS 0, 1 and 2"),
    (
        "allow_zero_length_clientid",
        "clients without a client ID are let in where MQTT allows it, and have no inbox of a name that stays",
    ),
    ("auto_id_prefix", NOT_NEEDED),
    (
        "clientid_prefixes",
        "which client IDs a user may have is said by client_ids of a role (acl.toml)",
    ),
    ("allow_duplicate_messages", NOT_NEEDED),
    ("check_retain_source", NOT_NEEDED),
    ("max_inflight_bytes", NOT_NEEDED),
    ("queue_qos0_messages", "QoS 0 waits for nobody who is away"),
    (
        "retain_expiry_interval",
        "a publisher gives a retained message a time by MQTT 5 message expiry",
    ),
    ("set_tcp_nodelay", NOT_NEEDED),
    ("sys_interval", NOT_NEEDED),
    (
        "upgrade_outgoing_qos",
        "a message has the QoS that MQTT says: the lower one of publish and subscription",
    ),
    (
        "enable_proxy_protocol",
        "proxy_protocol_from of a listener lists the load balancers that say who the client is",
    ),
    ("enable_control_api", NOT_NEEDED),
];

/// Whether a directive is about the bridge that `connection` began.
pub(super) fn is_of_a_bridge(name: &str) -> bool {
    why(name) == Some(BRIDGES)
}

/// Why a directive is not taken; `None` when nobody knows it.
pub(super) fn why(name: &str) -> Option<&'static str> {
    let is_it = |known: &str| match known.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == known,
    };
    TABLE.iter().find(|(known, _)| is_it(known)).map(|(_, why)| *why)
}
