//! `inboxd trace`: where is my message? Its milestones as they come.
//!
//! Lines are grouped by message: a line that names it comes before its milestones, and again when another one's came between.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use admin::{AskError, Question, Remote, Stopper};
use serde_json::{Map, Value};
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use crate::cli::TraceArgs;
use crate::exit::Exit;
use crate::inbox_command::{name, rfc3339};
use crate::logging::json_in_one_line;
use crate::remote::exit_after;
use crate::said::unless_gone;

/// A trace says nothing while nothing happens; so much longer than it lasts is waited.
const PATIENCE: Duration = Duration::from_secs(15);
/// Messages whose beginning is known. The broker follows no more at a time.
const KNOWN_MAX: usize = 10_000;

/// Why the command ended early.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The broker says no, or has gone.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What it says could not be written.
    #[error("the trace could not be written: {0}")]
    Output(#[from] io::Error),
}

impl TraceError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            TraceError::Ask(error) => exit_after(error),
            TraceError::Output(_) => Exit::Failed,
        }
    }
}

/// Follows what `args` names, at `remote`, to the end of the trace. A reader of the answer that went away (`| head`) ends it, and is no error.
///
/// # Errors
/// See [`TraceError`].
pub fn run(
    args: &TraceArgs,
    remote: &Remote,
    out: &mut (impl Write + AsFd),
    notes: &mut dyn Write,
) -> Result<(), TraceError> {
    let mut wanted = Map::new();
    for (name, value) in [("from", &args.from), ("to", &args.to), ("id", &args.id)] {
        wanted.extend(value.clone().map(|value| (name.to_owned(), Value::from(value))));
    }
    wanted.insert("seconds".to_owned(), args.seconds.into());
    let mut answer = remote.ask(Question {
        body: Some(&Value::Object(wanted)),
        ..Question::new("POST", "/api/v1/trace", PATIENCE + Duration::from_secs(args.seconds))
    })?;
    let has_left = Arc::new(AtomicBool::new(false));
    // Without it the next milestone shows that nobody reads.
    if let (Ok(fd), Ok(stopper)) = (out.as_fd().try_clone_to_owned(), answer.stopper()) {
        watch(fd, stopper, has_left.clone());
    }
    let mut told = Told::default();
    let mut is_over = false;
    let done = loop {
        let said = match answer.next_line() {
            Ok(Some(said)) => said,
            Ok(None) => break Ok(()),
            Err(error) => break Err(TraceError::Ask(error)),
        };
        is_over |= said.get("ended").is_some();
        let written = match args.json {
            true => writeln!(out, "{}", json_in_one_line(&said.to_string())),
            false => told.tell(&said, out, notes),
        };
        if let Err(error) = written.and_then(|()| out.flush()) {
            break Err(error.into());
        }
    };
    match done {
        _ if has_left.load(Ordering::Relaxed) => Ok(()),
        Err(TraceError::Output(error)) => Ok(unless_gone(Err(error))?),
        Ok(()) if !is_over => Err(TraceError::Ask(AskError::Broken {
            url: remote.url().to_owned(),
            why: ErrorKind::UnexpectedEof.into(),
        })),
        done => done,
    }
}

/// Ends the answer when nobody reads `out` any more. Where the system cannot tell (a file), nothing happens.
fn watch(out: std::os::fd::OwnedFd, stopper: Stopper, has_left: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let Ok(out) = Sender::from_owned_fd_unchecked(out) else {
                return;
            };
            // Nothing is written through it.
            if out.ready(Interest::ERROR).await.is_ok() {
                has_left.store(true, Ordering::Relaxed);
                stopper.stop();
            }
        });
    });
}

/// A message, as its milestones name it.
type Key = (String, u64);

/// What was told of messages.
#[derive(Debug, Default)]
struct Told {
    known: HashMap<Key, Known>,
    last: Option<Key>,
}

#[derive(Debug)]
struct Known {
    /// How it is called, for people.
    title: String,
    began: u64,
}

impl Told {
    fn tell(&mut self, said: &Value, out: &mut dyn Write, notes: &mut dyn Write) -> io::Result<()> {
        if let Some(event) = said.get("event") {
            return self.event(event, out);
        }
        let remark = if let Some(missed) = said.get("missed") {
            format!("{missed} milestones were missed: there were too many")
        } else if let Some(why) = said.get("ended") {
            match why.as_str() {
                Some("time") => "the trace is over: its time is up".to_owned(),
                _ => "the trace is over: it was stopped".to_owned(),
            }
        } else {
            "following; Ctrl-C ends it".to_owned()
        };
        let _unheard = writeln!(notes, "{remark}");
        Ok(())
    }

    fn event(&mut self, event: &Value, out: &mut dyn Write) -> io::Result<()> {
        let text = |field: &str| event.get(field).and_then(Value::as_str);
        let number = |field: &str| event.get(field).and_then(Value::as_u64);
        let (what, at) = (text("what").unwrap_or("?"), number("at").unwrap_or_default());
        let (Some(inbox), Some(seq)) = (text("inbox"), number("seq")) else {
            self.last = None;
            return writeln!(out, "{} {}", rfc3339(at), alone(what, event));
        };
        let key = (inbox.to_owned(), seq);
        let is_end = !matches!(what, "waiting" | "accepted" | "committed" | "delivered");
        let known = self.known.get(&key);
        let (title, began) = match known {
            Some(known) => (known.title.clone(), known.began),
            None => (titled(event, inbox, seq, at), at),
        };
        if self.last.as_ref() != Some(&key) {
            writeln!(out, "{title}")?;
        }
        let dup = if event.get("dup") == Some(&Value::Bool(true)) {
            " again (DUP)"
        } else {
            ""
        };
        writeln!(out, "  {:>12} {what}{dup}", since(began, at))?;
        if is_end {
            self.known.remove(&key);
        } else if self.known.len() < KNOWN_MAX {
            self.known.insert(key.clone(), Known { title, began });
        }
        self.last = Some(key);
        Ok(())
    }
}

fn titled(event: &Value, inbox: &str, seq: u64, at: u64) -> String {
    let text = |field: &str| {
        event
            .get(field)
            .and_then(Value::as_str)
            .map_or_else(|| "?".to_owned(), name)
    };
    format!(
        "id={} from={} to={} seq={seq} at={}",
        text("id"),
        text("from"),
        name(inbox),
        rfc3339(at)
    )
}

/// What is about no single message that is there.
fn alone(what: &str, event: &Value) -> String {
    let mut line = what.to_owned();
    for field in ["inbox", "from", "messages", "followed", "cause", "why"] {
        match event.get(field) {
            Some(Value::String(text)) => line.push_str(&format!(" {field}={}", name(text))),
            Some(Value::Null) | None => {}
            Some(value) => line.push_str(&format!(" {field}={value}")),
        }
    }
    line
}

/// Time since the first milestone that is known. The clock of the system may have been set back.
fn since(began: u64, at: u64) -> String {
    let us = at.saturating_sub(began);
    match us {
        0..1_000_000 => format!("+{}.{:03} ms", us / 1000, us % 1000),
        _ => format!("+{}.{:03} s", us / 1_000_000, us / 1000 % 1000),
    }
}
