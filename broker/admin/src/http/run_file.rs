//! The file by which commands on this machine find the broker that runs: where it listens, and a token that only this run knows.
//!
//! It is in the data directory, for its owner alone. A file of an earlier run is replaced; a broker that is asked to end removes its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::token::Token;

const NAME: &str = "running.json";
const NEW: &str = "running.json.new";

/// What is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFile {
    /// Where the broker tells of its health.
    pub url: String,
    /// Where its API is, if it has one.
    pub api_url: Option<String>,
    /// Who shows it may use the API.
    pub token: Token,
}

/// Why it cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunFileError {
    /// There is none.
    #[error("no broker runs on {}, or its HTTP port is off: there is no {NAME} in it", dir.display())]
    Missing {
        /// The data directory.
        dir: PathBuf,
    },
    /// The system does not let us.
    #[error("{}: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// It is something else.
    #[error("{} was not written by this version of inboxd; remove it, and start the broker again", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
}

impl RunFile {
    /// Writes it to the data directory `dir`, of which this process has the lock.
    ///
    /// # Errors
    /// See [`RunFileError::Io`].
    pub fn write(&self, dir: &Path) -> Result<(), RunFileError> {
        let (path, new) = (dir.join(NAME), dir.join(NEW));
        let failed = |why| RunFileError::Io {
            path: path.clone(),
            why,
        };
        let text = json!({
            "url": self.url,
            "api_url": self.api_url,
            "token": self.token.reveal(),
            "pid": std::process::id(),
        });
        // What a crash left must not lend its mode, or be written through.
        match fs::remove_file(&new) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(failed(why)),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        writeln!(file, "{text}").map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)
    }

    /// Reads that of the broker that runs, or ran, on `dir`.
    ///
    /// # Errors
    /// See [`RunFileError`].
    pub fn read(dir: &Path) -> Result<Self, RunFileError> {
        let path = dir.join(NAME);
        let text = fs::read_to_string(&path).map_err(|why| match why.kind() {
            io::ErrorKind::NotFound => RunFileError::Missing { dir: dir.to_owned() },
            _ => RunFileError::Io {
                path: path.clone(),
                why,
            },
        })?;
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        match (text("url"), text("token")) {
            (Some(url), Some(token)) => Ok(RunFile {
                url,
                api_url: text("api_url"),
                token: Token::of(&token),
            }),
            _ => Err(RunFileError::Unreadable { path }),
        }
    }

    /// Removes it. That it is gone already is fine.
    pub fn remove(dir: &Path) {
        if let Err(error) = fs::remove_file(dir.join(NAME))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "{NAME} was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_read_by_its_owner_alone() {
        // Goal: the file is made with mode 0600, also over what a crash left with another one; it reads back; a missing one and another
        // program's are told apart.
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path();
        assert!(matches!(RunFile::read(dir), Err(RunFileError::Missing { .. })));
        fs::write(dir.join(NEW), "left").unwrap();
        fs::set_permissions(dir.join(NEW), fs::Permissions::from_mode(0o666)).unwrap();
        let written = RunFile {
            url: "http://127.0.0.1:1".to_owned(),
            api_url: None,
            token: Token::random().unwrap(),
        };
        written.write(dir).unwrap();
        assert_eq!(RunFile::read(dir).unwrap(), written);
        let mode = fs::metadata(dir.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(dir.join(NAME), "[]").unwrap();
        assert!(matches!(RunFile::read(dir), Err(RunFileError::Unreadable { .. })));
        RunFile::remove(dir);
        RunFile::remove(dir);
        assert!(!dir.join(NAME).exists());
    }
}
