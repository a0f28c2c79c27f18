//! `inboxd health`: asks a running broker whether it takes messages. For health checks of containers, and for people.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use admin::{RunFile, RunFileError, UrlError, fetch};
use serde_json::Value;

use crate::said::answer;

/// A broker that answers later is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why it is not known to take messages.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// There is no file that says where it is.
    #[error(
        "no broker runs on {} (there is no running.json in it), or it is only starting, or its HTTP is off (http.listen); --server URL asks \
         a broker at an address",
        .0.display()
    )]
    NoBroker(PathBuf),
    /// That file cannot be used.
    #[error(transparent)]
    RunFile(#[from] RunFileError),
    /// It does not answer.
    #[error(transparent)]
    Server(#[from] UrlError),
    /// It says no.
    #[error("not ready: {0}")]
    NotReady(String),
    /// Something else answers.
    #[error("what answers at {0} is not inboxd")]
    NotOurs(String),
    /// Standard output does not take the answer.
    #[error("the answer could not be written: {0}")]
    Write(#[from] io::Error),
}

/// Where the broker that runs on the data directory `dir` can be asked. Only the file in it is believed: at a configured address, another broker
/// may answer.
///
/// # Errors
/// See [`HealthError::NoBroker`] and [`HealthError::RunFile`].
pub fn find(dir: &Path) -> Result<String, HealthError> {
    match RunFile::read(dir) {
        Ok(run_file) => Ok(run_file.url),
        Err(RunFileError::Missing { dir }) => Err(HealthError::NoBroker(dir)),
        Err(error) => Err(error.into()),
    }
}

/// Asks the broker at `url`, and says what it says.
///
/// # Errors
/// See [`HealthError`]; also when it is not ready.
pub fn run(url: &str, out: &mut dyn Write) -> Result<(), HealthError> {
    let (status, body) = fetch(url, "/readyz", PATIENCE)?;
    let told: Value = serde_json::from_str(&body).unwrap_or_default();
    match (status, told.get("ready").and_then(Value::as_bool)) {
        (200, Some(true)) => Ok(answer(out, &format!("ready: the broker at {url} takes messages\n"))?),
        (_, Some(false)) => {
            let why = told
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or("it does not say why");
            Err(HealthError::NotReady(why.to_owned()))
        }
        _ => Err(HealthError::NotOurs(url.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_broker_is_not_asked() {
        // Goal: without the file of a broker that runs on this directory, no address is guessed at which another one may answer.
        let dir = tempfile::tempdir().unwrap();
        let error = find(dir.path()).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, HealthError::NoBroker(_)), "{said}");
        assert!(
            said.starts_with(&format!("no broker runs on {}", dir.path().display())),
            "{said}"
        );
        assert!(find(&dir.path().join("none")).is_err());
    }
}
