//! The kinds of values that keys take: how each is read, what it says when it cannot be, and how it is written.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::ValueKind;
use inbox_bridge::{format_duration, format_size, parse_duration, parse_size};

use super::wrong_value::{PrefixError, WrongValue};

/// Longest `inbox.prefix` in bytes.
const PREFIX_BYTES_MAX: usize = 1024;

/// A value as a file, a variable or a flag gave it.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) value: ValueKind,
    /// The source knows text only (the environment), so numbers and truth values are read from text.
    pub(super) untyped: bool,
}

/// How the value of one key is read and written.
pub(super) trait Kind<T> {
    /// The value, or what is allowed instead.
    fn read(&self, raw: &Raw) -> Result<T, WrongValue>;
    /// The value as TOML that [`Kind::read`] takes.
    fn write(&self, value: &T) -> toml::Value;
}

/// `true` or `false`.
pub(super) struct Truth;

/// A whole number within a range.
pub(super) struct Count(pub(super) RangeInclusive<u64>);

/// A number of bytes within a range.
pub(super) struct Size(pub(super) RangeInclusive<u64>);

/// A duration within a range.
pub(super) struct Span(pub(super) RangeInclusive<Duration>);

/// A duration in whole seconds within a range.
pub(super) struct Seconds(pub(super) RangeInclusive<Duration>);

/// As [`Seconds`], where `"0s"` means none.
pub(super) struct OptionalSeconds(pub(super) RangeInclusive<Duration>);

/// An IP address and a port, or a host name and a port.
pub(super) struct Address;

/// A directory.
pub(super) struct Directory;

/// The path of a file, or none.
pub(super) struct OptionalFile;

/// Topic levels that end with a slash, or nothing.
pub(super) struct Prefix;

/// What to log.
pub(super) struct Directives;

/// One of some names.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl Raw {
    /// The value as the operator would recognise it.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            ValueKind::String(text) => format!("{text:?}"),
            ValueKind::Array(_) => "[…]".to_owned(),
            ValueKind::Table(_) => "{…}".to_owned(),
            other => other.to_string(),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            ValueKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number; negative ones are none of ours, so they read as out of range.
    fn number(&self) -> Option<u64> {
        match &self.value {
            ValueKind::I64(number) => u64::try_from(*number).ok(),
            ValueKind::U64(number) => Some(*number),
            ValueKind::String(text) if self.untyped => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn is_number(&self) -> bool {
        self.number().is_some() || matches!(self.value, ValueKind::I64(_) | ValueKind::Float(_))
    }
}

impl Kind<bool> for Truth {
    fn read(&self, raw: &Raw) -> Result<bool, WrongValue> {
        match (&raw.value, raw.text().filter(|_| raw.untyped)) {
            (ValueKind::Boolean(value), _) => Ok(*value),
            (_, Some("true")) => Ok(true),
            (_, Some("false")) => Ok(false),
            _ => Err(WrongValue::Truth),
        }
    }

    fn write(&self, value: &bool) -> toml::Value {
        toml::Value::Boolean(*value)
    }
}

impl<T: Copy + TryFrom<u64> + TryInto<u64>> Kind<T> for Count {
    fn read(&self, raw: &Raw) -> Result<T, WrongValue> {
        raw.number()
            .filter(|number| self.0.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or(WrongValue::Count {
                least: *self.0.start(),
                most: *self.0.end(),
            })
    }

    fn write(&self, value: &T) -> toml::Value {
        integer((*value).try_into().unwrap_or(u64::MAX))
    }
}

impl<T: Copy + TryFrom<u64> + TryInto<u64>> Kind<T> for Size {
    fn read(&self, raw: &Raw) -> Result<T, WrongValue> {
        raw.number()
            .or_else(|| raw.text().and_then(parse_size))
            .filter(|bytes| self.0.contains(bytes))
            .and_then(|bytes| T::try_from(bytes).ok())
            .ok_or(WrongValue::Size {
                least: *self.0.start(),
                most: *self.0.end(),
            })
    }

    fn write(&self, value: &T) -> toml::Value {
        toml::Value::String(format_size((*value).try_into().unwrap_or(u64::MAX)))
    }
}

impl Kind<Duration> for Span {
    fn read(&self, raw: &Raw) -> Result<Duration, WrongValue> {
        let duration = raw.text().and_then(parse_duration);
        duration.filter(|duration| self.0.contains(duration)).ok_or_else(|| {
            if duration.is_none() && raw.is_number() {
                return WrongValue::NoUnit { number: bare(raw) };
            }
            WrongValue::Span {
                least: *self.0.start(),
                most: *self.0.end(),
            }
        })
    }

    fn write(&self, value: &Duration) -> toml::Value {
        toml::Value::String(format_duration(*value))
    }
}

impl Kind<Duration> for Seconds {
    fn read(&self, raw: &Raw) -> Result<Duration, WrongValue> {
        let duration = Span(self.0.clone()).read(raw)?;
        if duration.subsec_nanos() != 0 {
            return Err(WrongValue::Fraction);
        }
        Ok(duration)
    }

    fn write(&self, value: &Duration) -> toml::Value {
        Span(self.0.clone()).write(value)
    }
}

impl Kind<Option<Duration>> for OptionalSeconds {
    fn read(&self, raw: &Raw) -> Result<Option<Duration>, WrongValue> {
        if raw.text().and_then(parse_duration) == Some(Duration::ZERO) {
            return Ok(None);
        }
        let or_none = |wrong| WrongValue::OrNone(Box::new(wrong));
        Seconds(self.0.clone()).read(raw).map(Some).map_err(or_none)
    }

    fn write(&self, value: &Option<Duration>) -> toml::Value {
        Seconds(self.0.clone()).write(&value.unwrap_or_default())
    }
}

impl Kind<SocketAddr> for Address {
    fn read(&self, raw: &Raw) -> Result<SocketAddr, WrongValue> {
        let text = raw.text().map(str::trim).unwrap_or_default();
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let port = text
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty() && !host.contains(':'));
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(WrongValue::Address);
        }
        resolve(text)
    }

    fn write(&self, value: &SocketAddr) -> toml::Value {
        toml::Value::String(value.to_string())
    }
}

impl Kind<PathBuf> for Directory {
    fn read(&self, raw: &Raw) -> Result<PathBuf, WrongValue> {
        raw.text()
            .filter(|text| !text.is_empty() && !text.contains('\0'))
            .map(PathBuf::from)
            .ok_or(WrongValue::Directory)
    }

    fn write(&self, value: &PathBuf) -> toml::Value {
        toml::Value::String(value.to_string_lossy().into_owned())
    }
}

impl Kind<Option<PathBuf>> for OptionalFile {
    fn read(&self, raw: &Raw) -> Result<Option<PathBuf>, WrongValue> {
        let text = raw.text().filter(|text| !text.contains('\0')).ok_or(WrongValue::File)?;
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn write(&self, value: &Option<PathBuf>) -> toml::Value {
        let path = value.as_deref().unwrap_or(Path::new(""));
        toml::Value::String(path.to_string_lossy().into_owned())
    }
}

impl Kind<String> for Prefix {
    fn read(&self, raw: &Raw) -> Result<String, WrongValue> {
        let prefix = raw.text().ok_or(PrefixError::NotText)?;
        if prefix.is_empty() {
            return Ok(String::new());
        }
        let levels = prefix.strip_suffix('/').ok_or(PrefixError::NoSlash)?;
        if levels.split('/').any(str::is_empty) {
            return Err(PrefixError::EmptyLevel.into());
        }
        if prefix.starts_with('$') {
            return Err(PrefixError::Reserved.into());
        }
        if prefix.contains(['+', '#', '\0']) {
            return Err(PrefixError::Wildcard.into());
        }
        if prefix.len() > PREFIX_BYTES_MAX {
            let most = PREFIX_BYTES_MAX;
            return Err(PrefixError::TooLong { most }.into());
        }
        Ok(prefix.to_owned())
    }

    fn write(&self, value: &String) -> toml::Value {
        toml::Value::String(value.clone())
    }
}

impl Kind<String> for Directives {
    fn read(&self, raw: &Raw) -> Result<String, WrongValue> {
        let text = raw.text().ok_or(WrongValue::NotDirectives)?;
        super::directives::parse_directives(text, None)?;
        Ok(text.to_owned())
    }

    fn write(&self, value: &String) -> toml::Value {
        toml::Value::String(value.clone())
    }
}

impl<T: Copy + PartialEq> Kind<T> for Choice<T> {
    fn read(&self, raw: &Raw) -> Result<T, WrongValue> {
        let chosen = raw
            .text()
            .and_then(|text| self.0.iter().find(|(name, _)| *name == text));
        chosen.map(|(_, value)| *value).ok_or_else(|| WrongValue::Choice {
            names: self.0.iter().map(|(name, _)| *name).collect(),
        })
    }

    fn write(&self, value: &T) -> toml::Value {
        let name = self
            .0
            .iter()
            .find(|(_, known)| known == value)
            .map_or("", |(name, _)| name);
        toml::Value::String(name.to_owned())
    }
}

/// The address of a host name with a port. A name can have several; clients that are given the same name try IPv4 as well as IPv6,
/// and things that know only one know IPv4.
fn resolve(text: &str) -> Result<SocketAddr, WrongValue> {
    match text.to_socket_addrs() {
        Ok(addresses) => addresses
            .min_by_key(SocketAddr::is_ipv6)
            .ok_or(WrongValue::HostWithoutAddress),
        Err(why) => Err(WrongValue::HostUnknown { why }),
    }
}

/// The digits of a number that lacks its unit, without quotes.
fn bare(raw: &Raw) -> String {
    raw.text().map_or_else(|| raw.shown(), |text| text.trim().to_owned())
}

fn integer(number: u64) -> toml::Value {
    toml::Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
