//! The list of further listeners: `[[listener]]`.

use config::ValueKind;

use super::kind::{Kind, Raw};
use super::listener::{NamedListener, write_one};
use super::listener_table::read_one;
use super::wrong_value::{LISTENERS_MAX, ListenersError, WrongValue};

/// Tables, each of which is one listener.
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
        toml::Value::Array(value.iter().map(write_one).collect())
    }
}
