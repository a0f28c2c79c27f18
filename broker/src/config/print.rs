//! From a [`Config`] to TOML.

use super::kind::Kind;
use super::{Config, ConfigError, keys};

impl Config {
    /// Every key with its value, as TOML that [`Config::load`] reads back to the same configuration.
    pub fn to_toml(&self) -> String {
        let mut printer = Printer::default();
        // Printing cannot fail: it only writes to a string. The walk takes `&mut`, so it gets a copy.
        let _ = keys::visit(&mut self.clone(), &mut printer);
        printer.text
    }
}

#[derive(Default)]
struct Printer {
    text: String,
    section: &'static str,
}

impl keys::Visitor for Printer {
    fn key<T>(&mut self, name: &'static str, slot: &mut T, kind: impl Kind<T>) -> Result<(), ConfigError> {
        let (section, key) = name.rsplit_once('.').unwrap_or(("", name));
        if section != self.section {
            self.text.push_str(&format!("\n[{section}]\n"));
            self.section = section;
        }
        self.text.push_str(&format!("{key} = {}\n", kind.write(slot)));
        Ok(())
    }
}
