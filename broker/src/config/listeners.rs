//! The list of further listeners: `[[listener]]`.

use std::net::SocketAddr;

use config::{Value, ValueKind};

use super::kind::{Address, Kind, Raw};
use super::wrong_value::{LISTENERS_MAX, ListenersError, NAME_BYTES_MAX, WrongValue};

/// A listener and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedListener {
    /// What operators call it. Unique.
    pub name: String,
    /// Where it listens for MQTT over TCP; port 0 lets the system choose.
    pub listen: SocketAddr,
}

/// Tables with `name` and `listen`.
pub(super) struct Listeners;

impl Kind<Vec<NamedListener>> for Listeners {
    fn read(&self, raw: &Raw) -> Result<Vec<NamedListener>, WrongValue> {
        let ValueKind::Array(tables) = &raw.value else {
            return Err(ListenersError::NotAList.into());
        };
        if tables.len() > LISTENERS_MAX {
            return Err(ListenersError::TooMany.into());
        }
        let mut listeners: Vec<NamedListener> = Vec::new();
        for table in tables {
            let listener = read_one(table)?;
            if listeners.iter().any(|other| other.name == listener.name) {
                return Err(ListenersError::Twice { name: listener.name }.into());
            }
            listeners.push(listener);
        }
        Ok(listeners)
    }

    fn write(&self, value: &Vec<NamedListener>) -> toml::Value {
        let table = |listener: &NamedListener| {
            let name = toml::Value::String(listener.name.clone());
            let entries = [
                ("name".to_owned(), name),
                ("listen".to_owned(), Address.write(&listener.listen)),
            ];
            toml::Value::Table(entries.into_iter().collect())
        };
        toml::Value::Array(value.iter().map(table).collect())
    }
}

fn read_one(table: &Value) -> Result<NamedListener, ListenersError> {
    let ValueKind::Table(entries) = &table.kind else {
        return Err(ListenersError::NotATable);
    };
    if let Some(other) = entries.keys().find(|key| !matches!(key.as_str(), "name" | "listen")) {
        return Err(ListenersError::UnknownKey { key: other.clone() });
    }
    let raw = |key: &'static str| {
        let value = entries.get(key).ok_or(ListenersError::Lacks(key))?;
        Ok::<_, ListenersError>(Raw {
            value: value.kind.clone(),
            untyped: false,
        })
    };
    let name = match raw("name")?.value {
        ValueKind::String(name) if is_name(&name) => name,
        _ => return Err(ListenersError::Name),
    };
    let address = Address.read(&raw("listen")?);
    match address {
        Ok(listen) => Ok(NamedListener { name, listen }),
        Err(why) => Err(ListenersError::Listen {
            name,
            why: Box::new(why),
        }),
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name != "mqtt"
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
