//! The list of further listeners: `[[listener]]`.

use std::net::SocketAddr;

use config::{Value, ValueKind};

use super::kind::{Address, Kind, Raw};

/// Longest name of a listener, in bytes: it is in log lines and in the line that says that the broker is ready.
const NAME_BYTES_MAX: usize = 32;
/// Listeners beside the one of `mqtt.listen`. Each is a task.
const LISTENERS_MAX: usize = 64;

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
    fn read(&self, raw: &Raw) -> Result<Vec<NamedListener>, String> {
        let ValueKind::Array(tables) = &raw.value else {
            return Err(
                "it is a list of tables: write [[listener]] in a file, with name and listen below it".to_owned(),
            );
        };
        if tables.len() > LISTENERS_MAX {
            return Err(format!("there are at most {LISTENERS_MAX}"));
        }
        let mut listeners: Vec<NamedListener> = Vec::new();
        for table in tables {
            let listener = read_one(table)?;
            if listeners.iter().any(|other| other.name == listener.name) {
                return Err(format!(
                    "two of them are called {:?}; a name is there to tell them apart",
                    listener.name
                ));
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

fn read_one(table: &Value) -> Result<NamedListener, String> {
    let ValueKind::Table(entries) = &table.kind else {
        return Err("each is a table with name and listen".to_owned());
    };
    if let Some(other) = entries.keys().find(|key| !matches!(key.as_str(), "name" | "listen")) {
        return Err(format!(
            "there is no key {other:?} in it: a listener has name and listen"
        ));
    }
    let raw = |key: &str| {
        let value = entries.get(key).ok_or_else(|| format!("one of them has no {key}"))?;
        Ok::<_, String>(Raw {
            value: value.kind.clone(),
            untyped: false,
        })
    };
    let name = match raw("name")?.value {
        ValueKind::String(name) if is_name(&name) => name,
        _ => {
            return Err(format!(
                "a name is 1 to {NAME_BYTES_MAX} of a-z, 0-9 and -, and not \"mqtt\", which is the one of mqtt.listen"
            ));
        }
    };
    let listen = Address
        .read(&raw("listen")?)
        .map_err(|expected| format!("listen of {name:?}: {expected}"))?;
    Ok(NamedListener { name, listen })
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name != "mqtt"
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
