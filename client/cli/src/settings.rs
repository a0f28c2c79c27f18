//! Where, as whom and with which outbox: flags before environment before file. No I/O: what they say comes in as arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// Where a broker on this machine listens.
const DEFAULT_URL: &str = "mqtt://localhost";
/// What names of files may hold as it is.
const IN_FILE_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// What one of the three sources says; its names are the keys of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    pub(crate) url: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) prefix: Option<String>,
    /// An empty path: in memory.
    pub(crate) outbox: Option<PathBuf>,
    pub(crate) authority: Option<PathBuf>,
}

/// What the environment says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) layer: Layer,
    /// `INBOX_CONFIG`.
    pub(crate) config: Option<PathBuf>,
    /// `~/.config`, or `XDG_CONFIG_HOME`.
    config_home: Option<PathBuf>,
    /// `~/.local/share`, or `XDG_DATA_HOME`.
    data_home: Option<PathBuf>,
}

/// Everything that a command needs to know.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) client_id: String,
    /// Who shows a password; `None` shows none, unless the URL does.
    pub(crate) login: Option<Login>,
    pub(crate) prefix: String,
    /// `None` is in memory.
    pub(crate) outbox: Option<PathBuf>,
    pub(crate) authority: Option<PathBuf>,
}

/// A user, and where the password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    /// `-` is standard input.
    pub(crate) password_file: PathBuf,
}

/// What is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{} cannot be read: {kind}; --config names another file", .path.display())]
    Unreadable { path: PathBuf, kind: std::io::ErrorKind },
    #[error("{}, line {line}: {told}", .path.display())]
    File { path: PathBuf, line: usize, told: Box<str> },
    #[error("the environment variable {name} is not UTF-8")]
    Environment { name: &'static str },
    #[error("say who you are: --client-id NAME, or INBOX_ID=NAME, or id = \"NAME\" in the configuration file")]
    NoClientId,
    #[error(
        "a password in --url can be seen by everybody on this machine; name a file with --password-file, or - to be asked"
    )]
    PasswordInUrl,
    #[error("user {user:?} has no password; name the file that holds it with --password-file, or - to be asked")]
    NoPassword { user: String },
    #[error(
        "there is no home directory for the outbox; name a file with --outbox, or keep it in memory with --no-outbox"
    )]
    NoHome,
}

impl Layer {
    /// Reads the text of the configuration file at `path`. Paths in it begin at its directory.
    pub(crate) fn from_toml(text: &str, path: &Path) -> Result<Layer, SettingsError> {
        let read = toml::from_str::<Layer>(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            SettingsError::File {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                // Without the line itself, which may hold a password.
                told: error.message().into(),
            }
        })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let beside = |file: PathBuf| match file.as_os_str().is_empty() || file.as_os_str() == "-" {
            true => file,
            false => directory.join(file),
        };
        Ok(Layer {
            password_file: read.password_file.map(beside),
            outbox: read.outbox.map(beside),
            authority: read.authority.map(beside),
            ..read
        })
    }

    /// What this says, and what `lower` says where this is silent.
    fn over(self, lower: Layer) -> Layer {
        Layer {
            url: self.url.or(lower.url),
            id: self.id.or(lower.id),
            user: self.user.or(lower.user),
            password_file: self.password_file.or(lower.password_file),
            prefix: self.prefix.or(lower.prefix),
            outbox: self.outbox.or(lower.outbox),
            authority: self.authority.or(lower.authority),
        }
    }
}

impl Environment {
    /// Reads `INBOX_…`, and where the user's files are. An empty variable is none, but for an outbox, which is in memory then.
    pub(crate) fn read(get: impl Fn(&'static str) -> Option<OsString>) -> Result<Environment, SettingsError> {
        let path = |name| get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name: &'static str| match get(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            Some(Err(_)) => Err(SettingsError::Environment { name }),
        };
        let home = |name: &'static str, below: &str| {
            // Relative ones are to be ignored (XDG Base Directory Specification).
            let named = path(name).filter(|named| named.is_absolute());
            named.or_else(|| Some(path("HOME")?.join(below)))
        };
        Ok(Environment {
            layer: Layer {
                url: text("INBOX_URL")?,
                id: text("INBOX_ID")?,
                user: text("INBOX_USER")?,
                password_file: path("INBOX_PASSWORD_FILE"),
                prefix: text("INBOX_PREFIX")?,
                outbox: get("INBOX_OUTBOX").map(PathBuf::from),
                authority: path("INBOX_AUTHORITY"),
            },
            config: path("INBOX_CONFIG"),
            config_home: home("XDG_CONFIG_HOME", ".config"),
            data_home: home("XDG_DATA_HOME", ".local/share"),
        })
    }

    /// Where the configuration file is if nobody names one.
    pub(crate) fn default_config(&self) -> Option<PathBuf> {
        Some(self.config_home.as_ref()?.join("inbox").join("config.toml"))
    }
}

impl Settings {
    /// Puts the three together.
    pub(crate) fn resolve(flags: Layer, environment: Environment, file: Layer) -> Result<Settings, SettingsError> {
        let is_visible = |url: &String| userinfo(url).is_some_and(|login| login.contains(':'));
        if flags.url.as_ref().is_some_and(is_visible) {
            return Err(SettingsError::PasswordInUrl);
        }
        let all = flags.over(environment.layer).over(file);
        let client_id = all.id.ok_or(SettingsError::NoClientId)?;
        let url = all.url.unwrap_or_else(|| DEFAULT_URL.to_owned());
        let login = match (all.password_file, all.user) {
            (Some(password_file), user) => Some(Login {
                user: user.unwrap_or_else(|| client_id.clone()),
                password_file,
            }),
            (None, Some(user)) => return Err(SettingsError::NoPassword { user }),
            (None, None) => None,
        };
        let outbox = match all.outbox {
            Some(path) if path.as_os_str().is_empty() => None,
            Some(path) => Some(path),
            None => {
                let data = environment.data_home.ok_or(SettingsError::NoHome)?.join("inbox");
                let name = |text: &str| utf8_percent_encode(text, IN_FILE_NAMES).to_string();
                // What waits for one broker must not be sent to another.
                Some(data.join(name(&client_id)).join(name(server(&url)) + ".redb"))
            }
        };
        Ok(Settings {
            url,
            client_id,
            login,
            prefix: all.prefix.unwrap_or_default(),
            outbox,
            authority: all.authority,
        })
    }

    /// The broker's URL without user and password.
    pub(crate) fn shown_url(&self) -> String {
        match (self.url.split_once("://"), userinfo(&self.url)) {
            (Some((scheme, rest)), Some(login)) => format!("{scheme}://{}", rest.get(login.len() + 1..).unwrap_or("")),
            _ => self.url.clone(),
        }
    }
}

impl std::fmt::Debug for Settings {
    /// Without what the URL says of passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Settings");
        shown
            .field("url", &self.shown_url())
            .field("client_id", &self.client_id);
        shown
            .field("login", &self.login)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// User and password of a URL, if it has them.
fn userinfo(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    Some(authority.rsplit_once('@')?.0)
}

/// Host and port of a URL, as they are written there.
fn server(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, address)| address)
}

#[cfg(test)]
mod tests;
