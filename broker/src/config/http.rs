//! `[http]`: where HTTP is spoken, and what is to be found there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use config::ValueKind;

use super::kind::{Address, Kind, Raw};
use super::listener_table::is_origin;
use super::wrong_value::WrongValue;

/// Where HTTP is spoken when nobody says where.
pub const DEFAULT_HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const AUTO: &str = "auto";
const ON: &str = "on";
const OFF: &str = "off";

/// Section `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where HTTP is spoken.
    pub listen: HttpListen,
    /// The dashboard.
    pub dashboard: HttpPart,
    /// The API.
    pub api: HttpPart,
    /// Metrics for Prometheus.
    pub metrics: HttpPart,
    /// MQTT over WebSocket.
    pub websocket: HttpPart,
    /// Web pages that may use the API and MQTT beside those of the broker itself, in small letters.
    pub origins: Vec<String>,
    /// The token of the API.
    pub token_file: Option<PathBuf>,
    /// HTTP connections at a time, beside those that became WebSockets.
    pub connections_max: usize,
}

/// Where HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpListen {
    /// At [`DEFAULT_HTTP`], or at a free port of loopback where that is in use.
    Auto,
    /// Nowhere, but for what has an address of its own.
    Off,
    /// Here.
    At(SocketAddr),
}

/// Where one part of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpPart {
    /// Where [`HttpConfig::listen`] is.
    On,
    /// Nowhere.
    Off,
    /// At an address of its own.
    At(SocketAddr),
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            listen: HttpListen::Auto,
            dashboard: HttpPart::On,
            api: HttpPart::On,
            metrics: HttpPart::On,
            websocket: HttpPart::On,
            origins: Vec::new(),
            token_file: None,
            connections_max: 128,
        }
    }
}

/// `"auto"`, `"off"` or an address.
pub(super) struct Listen;

/// `"on"`, `"off"` or an address.
pub(super) struct Part;

/// Origins of web pages. In the environment, with commas between them.
pub(super) struct Origins;

impl Kind<HttpListen> for Listen {
    fn read(&self, raw: &Raw) -> Result<HttpListen, WrongValue> {
        match raw.text().map(str::trim) {
            Some(AUTO) => Ok(HttpListen::Auto),
            Some(OFF) => Ok(HttpListen::Off),
            _ => address(raw, WrongValue::HttpListen).map(HttpListen::At),
        }
    }

    fn write(&self, value: &HttpListen) -> toml::Value {
        toml::Value::String(match value {
            HttpListen::Auto => AUTO.to_owned(),
            HttpListen::Off => OFF.to_owned(),
            HttpListen::At(address) => address.to_string(),
        })
    }
}

impl Kind<HttpPart> for Part {
    fn read(&self, raw: &Raw) -> Result<HttpPart, WrongValue> {
        match raw.text().map(str::trim) {
            Some(ON) => Ok(HttpPart::On),
            Some(OFF) => Ok(HttpPart::Off),
            _ => address(raw, WrongValue::HttpPart).map(HttpPart::At),
        }
    }

    fn write(&self, value: &HttpPart) -> toml::Value {
        toml::Value::String(match value {
            HttpPart::On => ON.to_owned(),
            HttpPart::Off => OFF.to_owned(),
            HttpPart::At(address) => address.to_string(),
        })
    }
}

/// What has the form of an address may still be a name that is not known here.
fn address(raw: &Raw, otherwise: WrongValue) -> Result<SocketAddr, WrongValue> {
    Address.read(raw).map_err(|why| match why {
        WrongValue::Address => otherwise,
        why => why,
    })
}

impl Kind<Vec<String>> for Origins {
    fn read(&self, raw: &Raw) -> Result<Vec<String>, WrongValue> {
        let origins: Option<Vec<String>> = match (&raw.value, raw.untyped) {
            (ValueKind::Array(list), _) => list
                .iter()
                .map(|origin| match &origin.kind {
                    ValueKind::String(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            (ValueKind::String(text), true) => {
                let listed = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
                Some(listed.map(str::to_owned).collect())
            }
            _ => None,
        };
        let origins = origins.filter(|origins| origins.iter().all(|origin| is_origin(origin)));
        let origins = origins.ok_or(WrongValue::Origins)?;
        Ok(origins.into_iter().map(|origin| origin.to_ascii_lowercase()).collect())
    }

    fn write(&self, value: &Vec<String>) -> toml::Value {
        toml::Value::Array(value.iter().cloned().map(toml::Value::String).collect())
    }
}
