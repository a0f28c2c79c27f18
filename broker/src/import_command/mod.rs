//! `inboxd import-config`: from a `mosquitto.conf` to a first configuration of inboxd.
//!
//! **Promise:** every line of the file is taken, or told with the reason why not; what is written is a configuration that can be loaded.
//! Nothing that is there is changed. Translating is apart from files: [`translate`] goes from text to texts.

mod acl;
mod draft;
mod lines;
mod listeners;
mod settings;
mod spans;
#[cfg(test)]
mod tests;
mod texts;
mod unsupported;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigError, Overrides};
use crate::exit::Exit;
use crate::said::answer;
use crate::written::Written;
use draft::Draft;

/// Larger files are no configuration.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// What is written beside the configuration.
const RULES: &str = "acl.toml";
const PASSWORDS: &str = "users";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{} cannot be read ({why}); name the mosquitto.conf that is to be imported", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// It is too large.
    #[error("{} has more than {FILE_BYTES_MAX} bytes, which no configuration of Mosquitto has; name another file", .0.display())]
    TooLarge(PathBuf),
    /// There is something already.
    #[error("{} is there already, and nothing was written; name another file with --out, or move it away", .0.display())]
    Exists(PathBuf),
    /// Paths in a configuration are text.
    #[error("the path {} is not UTF-8, as paths in a configuration must be; name another one", .0.display())]
    NotText(PathBuf),
    /// It cannot be written.
    #[error("cannot write {} ({why}); nothing is left of what was written", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// What was written is no configuration.
    #[error(
        "what comes out of this file cannot be used ({0}); nothing was written. Correct that line, or begin with `inboxd init`"
    )]
    Unusable(#[source] Box<ConfigError>),
    /// It was done, and cannot be told.
    #[error("it was done, and standard output cannot be written to ({0})")]
    Unsaid(#[source] io::Error),
}

impl ImportError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            ImportError::Unwritable { .. } => Exit::NotPermitted,
            ImportError::Unusable(_) => Exit::BadConfiguration,
            _ => Exit::Failed,
        }
    }
}

/// A line that was not taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    /// Of which file, and which line, from 1 on; nothing where it is about all of it.
    place: Option<(&'static str, usize)>,
    text: String,
    why: String,
}

/// Where files that are named are to be found, and what was made of them.
#[derive(Debug)]
struct Around<'a> {
    /// The directory of the file: relative paths begin here.
    from: &'a Path,
    /// The directory of what is written, absolute.
    to: &'a str,
    /// The rules that `acl_file` names, if they could be read.
    rules: Option<Vec<u8>>,
    /// The users that `password_file` names, if it could be read.
    users: Option<Vec<String>>,
}

/// What comes out of a `mosquitto.conf`.
#[derive(Debug)]
struct Translated {
    configuration: String,
    rules: Option<String>,
    /// The users whose passwords are to be set.
    users: Option<Vec<String>>,
    notes: Vec<Note>,
}

/// Reads `mosquitto`, writes `out` and what goes with it, and says on `told` what it did and what it did not take.
///
/// # Errors
/// See [`ImportError`].
pub fn run(mosquitto: &Path, out: &Path, told: &mut dyn Write) -> Result<(), ImportError> {
    let text = read(mosquitto).map_err(|why| match why.kind() {
        ErrorKind::FileTooLarge => ImportError::TooLarge(mosquitto.to_owned()),
        _ => ImportError::Unreadable {
            path: mosquitto.to_owned(),
            why,
        },
    })?;
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|why| ImportError::Unreadable {
            path: path.to_owned(),
            why,
        })
    };
    let (mosquitto, out) = (absolute(mosquitto)?, absolute(out)?);
    let from = mosquitto.parent().unwrap_or(Path::new("/"));
    let to = out.parent().unwrap_or(Path::new("/"));
    let draft = Draft::of(&text);
    let around = Around {
        from,
        to: to.to_str().ok_or_else(|| ImportError::NotText(to.to_owned()))?,
        rules: draft.acl_file().and_then(|path| read(&from.join(path)).ok()),
        users: draft
            .password_file()
            .and_then(|path| read(&from.join(path)).ok())
            .map(|text| acl::users_of(&text)),
    };
    let translated = draft.translated(&around);
    let mut files = vec![(out.clone(), translated.configuration.clone())];
    files.extend(translated.rules.clone().map(|rules| (to.join(RULES), rules)));
    let passwords = translated.users.as_deref().map(texts::passwords);
    files.extend(passwords.map(|passwords| (to.join(PASSWORDS), passwords)));
    let written = write_all(&files)?;
    let loaded = Config::load(Some(&out), std::iter::empty(), &Overrides::default());
    loaded.map_err(|why| ImportError::Unusable(Box::new(why)))?;
    written.keep();
    let said = texts::summary(&out, &files, &translated);
    answer(told, &said).map_err(ImportError::Unsaid)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// All of them or none.
fn write_all(files: &[(PathBuf, String)]) -> Result<Written, ImportError> {
    if let Some((there, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(ImportError::Exists(there.clone()));
    }
    let mut written = Written::default();
    for (path, text) in files {
        written.write(path, text).map_err(|why| {
            let path = path.clone();
            ImportError::Unwritable { path, why }
        })?;
    }
    Ok(written)
}
