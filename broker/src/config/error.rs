//! Why a configuration is refused.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::wrong_value::WrongValue;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetBy {
    /// Nobody set it.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
    /// A flag of the command line, by its name.
    Flag(&'static str),
}

impl fmt::Display for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetBy::Default => f.write_str("the defaults"),
            SetBy::File(path) => write!(f, "{}", path.display()),
            SetBy::Variable(name) => write!(f, "environment variable {name}"),
            SetBy::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Why a configuration is refused. Each message is one sentence for the operator, who must act.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// The file is not TOML.
    #[error("{}{}: this is not TOML: {why}", path.display(), line.map(|n| format!(", line {n}")).unwrap_or_default())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where known.
        line: Option<usize>,
        /// What the parser says.
        #[source]
        why: SyntaxError,
    },
    /// No such key.
    #[error("{origin}: there is no key {key:?}; {hint}")]
    UnknownKey {
        /// The key as it was written, with dots between levels.
        key: String,
        /// Who set it.
        origin: SetBy,
        /// The nearest known key, and how to write it there.
        hint: String,
    },
    /// The value has the wrong type or form, or is out of range.
    #[error("{origin}: {key} = {value} cannot be used; {why}")]
    Value {
        /// The key, with dots between levels.
        key: &'static str,
        /// The value as it was written.
        value: String,
        /// Who set it.
        origin: SetBy,
        /// Why: what is allowed instead, with range, unit and an example.
        #[source]
        why: WrongValue,
    },
    /// Two values that are fine alone do not fit together.
    #[error(transparent)]
    Relation(Box<Misfit>),
    /// The whole network could use the broker, and nobody said that this is meant.
    #[error(
        "{origin}: {key} = \"{listen}\" can be reached from other machines, and no authentication is configured: anyone \
         who reaches it could read and fill every inbox; listen on 127.0.0.1, set auth.password_file, or set mqtt.allow_anonymous = true if it is meant"
    )]
    OpenToTheNetwork {
        /// Which key holds the address.
        key: &'static str,
        /// The address.
        listen: SocketAddr,
        /// Who set it.
        origin: SetBy,
    },
    /// Nobody knows all names that somebody may have.
    #[error(
        "{origin}: inbox.registered_only = true needs a list of all users: set auth.password_file, and neither auth.jwt, auth.http nor \
         auth.certificate, whose users nobody can list; or leave it false"
    )]
    UnlistedUsers {
        /// Who set it.
        origin: SetBy,
    },
    /// The environment holds what is not text.
    #[error("environment variable {name} is not UTF-8; unset it or give it a value that is")]
    NotUtf8 {
        /// The variable's name, with replacement characters where it is not UTF-8 itself.
        name: String,
    },
}

/// What the parser of TOML says, on one line.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SyntaxError(Box<NotToml>);

impl From<NotToml> for SyntaxError {
    fn from(why: NotToml) -> Self {
        SyntaxError(Box::new(why))
    }
}

/// See [`SyntaxError`].
#[derive(Debug, thiserror::Error)]
pub(super) enum NotToml {
    /// The parser says where it stops.
    #[error("{}", .0.message().replace('\n', ", "))]
    Parser(#[source] toml::de::Error),
    /// `config` does not take what the parser does.
    #[error(transparent)]
    Reader(config::ConfigError),
}

/// Two values that are fine alone and do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{one} does not fit: it must be {relation} {other}; change one of them")]
pub struct Misfit {
    /// One of them.
    pub one: Setting,
    /// How it must relate to the other.
    pub relation: &'static str,
    /// The other.
    pub other: Setting,
}

/// A key, its value and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, with dots between levels.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Who set it.
    pub origin: SetBy,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.key, self.value, self.origin)
    }
}
