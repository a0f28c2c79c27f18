//! The log: tracing records on standard error, and those of the audit log in a file of their own, if there is one.
//!
//! **Promise:** logging ends nothing and blocks nothing ([`sink`]), and what a client chose can neither break a line nor steer a
//! terminal ([`escape`]). Standard output is for answers and for the line that says that the broker is ready; nothing here writes
//! to it.

mod audit_file;
mod escape;
mod format;
mod sink;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) use access::AUDIT_TARGET;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{DirectivesError, LogConfig, LogFormat, parse_directives};
use crate::exit::Exit;
pub use audit_file::AuditFileError;
use audit_file::{Appending, AuditFile};
pub use escape::{in_one_line, json_in_one_line};
use format::Line;
use sink::Sink;

/// The variable that overrides key `log.level`.
const VARIABLE: &str = "RUST_LOG";
/// How long the end of the process waits for the last records to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The log of this process, once it is set up.
static SINK: OnceLock<Sink> = OnceLock::new();
/// The audit log's own file, if it has one.
static AUDIT: OnceLock<(Sink, Arc<AuditFile>)> = OnceLock::new();

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
    /// The audit log has no file to go to.
    #[error(transparent)]
    AuditFile(#[from] AuditFileError),
    /// The system gave no thread to write it.
    #[error("the system does not let the log start ({0})")]
    System(#[from] io::Error),
    /// The process already has a log.
    #[error("the log was already set up by this process; set it up once")]
    Twice,
}

impl LoggingError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            LoggingError::AuditFile(_) => Exit::NotPermitted,
            _ => Exit::BadConfiguration,
        }
    }
}

/// Looks at what [`init`] would need, without making or changing anything.
///
/// # Errors
/// As [`init`].
pub fn check(log: &LogConfig) -> Result<(), LoggingError> {
    let file = log.audit_file.as_deref();
    filter(&log.level, file.is_some())?;
    Ok(file.map_or(Ok(()), AuditFile::check)?)
}

/// What is to be logged on standard error: `RUST_LOG`, where it is set and not empty, wins over `level`. Audit records that have a file of
/// their own are not told twice, unless a directive asks for that.
fn filter(level: &str, has_audit_file: bool) -> Result<EnvFilter, LoggingError> {
    let silent = has_audit_file.then_some(AUDIT_TARGET);
    let variable = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    match variable {
        Some(value) => {
            let value = value.to_string_lossy().into_owned();
            parse_directives(&value, silent).map_err(|why| LoggingError::Variable { value, why })
        }
        None => parse_directives(level, silent).map_err(|why| LoggingError::Level {
            value: level.to_owned(),
            why,
        }),
    }
}

/// Starts logging to standard error, and audit records to `audit_file`, from now until the process ends, panics included.
///
/// # Errors
/// See [`LoggingError`].
pub fn init(format: LogFormat, level: &str, audit_file: Option<&Path>) -> Result<(), LoggingError> {
    let filter = filter(level, audit_file.is_some())?;
    let audit = audit_file.map(start_audit).transpose()?;
    let line = Line {
        format,
        has_colours: format == LogFormat::Pretty && io::stderr().is_terminal(),
    };
    let sink = Sink::start(line, "standard error", io::stderr())?;
    SINK.set(sink.clone()).map_err(|_| LoggingError::Twice)?;
    match audit {
        None => fmt()
            .with_env_filter(filter)
            .with_writer(sink)
            .with_ansi(false)
            .event_format(line)
            .try_init(),
        Some(audit) => {
            let own = fmt::layer().with_writer(audit).with_ansi(false).event_format(JSON);
            let ordinary = fmt::layer().with_writer(sink).with_ansi(false).event_format(line);
            tracing_subscriber::registry()
                .with(ordinary.with_filter(filter))
                .with(own.with_filter(Targets::new().with_target(AUDIT_TARGET, Level::INFO)))
                .try_init()
                .map_err(Into::into)
        }
    }
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

const JSON: Line = Line {
    format: LogFormat::Json,
    has_colours: false,
};

fn start_audit(path: &Path) -> Result<Sink, LoggingError> {
    let file = Arc::new(AuditFile::open(path)?);
    let sink = Sink::start(JSON, "the file of the audit log", Appending(file.clone()))?;
    AUDIT.set((sink.clone(), file)).map_err(|_| LoggingError::Twice)?;
    Ok(sink)
}

/// Opens the file of the audit log again, which was moved away. What was open stays so when that fails.
///
/// # Errors
/// The file cannot be made or written to.
pub fn open_audit_file_again() -> Result<(), AuditFileError> {
    AUDIT.get().map_or(Ok(()), |(_, file)| file.open_again())
}

/// Whether the audit log has a file of its own.
pub(crate) fn has_audit_file() -> bool {
    AUDIT.get().is_some()
}

/// Audit records lost since the start because their file could not be written to.
pub fn audit_lost() -> u64 {
    AUDIT.get().map_or(0, |(sink, _)| sink.lost_total())
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
    if let Some((audit, _)) = AUDIT.get() {
        audit.flush(LAST_WORDS);
    }
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
        let why = parse_directives("info,inboxd=loud", None).unwrap_err();
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
