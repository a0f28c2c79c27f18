//! One record as one line, for people or as JSON.

use std::fmt::{self, Write};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use super::escape::{Escaping, in_one_line, json_in_one_line, write_value};
use crate::config::LogFormat;

/// Name of the field that is the sentence of a record.
const MESSAGE: &str = "message";
/// Who writes the records that are about the log itself.
const OWN_TARGET: &str = "inboxd";

/// How records are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) format: LogFormat,
    /// Levels have colours.
    pub(super) has_colours: bool,
}

impl Line {
    /// A record that is about the log itself, or that must be there whatever is logged.
    pub(super) fn own(self, level: Level, message: &str) -> String {
        let mut out = String::new();
        let sentence = Collected {
            message: message.to_owned(),
            fields: Vec::new(),
        };
        // Writing to a string cannot fail.
        let _ = self.write(&mut out, level, OWN_TARGET, &sentence);
        out
    }

    fn write(self, out: &mut impl Write, level: Level, target: &str, said: &Collected) -> fmt::Result {
        let mut at = String::new();
        SystemTime.format_time(&mut Writer::new(&mut at))?;
        match self.format {
            LogFormat::Pretty => self.write_pretty(out, &at, level, target, said),
            LogFormat::Json => write_json(out, at, level, target, said),
        }
    }

    fn write_pretty(self, out: &mut impl Write, at: &str, level: Level, target: &str, said: &Collected) -> fmt::Result {
        let (colour, end) = match (self.has_colours, level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[34m", "\x1b[0m"),
        };
        write!(out, "{at} {colour}{level:>5}{end} {target}: ")?;
        Escaping(out).write_str(&said.message)?;
        for (name, value) in &said.fields {
            write!(out, " {name}=")?;
            match value {
                Value::String(text) => write_value(out, text)?,
                other => write!(out, "{other}")?,
            }
        }
        out.write_char('\n')
    }
}

fn write_json(out: &mut impl Write, at: String, level: Level, target: &str, said: &Collected) -> fmt::Result {
    let mut object = Map::new();
    object.insert("timestamp".to_owned(), at.into());
    object.insert("level".to_owned(), level.as_str().into());
    object.insert(MESSAGE.to_owned(), said.message.as_str().into());
    for (name, value) in &said.fields {
        object.insert((*name).to_owned(), value.clone());
    }
    object.insert("target".to_owned(), target.into());
    out.write_str(&json_in_one_line(&Value::Object(object).to_string()))?;
    out.write_char('\n')
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Collected::default();
        event.record(&mut said);
        // Records of the crates that write with `log` carry their target in a field.
        let target = said
            .take_target()
            .unwrap_or_else(|| event.metadata().target().to_owned());
        self.write(&mut out, *event.metadata().level(), &in_one_line(&target), &said)
    }
}

/// The sentence and the fields of one record.
#[derive(Default)]
struct Collected {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Collected {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (MESSAGE, Value::String(text)) => self.message = text,
            (name, value) => self.fields.push((name, value)),
        }
    }

    fn take_target(&mut self) -> Option<String> {
        let target = self.fields.iter().find(|(name, _)| *name == "log.target");
        let target = target.and_then(|(_, value)| value.as_str().map(str::to_owned));
        self.fields.retain(|(name, _)| !name.starts_with("log."));
        target
    }
}

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Collected {
        Collected {
            message: "a\nb".to_owned(),
            fields: vec![("client", "eve\n\u{202e}".into()), ("reason", 144.into())],
        }
    }

    #[test]
    fn a_record_is_one_line_in_every_format() {
        // Goal: whatever a client chose, one record stays one line, and JSON keeps the exact text.
        for (format, has_colours) in [
            (LogFormat::Pretty, false),
            (LogFormat::Pretty, true),
            (LogFormat::Json, false),
        ] {
            let mut out = String::new();
            Line { format, has_colours }
                .write(&mut out, Level::WARN, "inboxd::x", &said())
                .unwrap();
            assert_eq!(out.matches('\n').count(), 1, "{out:?}");
            assert!(out.ends_with('\n') && !out.contains('\u{202e}'), "{out:?}");
            if format == LogFormat::Json {
                let value: Value = serde_json::from_str(&out).unwrap();
                assert_eq!(value["client"], "eve\n\u{202e}");
                assert_eq!(value["level"], "WARN");
                assert_eq!(value["reason"], 144);
            } else {
                assert!(
                    out.contains("inboxd::x: a\\nb client=\"eve\\n\\u{202e}\" reason=144"),
                    "{out:?}"
                );
            }
        }
    }
}
