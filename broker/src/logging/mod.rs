//! The log: tracing records on standard error.
//!
//! **Promise:** logging ends nothing and blocks nothing ([`sink`]), and what a client chose can neither break a line nor steer a
//! terminal ([`escape`]). Standard output is for answers and for the line that says that the broker is ready; nothing here writes
//! to it.

mod escape;
mod format;
mod sink;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::config::{DirectivesError, LogFormat, parse_directives};
pub use escape::{in_one_line, json_in_one_line};
use format::Line;
use sink::Sink;

/// The variable that overrides key `log.level`.
const VARIABLE: &str = "RUST_LOG";
/// How long the end of the process waits for the last records to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The log of this process, once it is set up.
static SINK: OnceLock<Sink> = OnceLock::new();

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` is not a list of directives.
    #[error("environment variable RUST_LOG = {value:?} cannot be used; {why}")]
    Variable {
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: DirectivesError,
    },
    /// The given level is not a list of directives. A level out of a [`crate::config::Config`] is one.
    #[error("the log level {value:?} cannot be used; {why}")]
    Level {
        /// The level.
        value: String,
        /// What is wrong with it.
        why: DirectivesError,
    },
    /// The system gave no thread to write it.
    #[error("the system does not let the log start ({0})")]
    System(#[from] io::Error),
    /// The process already has a log.
    #[error("the log was already set up by this process; set it up once")]
    Twice,
}

/// What is to be logged: `RUST_LOG`, where it is set and not empty, wins over `level`.
///
/// # Errors
/// When the one that counts is not a list of directives.
pub fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    let variable = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    match variable {
        Some(value) => {
            let value = value.to_string_lossy().into_owned();
            parse_directives(&value).map_err(|why| LoggingError::Variable { value, why })
        }
        None => parse_directives(level).map_err(|why| LoggingError::Level {
            value: level.to_owned(),
            why,
        }),
    }
}

/// Starts logging to standard error, from now until the process ends, panics included.
///
/// # Errors
/// As [`filter`], and when the process has a log already.
pub fn init(format: LogFormat, level: &str) -> Result<(), LoggingError> {
    let filter = filter(level)?;
    let line = Line {
        format,
        has_colours: format == LogFormat::Pretty && io::stderr().is_terminal(),
    };
    let sink = Sink::start(line, io::stderr())?;
    SINK.set(sink.clone()).map_err(|_| LoggingError::Twice)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(sink)
        .with_ansi(false)
        .event_format(line)
        .try_init()
        .map_err(|_| LoggingError::Twice)?;
    // The hook of the standard library writes to standard error itself, and would wait for a pipe that is stuck.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        let told = format!("thread {name} {}", panic.to_string().replace('\n', " "));
        if let Some(sink) = SINK.get() {
            sink.put_own(Level::ERROR, &told);
        }
    }));
    Ok(())
}

/// Records lost since the start because standard error could not be written to.
pub fn lost() -> u64 {
    SINK.get().map_or(0, Sink::lost_total)
}

/// Says one sentence on standard error, whatever is logged: why the process ends. An error of standard error is nobody's.
pub fn say(sentence: &str) {
    let line = format!("inboxd: {}\n", in_one_line(sentence));
    match SINK.get() {
        Some(sink) if sink.is_json() => sink.put_own(Level::ERROR, sentence),
        Some(sink) => sink.put(line.as_bytes()),
        None => {
            // There is no other place to tell that this one failed.
            let _lost = io::stderr().write_all(line.as_bytes());
        }
    }
}

/// Waits until the records so far are written, for a moment at most: standard error may be stuck, and the process ends all the same.
pub fn flush() {
    if let Some(sink) = SINK.get() {
        sink.flush(LAST_WORDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_directive_is_named_in_one_sentence() {
        // Goal: the operator sees which word is wrong and what to write.
        let why = parse_directives("info,inboxd=loud").unwrap_err();
        let message = LoggingError::Variable {
            value: "info,inboxd=loud".to_owned(),
            why,
        }
        .to_string();
        assert!(
            message.starts_with("environment variable RUST_LOG = \"info,inboxd=loud\""),
            "{message}"
        );
        assert!(
            message.contains("\"inboxd=loud\"") && message.contains("inboxd=debug"),
            "{message}"
        );
    }
}
