//! How commands find the broker that runs, and how they end when it says no.

use std::path::{Path, PathBuf};

use admin::{AskError, Code, Remote, RunFile, RunFileError, Token, TokenError, UrlError};

use crate::cli::RemoteArgs;
use crate::exit::Exit;

/// Why a broker was not asked, or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It is not known where it is.
    #[error(transparent)]
    RunFile(#[from] RunFileError),
    /// It cannot be asked.
    #[error(
        "a broker runs on {}, and commands cannot ask it: its HTTP is off (http.listen), or it is only starting. Turn that on, or stop the \
         broker for this command",
        .0.display()
    )]
    Off(PathBuf),
    /// It has no API.
    #[error(
        "the broker that runs on {} has no API (http.api), so commands cannot ask it: turn that on, or stop the broker for this command",
        .0.display()
    )]
    NoApi(PathBuf),
    /// What has the directory does not answer.
    #[error("another process uses {}, and where its broker should be nobody answers: {why}", .dir.display())]
    Silent {
        /// The data directory.
        dir: PathBuf,
        /// What happened.
        #[source]
        why: UrlError,
    },
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It does not do it.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<UrlError> for RemoteError {
    fn from(error: UrlError) -> Self {
        RemoteError::Ask(error.into())
    }
}

impl RemoteError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            RemoteError::Off(_) | RemoteError::NoApi(_) | RemoteError::Silent { .. } => Exit::DataLocked,
            RemoteError::RunFile(RunFileError::Io { .. }) => Exit::NotPermitted,
            RemoteError::Ask(error) => exit_after(error),
            RemoteError::RunFile(_) | RemoteError::Token(_) => Exit::Failed,
        }
    }
}

/// How the process ends when a broker that was asked did not do it.
pub(crate) fn exit_after(error: &AskError) -> Exit {
    match error {
        AskError::Refused {
            code: Code::NotAllowed, ..
        } => Exit::NotPermitted,
        AskError::Refused { code: Code::Failed, .. } => Exit::StoreFailed,
        _ => Exit::Failed,
    }
}

/// The broker that the options name, if they name one.
///
/// # Errors
/// See [`RemoteError`].
pub fn named(args: &RemoteArgs) -> Result<Option<Remote>, RemoteError> {
    let Some(url) = &args.server else { return Ok(None) };
    let token = args.token_file.as_deref().map(Token::load).transpose()?;
    Ok(Some(Remote::at(url, token)?))
}

/// The broker that runs on `dir`, which is locked by it.
///
/// # Errors
/// See [`RemoteError`].
pub fn on_locked(dir: &Path) -> Result<Remote, RemoteError> {
    match on(dir) {
        Err(RemoteError::RunFile(RunFileError::Missing { dir })) => Err(RemoteError::Off(dir)),
        found => found,
    }
}

/// The broker that runs on `dir`.
///
/// # Errors
/// See [`RemoteError`].
pub fn on(dir: &Path) -> Result<Remote, RemoteError> {
    let run_file = RunFile::read(dir)?;
    let url = run_file.api_url.ok_or_else(|| RemoteError::NoApi(dir.to_owned()))?;
    let remote = Remote::at(&url, Some(run_file.token))?;
    match remote.answers() {
        // The file may be of a run that crashed.
        Err(why) => Err(RemoteError::Silent {
            dir: dir.to_owned(),
            why,
        }),
        Ok(()) => Ok(remote),
    }
}
