//! One listener, and how it is written.

use std::net::SocketAddr;
use std::path::PathBuf;

use transport::{ClientCertificates, IpNet, TlsFiles, WebSocketRules};

use super::kind::{Address, Choice, Kind};

/// The names of [`Transport`].
pub(super) const TRANSPORTS: Choice<Name> = Choice(&[
    ("tcp", Name::Tcp),
    ("tls", Name::Tls),
    ("ws", Name::Ws),
    ("wss", Name::Wss),
]);
/// The names of [`ClientCertificates`].
pub(super) const CLIENT_CERTIFICATES: Choice<ClientCertificates> = Choice(&[
    ("no", ClientCertificates::No),
    ("optional", ClientCertificates::Optional),
    ("required", ClientCertificates::Required),
]);
/// A listener and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedListener {
    /// What operators call it. Unique.
    pub name: String,
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What carries MQTT there.
    pub transport: Transport,
    /// Load balancers that say by the PROXY protocol who the client is.
    pub proxy_protocol_from: Vec<IpNet>,
}

/// What carries MQTT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TCP alone.
    Tcp,
    /// TLS.
    Tls(TlsFiles),
    /// WebSocket.
    WebSocket(WebSocketRules),
    /// WebSocket over TLS.
    SecureWebSocket(TlsFiles, WebSocketRules),
}

/// The name of a [`Transport`] in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl NamedListener {
    /// A listener for MQTT over TCP.
    pub(super) fn tcp(name: &str, listen: SocketAddr) -> Self {
        NamedListener {
            name: name.to_owned(),
            listen,
            transport: Transport::Tcp,
            proxy_protocol_from: Vec::new(),
        }
    }
}

impl Transport {
    /// The files of TLS, if it is TLS.
    pub fn tls(&self) -> Option<&TlsFiles> {
        match self {
            Transport::Tls(files) | Transport::SecureWebSocket(files, _) => Some(files),
            Transport::Tcp | Transport::WebSocket(_) => None,
        }
    }

    pub(super) fn rules(&self) -> Option<&WebSocketRules> {
        match self {
            Transport::WebSocket(rules) | Transport::SecureWebSocket(_, rules) => Some(rules),
            Transport::Tcp | Transport::Tls(_) => None,
        }
    }

    fn name(&self) -> Name {
        match self {
            Transport::Tcp => Name::Tcp,
            Transport::Tls(_) => Name::Tls,
            Transport::WebSocket(_) => Name::Ws,
            Transport::SecureWebSocket(..) => Name::Wss,
        }
    }
}

/// A table with the keys that differ from their defaults.
pub(super) fn write_one(listener: &NamedListener) -> toml::Value {
    let text = |text: &str| toml::Value::String(text.to_owned());
    let path = |path: &PathBuf| text(&path.to_string_lossy());
    let list = |texts: Vec<String>| toml::Value::Array(texts.into_iter().map(toml::Value::String).collect());
    let mut table = toml::Table::new();
    let mut set = |key: &str, value| table.insert(key.to_owned(), value);
    set("name", text(&listener.name));
    set("listen", Address.write(&listener.listen));
    set("transport", TRANSPORTS.write(&listener.transport.name()));
    if let Some(files) = listener.transport.tls() {
        set("certificate", path(&files.certificate));
        set("key", path(&files.key));
        set(
            "client_certificates",
            CLIENT_CERTIFICATES.write(&files.client_certificates),
        );
        if let Some(ca) = &files.client_ca {
            set("client_ca", path(ca));
        }
    }
    if let Some(rules) = listener.transport.rules() {
        if let [only] = rules.paths.as_slice() {
            set("path", text(only));
        }
        set("origins", list(rules.origins.clone()));
    }
    if !listener.proxy_protocol_from.is_empty() {
        let nets = listener.proxy_protocol_from.iter().map(IpNet::to_string);
        set("proxy_protocol_from", list(nets.collect()));
    }
    toml::Value::Table(table)
}
