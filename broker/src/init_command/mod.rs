//! `inboxd init`: a first configuration, for trials.
//!
//! **Promise:** nothing that is there is changed. When it fails, what it wrote is removed; when the machine stops meanwhile, there is no
//! `inboxd.toml`, which is written last and as a whole, so no half configuration starts.

mod certificate;
mod texts;

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use access::{EditError, edit_passwords};
use rand::distr::{Alphanumeric, SampleString};
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::written::Written;
use texts::Told;

/// The users of a first configuration, each with its role, if it has one.
const USERS: [(&str, Option<&str>); 2] = [("operator", Some("ops")), ("alice", None)];
/// About 119 random bits.
const PASSWORD_CHARS: usize = 20;

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "certificate.pem";
const PASSWORDS: &str = "users";
const RULES: &str = "acl.toml";
/// Not written: the broker makes them.
const AUDIT: &str = "audit.log";
const DATA: &str = "data";
/// The last one.
const CONFIG: &str = "inboxd.toml";
/// What is written, before it is called so.
const FRESH_CONFIG: &str = "inboxd.toml.new";
/// Everything that is written, in this order.
const FILES: [&str; 5] = [KEY, CERTIFICATE, PASSWORDS, RULES, CONFIG];

/// Why there is no first configuration.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is something already.
    #[error("{} is there already, and nothing was written; name another directory, as in `inboxd init NEW`, or move it away", .0.display())]
    Exists(PathBuf),
    /// Paths in a configuration are text.
    #[error("the path {} is not UTF-8, as paths in a configuration must be; name another directory", .0.display())]
    NotText(PathBuf),
    /// A file or the directory cannot be made.
    #[error("cannot make {} ({why}); nothing is left of what was written", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// The users were not written.
    #[error(transparent)]
    Passwords(#[from] EditError),
    /// The certificate cannot be made.
    #[error("a certificate for trials cannot be made ({0}); nothing is left of what was written")]
    Certificate(#[from] rcgen::Error),
    /// It was done, and the passwords cannot be told.
    #[error(
        "it was done, and standard output cannot be written to ({0}): give the users new passwords with `inboxd passwd`"
    )]
    Unsaid(#[source] io::Error),
}

impl InitError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            InitError::Unwritable { .. } | InitError::Passwords(EditError::Unwritable { .. }) => Exit::NotPermitted,
            _ => Exit::Failed,
        }
    }
}

/// Writes a first configuration into `dir`, which is made if there is none, and says on `out` what to do with it.
///
/// # Errors
/// See [`InitError`].
pub fn run(dir: &Path, out: &mut dyn Write) -> Result<(), InitError> {
    let made = std::path::absolute(dir).map_err(unwritable(dir))?;
    let text = made.to_str().ok_or_else(|| InitError::NotText(made.clone()))?;
    if let Some(there) = FILES
        .map(|name| made.join(name))
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok())
    {
        return Err(InitError::Exists(there));
    }
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(&made)
        .map_err(unwritable(&made))?;
    let passwords = USERS.map(|_| Zeroizing::new(Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_CHARS)));
    let mut written = Written::default();
    write_all(&mut written, &made, text, &passwords)?;
    written.keep();
    let told = Told {
        dir: text,
        operator: passwords.first().map_or("", |password| password),
        alice: passwords.last().map_or("", |password| password),
    };
    write!(out, "{told}")
        .and_then(|()| out.flush())
        .map_err(InitError::Unsaid)
}

/// Writes everything into the directory at `dir`, whose path is `text`.
fn write_all(
    written: &mut Written,
    dir: &Path,
    text: &str,
    passwords: &[Zeroizing<String>; USERS.len()],
) -> Result<(), InitError> {
    let trial = certificate::for_trials()?;
    write(written, dir.join(KEY), &trial.key)?;
    write(written, dir.join(CERTIFICATE), &trial.certificate)?;
    for ((user, role), password) in USERS.iter().zip(passwords) {
        let roles: Vec<Box<str>> = role.iter().map(|role| Box::from(*role)).collect();
        edit_passwords(&dir.join(PASSWORDS), user, Some(password.as_bytes()), &roles)?;
        written.add(&dir.join(PASSWORDS));
    }
    write(written, dir.join(RULES), texts::RULES)?;
    // As a whole or not at all: a part of it could be a configuration that lets strangers in.
    write(written, dir.join(FRESH_CONFIG), &texts::configuration(text))?;
    let path = dir.join(CONFIG);
    fs::rename(dir.join(FRESH_CONFIG), &path).map_err(unwritable(&path))?;
    written.add(&path);
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(unwritable(dir))
}

fn write(written: &mut Written, path: PathBuf, text: &str) -> Result<(), InitError> {
    written.write(&path, text).map_err(|why| match why.kind() {
        ErrorKind::AlreadyExists => InitError::Exists(path),
        _ => InitError::Unwritable { path, why },
    })
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> InitError {
    move |why| {
        let path = path.to_owned();
        InitError::Unwritable { path, why }
    }
}

#[cfg(test)]
mod tests;
