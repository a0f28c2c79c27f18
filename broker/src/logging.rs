//! The log: tracing records on standard error.
//!
//! Standard output is for answers and for the line that says that the broker is ready; nothing here writes to it.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::LogFormat;

/// The variable that overrides key `log.level`.
const VARIABLE: &str = "RUST_LOG";

/// The embedded router opens a span for every event at level info, which halves its throughput, and its records say nothing that an
/// operator could act on. A directive that names rumqttd turns it on.
const UNDER_ALL: &str = "rumqttd=off";

/// Why the log cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// The process already has a log.
    #[error("the log was already set up by this process; set it up once")]
    Twice,
}

/// Why a text does not say what to log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectivesError {
    /// There is nothing in it.
    #[error("it is empty; write a level (error, warn, info, debug, trace or off)")]
    Empty,
    /// One directive means nothing.
    #[error(
        "it holds {0:?}; write a level (error, warn, info, debug, trace or off), or target=level, with commas between them, \
         like \"info,inboxd=debug\""
    )]
    Directive(String),
}

/// Starts logging to standard error, from now until the process ends. `RUST_LOG`, where it is set and not empty, wins over
/// `level`.
///
/// # Errors
/// When `RUST_LOG` or `level` is not a list of directives, or the process has a log already.
pub fn init(format: LogFormat, level: &str) -> Result<(), LoggingError> {
    let variable = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let filter = match variable {
        Some(value) => {
            let value = value.to_string_lossy().into_owned();
            parse_directives(&value).map_err(|why| LoggingError::Variable { value, why })?
        }
        None => parse_directives(level).map_err(|why| LoggingError::Level {
            value: level.to_owned(),
            why,
        })?,
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match format {
        LogFormat::Pretty => log.compact().with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).try_init(),
    };
    started.map_err(|_| LoggingError::Twice)
}

/// Reads directives such as `info` or `warn,inboxd=debug`.
///
/// Stricter than [`EnvFilter`], for which a misspelt level is the name of a target, so that `debgu` would silence the log.
pub(crate) fn parse_directives(text: &str) -> Result<EnvFilter, DirectivesError> {
    let directives: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
        .collect();
    if directives.is_empty() {
        return Err(DirectivesError::Empty);
    }
    for directive in &directives {
        let level = directive.rsplit_once('=').map_or(*directive, |(_, level)| level);
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return Err(DirectivesError::Directive((*directive).to_owned()));
        }
    }
    // Joined again because EnvFilter would take a blank after a comma as part of a name. What comes later wins.
    EnvFilter::builder()
        .parse(format!("{UNDER_ALL},{}", directives.join(",")))
        .map_err(|_| DirectivesError::Directive(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_levels_or_targets_with_levels() {
        // Goal: what people write is taken, and a misspelt level is an error instead of a silent log.
        for good in [
            "info",
            "INFO",
            "off",
            "warn,inboxd=debug",
            "info, inboxd::session=trace",
            "info,",
        ] {
            assert!(parse_directives(good).is_ok(), "{good:?}");
        }
        for bad in [
            "debgu",
            "inboxd",
            "inboxd=",
            "inboxd=loud",
            "info,inboxd=debug=x",
            "=",
            "info;debug",
        ] {
            assert!(
                matches!(parse_directives(bad), Err(DirectivesError::Directive(_))),
                "{bad:?}"
            );
        }
        for empty in ["", " ", ","] {
            assert!(
                matches!(parse_directives(empty), Err(DirectivesError::Empty)),
                "{empty:?}"
            );
        }
    }

    #[test]
    fn the_embedded_router_is_silent_unless_asked_for() {
        // Goal: a level for everything leaves rumqttd off; a directive that names it wins.
        let filter = |text| parse_directives(text).unwrap().to_string();
        assert!(filter("trace").contains("rumqttd=off"), "{}", filter("trace"));
        assert!(!filter("info,rumqttd=debug").contains("rumqttd=off"));
        assert!(filter("info,rumqttd=debug").contains("rumqttd=debug"));
    }

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
