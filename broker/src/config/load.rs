//! From file, environment and flags to a [`Config`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Map, Source, Value, ValueKind};
use inbox_bridge::format_size;

use super::budget::CLIENTS_BYTES_MIN;
use super::error::{Misfit, NotToml, Setting};
use super::kind::{Kind, Raw};
use super::service_variables::is_service_variable;
use super::wrong_value::WrongValue;
use super::{Config, ConfigError, LogFormat, SetBy, keys};

/// What all our environment variables begin with.
const VARIABLE_PREFIX: &str = "INBOXD_";
/// What stands between the levels of a key in a variable's name.
const VARIABLE_SEPARATOR: &str = "__";

/// Values from the command line, which win over every other layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--data`: key `data_dir`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`: key `mqtt.listen`.
    pub listen: Option<String>,
    /// `--port`: the port of key `mqtt.listen`.
    pub port: Option<u16>,
    /// `--verbose`: key `log.level` is `debug`.
    pub verbose: bool,
    /// `--log-format`: key `log.format`.
    pub log_format: Option<LogFormat>,
}

/// Values by key, with who set each.
#[derive(Debug, Default)]
struct Layers {
    values: BTreeMap<String, (Raw, SetBy)>,
}

impl Config {
    /// Reads `file` (if any), then the variables in `environment` that begin with `INBOXD_`, then `overrides`.
    ///
    /// # Errors
    /// The first thing that is wrong, lowest layer first: a file that cannot be read, an unknown key, a value that is not
    /// allowed, values that do not fit together.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Config, ConfigError> {
        let mut layers = Layers::default();
        if let Some(path) = file {
            layers.add_file(path)?;
        }
        layers.add_environment(environment)?;
        layers.add_overrides(overrides)?;

        let mut config = Config::default();
        keys::visit(&mut config, &mut layers)?;
        if let Some(port) = overrides.port {
            config.listener.listen.set_port(port);
        }
        layers.check_relations(&config)?;
        Ok(config)
    }

    /// The name of every key, with dots between levels, in the order of the example file.
    pub(crate) fn keys() -> Vec<&'static str> {
        let mut names = Names::default();
        // Listing cannot fail: it reads nothing.
        let _ = keys::visit(&mut Config::default(), &mut names);
        names.0
    }
}

impl Layers {
    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = fs::read_to_string(path).map_err(|why| ConfigError::Unreadable {
            path: path.to_owned(),
            why,
        })?;
        let table = File::from_str(&text, FileFormat::Toml)
            .collect()
            .map_err(|error| syntax_error(path, &text, error))?;
        let mut flat = BTreeMap::new();
        flatten("", table, &mut flat);
        self.add(flat, false, |_| SetBy::File(path.to_owned()))
    }

    fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        let mut ours = Map::new();
        for (name, value) in variables {
            let lossy = name.to_string_lossy();
            if !lossy.starts_with(VARIABLE_PREFIX) {
                continue;
            }
            match (name.to_str(), value.into_string()) {
                (Some(name), Ok(value)) if is_service_variable(name, &value) => continue,
                (Some(name), Ok(value)) => ours.insert(upper_only(name)?.to_owned(), value),
                _ => {
                    return Err(ConfigError::NotUtf8 {
                        name: lossy.into_owned(),
                    });
                }
            };
        }
        let flat = Environment::with_prefix(VARIABLE_PREFIX.trim_end_matches('_'))
            .prefix_separator("_")
            .separator(VARIABLE_SEPARATOR)
            .source(Some(ours))
            .collect()
            .map_err(|error| ConfigError::NotUtf8 {
                name: error.to_string(),
            })?;
        let flat = flat.into_iter().map(|(key, value)| (key, value.kind)).collect();
        self.add(flat, true, |key| SetBy::Variable(variable(key)))
    }

    fn add_overrides(&mut self, overrides: &Overrides) -> Result<(), ConfigError> {
        if let Some(data_dir) = &overrides.data_dir {
            let text = data_dir.to_str().ok_or_else(|| ConfigError::Value {
                key: keys::DATA_DIR,
                value: format!("{data_dir:?}"),
                origin: SetBy::Flag("--data"),
                why: WrongValue::PathNotUtf8,
            })?;
            self.set(keys::DATA_DIR, text.to_owned(), "--data");
        }
        if let Some(listen) = &overrides.listen {
            self.set(keys::LISTEN, listen.clone(), "--listen");
        }
        if overrides.verbose {
            self.set(keys::LOG_LEVEL, "debug".to_owned(), "--verbose");
        }
        let format = overrides
            .log_format
            .and_then(|format| keys::LOG_FORMATS.iter().find(|(_, known)| *known == format));
        if let Some((name, _)) = format {
            self.set(keys::LOG_FORMAT, (*name).to_owned(), "--log-format");
        }
        Ok(())
    }

    fn set(&mut self, key: &str, text: String, flag: &'static str) {
        let raw = Raw {
            value: ValueKind::String(text),
            untyped: true,
        };
        self.values.insert(key.to_owned(), (raw, SetBy::Flag(flag)));
    }

    /// Puts one layer over those before it, unless it has a key that nobody knows.
    fn add(
        &mut self,
        flat: BTreeMap<String, ValueKind>,
        untyped: bool,
        origin: impl Fn(&str) -> SetBy,
    ) -> Result<(), ConfigError> {
        let known = Config::keys();
        for (key, value) in flat {
            let is_section = known
                .iter()
                .any(|name| name.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.')));
            if is_section && matches!(value, ValueKind::Table(_)) {
                continue; // A section without keys.
            }
            if !known.contains(&key.as_str()) {
                return Err(unknown(key, is_section, origin, &known));
            }
            let origin = origin(&key);
            self.values.insert(key, (Raw { value, untyped }, origin));
        }
        Ok(())
    }

    fn origin(&self, key: &str) -> SetBy {
        self.values
            .get(key)
            .map_or(SetBy::Default, |(_, origin)| origin.clone())
    }

    fn setting(&self, key: &'static str, value: String) -> Setting {
        Setting {
            key,
            value,
            origin: self.origin(key),
        }
    }

    fn check_relations(&self, config: &Config) -> Result<(), ConfigError> {
        let (message, inbox) = (config.mqtt.message_bytes_max, config.inbox.bytes_max);
        if u64::try_from(message).is_ok_and(|message| message > inbox) {
            let one = self.setting(keys::MESSAGE_BYTES, format_size(message as u64));
            let other = self.setting(keys::INBOX_BYTES, format_size(inbox));
            return Err(ConfigError::Relation(Box::new(Misfit {
                one,
                relation: "at most",
                other,
            })));
        }
        let (budget, cache) = (config.memory.budget, config.store.cache_bytes);
        if budget != 0 && budget < cache.saturating_add(CLIENTS_BYTES_MIN) {
            return Err(ConfigError::Relation(Box::new(Misfit {
                one: self.setting(keys::MEMORY_BUDGET, format_size(budget)),
                relation: "at least 64MiB more than",
                other: self.setting(keys::CACHE_BYTES, format_size(cache)),
            })));
        }
        if config.inbox.registered_only && !config.auth.lists_users() {
            let origin = self.origin(keys::REGISTERED_ONLY);
            return Err(ConfigError::UnlistedUsers { origin });
        }
        let first = (config.listener.listen, keys::LISTEN);
        let others = config
            .listeners
            .iter()
            .map(|listener| (listener.listen, keys::LISTENERS));
        for (listen, key) in std::iter::once(first).chain(others) {
            if !config.may_listen_on(listen.ip()) {
                return Err(ConfigError::OpenToTheNetwork {
                    key,
                    listen,
                    origin: self.origin(key),
                });
            }
        }
        Ok(())
    }
}

impl keys::Visitor for Layers {
    fn key<T>(&mut self, name: &'static str, slot: &mut T, kind: impl Kind<T>) -> Result<(), ConfigError> {
        let Some((raw, origin)) = self.values.get(name) else {
            return Ok(());
        };
        *slot = kind.read(raw).map_err(|why| ConfigError::Value {
            key: name,
            value: raw.shown(),
            origin: origin.clone(),
            why,
        })?;
        Ok(())
    }
}

/// Collects the names of keys.
#[derive(Default)]
struct Names(Vec<&'static str>);

impl keys::Visitor for Names {
    fn key<T>(&mut self, name: &'static str, _: &mut T, _: impl Kind<T>) -> Result<(), ConfigError> {
        self.0.push(name);
        Ok(())
    }
}

/// The variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    format!(
        "{VARIABLE_PREFIX}{}",
        key.replace('.', VARIABLE_SEPARATOR).to_uppercase()
    )
}

/// Refuses `INBOXD_data_dir`, which would otherwise compete with `INBOXD_DATA_DIR` for the same key.
fn upper_only(name: &str) -> Result<&str, ConfigError> {
    let upper = name.to_uppercase();
    if name == upper {
        return Ok(name);
    }
    Err(ConfigError::UnknownKey {
        key: name.trim_start_matches(VARIABLE_PREFIX).to_owned(),
        origin: SetBy::Variable(name.to_owned()),
        hint: format!("variables are written in capitals: {upper}"),
    })
}

fn flatten(path: &str, table: Map<String, Value>, into: &mut BTreeMap<String, ValueKind>) {
    for (name, value) in table {
        // A quoted key that holds a dot is not two levels; the quotes keep it from being taken for them.
        let name = if name.contains('.') { format!("{name:?}") } else { name };
        let key = if path.is_empty() {
            name
        } else {
            format!("{path}.{name}")
        };
        match value.kind {
            ValueKind::Table(table) if !table.is_empty() => flatten(&key, table, into),
            kind => {
                into.insert(key, kind);
            }
        }
    }
}

fn unknown(key: String, is_section: bool, origin: impl Fn(&str) -> SetBy, known: &[&'static str]) -> ConfigError {
    let origin = origin(&key);
    let hint = if is_section {
        format!(
            "{key} is a section, with keys of its own such as {}",
            nearest(&format!("{key}.x"), known)
        )
    } else {
        let nearest = nearest(&key, known);
        match origin {
            SetBy::Variable(_) => format!("the nearest is {}", variable(nearest)),
            _ => format!("the nearest is {nearest}"),
        }
    };
    ConfigError::UnknownKey { key, origin, hint }
}

/// The known key that looks most like `key`, whole or by its last level (people forget the section).
fn nearest<'a>(key: &str, known: &[&'a str]) -> &'a str {
    let likeness = |name: &str| {
        let whole = strsim::normalized_damerau_levenshtein(key, name);
        let last = strsim::normalized_damerau_levenshtein(last_level(key), last_level(name));
        (whole.max(last * 0.95), whole)
    };
    // Of equals the first, which is what most people mean by it.
    let known = known.iter().rev().copied();
    known
        .max_by(|a, b| {
            let ((a, a_whole), (b, b_whole)) = (likeness(a), likeness(b));
            a.total_cmp(&b).then(a_whole.total_cmp(&b_whole))
        })
        .unwrap_or_default()
}

fn last_level(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Where the file stops being TOML. `config` says it over several lines, so the parser is asked again for one.
fn syntax_error(path: &Path, text: &str, otherwise: config::ConfigError) -> ConfigError {
    let error = text.parse::<toml::Table>().err();
    let line = error
        .as_ref()
        .and_then(|error| error.span())
        .and_then(|span| text.get(..span.start));
    ConfigError::Syntax {
        path: path.to_owned(),
        line: line.map(|before| before.matches('\n').count() + 1),
        why: error.map_or(NotToml::Reader(otherwise), NotToml::Parser).into(),
    }
}
