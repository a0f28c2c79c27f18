//! From the table of one `[[listener]]` to a listener.

use std::net::IpAddr;
use std::path::PathBuf;

use config::{Map, Value, ValueKind};
use transport::{ClientCertificates, IpNet, TlsFiles, WebSocketRules};

use super::kind::{Address, Kind, Raw};
use super::listener::{CLIENT_CERTIFICATES, Name, NamedListener, TRANSPORTS, Transport};
use super::wrong_value::{ListenersError, NAME_BYTES_MAX};

/// Where MQTT is spoken when no path is given: what most clients for browsers ask for, and what is left when they ask for nothing.
const PATHS: [&str; 2] = ["/mqtt", "/"];
/// Every key of a listener.
const KEYS: [&str; 10] = [
    "name",
    "listen",
    "transport",
    "certificate",
    "key",
    "client_ca",
    "client_certificates",
    "path",
    "origins",
    "proxy_protocol_from",
];

/// The table of one listener.
struct Table<'t> {
    /// The name of the listener.
    name: String,
    entries: &'t Map<String, Value>,
}

/// Reads one table.
pub(super) fn read_one(table: &Value) -> Result<NamedListener, ListenersError> {
    let ValueKind::Table(entries) = &table.kind else {
        return Err(ListenersError::NotATable);
    };
    if let Some(other) = entries.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(ListenersError::UnknownKey {
            key: other.clone(),
            known: KEYS.join(", "),
        });
    }
    let name = match entries.get("name").map(|value| &value.kind) {
        Some(ValueKind::String(name)) if is_name(name) => name.clone(),
        Some(_) => return Err(ListenersError::Name),
        None => return Err(ListenersError::Lacks("name")),
    };
    let table = Table { name, entries };
    let listen = table.read("listen", &Address)?.ok_or(ListenersError::Lacks("listen"))?;
    let transport = match table.read("transport", &TRANSPORTS)?.unwrap_or(Name::Tcp) {
        Name::Tcp => Transport::Tcp,
        Name::Tls => Transport::Tls(table.tls()?),
        Name::Ws => Transport::WebSocket(table.rules()?),
        Name::Wss => Transport::SecureWebSocket(table.tls()?, table.rules()?),
    };
    table.check_keys_of(&transport)?;
    let proxies = table.texts("proxy_protocol_from")?.unwrap_or_default();
    let proxies: Result<Vec<IpNet>, _> = proxies.iter().map(|text| table.net(text)).collect();
    Ok(NamedListener {
        listen,
        transport,
        proxy_protocol_from: proxies?,
        name: table.name,
    })
}

impl Table<'_> {
    fn read<T>(&self, key: &'static str, kind: &impl Kind<T>) -> Result<Option<T>, ListenersError> {
        let Some(value) = self.entries.get(key) else {
            return Ok(None);
        };
        let raw = Raw {
            value: value.kind.clone(),
            untyped: false,
        };
        kind.read(&raw).map(Some).map_err(|why| ListenersError::Value {
            key,
            name: self.name.clone(),
            why: Box::new(why),
        })
    }

    fn text(&self, key: &'static str) -> Result<Option<&str>, ListenersError> {
        match self.entries.get(key).map(|value| &value.kind) {
            None => Ok(None),
            Some(ValueKind::String(text)) if !text.is_empty() && !text.contains('\0') => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "it is text that is not empty")),
        }
    }

    fn texts(&self, key: &'static str) -> Result<Option<Vec<&str>>, ListenersError> {
        let wrong = || self.wrong(key, "it is a list of texts");
        let list = match self.entries.get(key).map(|value| &value.kind) {
            None => return Ok(None),
            Some(ValueKind::Array(list)) => list,
            Some(_) => return Err(wrong()),
        };
        let texts = list.iter().map(|value| match &value.kind {
            ValueKind::String(text) => Ok(text.as_str()),
            _ => Err(wrong()),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    fn tls(&self) -> Result<TlsFiles, ListenersError> {
        let lacks = |key| ListenersError::LacksOfTls {
            key,
            name: self.name.clone(),
        };
        let path = |key| self.text(key).map(|text| text.map(PathBuf::from));
        let files = TlsFiles {
            certificate: path("certificate")?.ok_or_else(|| lacks("certificate"))?,
            key: path("key")?.ok_or_else(|| lacks("key"))?,
            client_ca: path("client_ca")?,
            client_certificates: self
                .read("client_certificates", &CLIENT_CERTIFICATES)?
                .unwrap_or_default(),
        };
        match (files.client_certificates, &files.client_ca) {
            (ClientCertificates::No, Some(_)) => Err(self.wrong(
                "client_ca",
                "it is for client certificates, and none are asked for: set client_certificates to \"optional\" or \"required\"",
            )),
            (ClientCertificates::Optional | ClientCertificates::Required, None) => Err(self.wrong(
                "client_certificates",
                "nothing says who may sign them: set client_ca to a file with their certificates",
            )),
            _ => Ok(files),
        }
    }

    fn rules(&self) -> Result<WebSocketRules, ListenersError> {
        const PATH: &str = "it is the path of a URL, like \"/mqtt\"";
        const ORIGIN: &str =
            "each is what a browser calls the origin of a page, like \"https://example.org\", or \"*\" for any page";
        let paths = match self.text("path")? {
            None => PATHS.map(str::to_owned).to_vec(),
            Some(path) if is_path(path) => vec![path.to_owned()],
            Some(_) => return Err(self.wrong("path", PATH)),
        };
        let origins = self.texts("origins")?.unwrap_or_default();
        match origins.iter().all(|origin| is_origin(origin)) {
            true => Ok(WebSocketRules {
                paths,
                same_host: origins.is_empty(),
                origins: origins.into_iter().map(str::to_ascii_lowercase).collect(),
            }),
            false => Err(self.wrong("origins", ORIGIN)),
        }
    }

    /// A network, or one address.
    fn net(&self, text: &str) -> Result<IpNet, ListenersError> {
        let one = || text.parse::<IpAddr>().map(IpNet::from).ok();
        text.parse().ok().or_else(one).ok_or_else(|| {
            self.wrong(
                "proxy_protocol_from",
                "each is an IP address, or a network like \"10.0.0.0/8\" or \"fd00::/8\"",
            )
        })
    }

    /// A key that means nothing is a mistake: who writes `client_ca` without TLS believes to be safe.
    fn check_keys_of(&self, transport: &Transport) -> Result<(), ListenersError> {
        let of_tls = ["certificate", "key", "client_ca", "client_certificates"];
        let of_websocket = ["path", "origins"];
        let unused = |keys: &[&'static str]| keys.iter().copied().find(|key| self.entries.contains_key(*key));
        if transport.tls().is_none()
            && let Some(key) = unused(&of_tls)
        {
            return Err(self.wrong(
                key,
                "it is for TLS: set transport to \"tls\" or \"wss\", or leave it out",
            ));
        }
        if transport.rules().is_none()
            && let Some(key) = unused(&of_websocket)
        {
            return Err(self.wrong(
                key,
                "it is for WebSocket: set transport to \"ws\" or \"wss\", or leave it out",
            ));
        }
        Ok(())
    }

    fn wrong(&self, key: &'static str, allowed: &'static str) -> ListenersError {
        ListenersError::Key {
            key,
            name: self.name.clone(),
            allowed,
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && !matches!(name, "mqtt" | "http")
        && !name.starts_with("http-")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'))
}

pub(super) fn is_origin(origin: &str) -> bool {
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    origin == "*" || origin == "null" || is_host
}
