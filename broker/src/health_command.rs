//! `inboxd health`: asks a running broker whether it takes messages. For health checks of containers, and for people.

use std::io::{self, Write};
use std::time::Duration;

use admin::{RunFile, RunFileError, UrlError, fetch};
use serde_json::Value;

use crate::config::{Config, DEFAULT_HTTP, HttpListen};

/// A broker that answers later is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why it is not known to take messages.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// It is not known where it is.
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

/// Where the broker of this configuration can be asked. One that is still reading its store has told no file yet, and is where it is
/// configured to be.
///
/// # Errors
/// See [`HealthError::RunFile`].
pub fn find(config: &Config) -> Result<String, HealthError> {
    match (RunFile::read(&config.data_dir), config.http.listen) {
        (Ok(run_file), _) => Ok(run_file.url),
        (Err(RunFileError::Missing { .. }), HttpListen::At(address)) if address.port() != 0 => {
            let mut here = address;
            if here.ip().is_unspecified() {
                here.set_ip(if here.is_ipv4() {
                    DEFAULT_HTTP.ip()
                } else {
                    std::net::Ipv6Addr::LOCALHOST.into()
                });
            }
            Ok(format!("http://{here}"))
        }
        (Err(RunFileError::Missing { .. }), HttpListen::Auto) => Ok(format!("http://{DEFAULT_HTTP}")),
        (Err(error), _) => Err(error.into()),
    }
}

/// Asks the broker at `url`, and says what it says.
///
/// # Errors
/// See [`HealthError`]; also when it is not ready.
pub fn run(url: &str, out: &mut impl Write) -> Result<(), HealthError> {
    let (status, body) = fetch(url, "/readyz", PATIENCE)?;
    let told: Value = serde_json::from_str(&body).unwrap_or_default();
    match (status, told.get("ready").and_then(Value::as_bool)) {
        (200, Some(true)) => Ok(writeln!(out, "ready: the broker at {url} takes messages")?),
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
    fn a_broker_that_has_told_nothing_yet_is_looked_for_where_it_is_configured() {
        // Goal: while a store is being read there is no file; all addresses of the machine are asked at loopback, and a port that the system chose
        // cannot be known.
        let directory = tempfile::tempdir().unwrap();
        let found = |listen: HttpListen| {
            let mut config = Config {
                data_dir: directory.path().join("none"),
                ..Config::default()
            };
            config.http.listen = listen;
            find(&config).ok()
        };
        let at = |address: &str| HttpListen::At(address.parse().unwrap());
        assert_eq!(found(HttpListen::Auto).as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(found(at("0.0.0.0:81")).as_deref(), Some("http://127.0.0.1:81"));
        assert_eq!(found(at("[::]:81")).as_deref(), Some("http://[::1]:81"));
        assert_eq!(found(at("127.0.0.1:0")), None);
        assert_eq!(found(HttpListen::Off), None);
    }
}
