//! The same for the sessions of a broker that runs: it is asked, and does the work.

use std::io::{BufRead, Write};
use std::time::Duration;

use admin::{AskError, Code, Question, Remote, url_part};
use inbox_bridge::ClientId;
use serde_json::Value;

use super::{SessionCommandError, begin_list, finish, line};
use crate::cli::SessionAction;
use crate::inbox_command::{Streams, is_confirmed};

/// A broker answers within 30 seconds, or says that it does not.
const PATIENCE: Duration = Duration::from_secs(45);
/// Most sessions, and subscriptions, that are asked for at once.
const PAGE: usize = 1000;

/// Does `action` at `broker`.
///
/// # Errors
/// When the broker says no or goes away, an answer cannot be written, or the end of a session is not confirmed. A reader of the answer that went away
/// (`| head`) is no error: the rest is left out.
pub fn run(action: &SessionAction, broker: &Remote, streams: Streams<'_>) -> Result<(), SessionCommandError> {
    let Streams { input, out, notes } = streams;
    let done = match action {
        SessionAction::List { json } => list(broker, *json, out, notes),
        SessionAction::Show { client, json } => show(broker, client, *json, out),
        SessionAction::End { client, yes } => {
            if !yes {
                confirm(broker, client, input, notes)?;
            }
            end(broker, client, out)
        }
    };
    finish(done, out)
}

fn list(broker: &Remote, json: bool, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), SessionCommandError> {
    let mut after: Option<String> = None;
    loop {
        let from = after.as_deref().map(|after| format!("&after={}", url_part(after)));
        let path = format!("/api/v1/sessions?limit={PAGE}{}", from.unwrap_or_default());
        let page = broker.result(Question::new("GET", &path, PATIENCE))?;
        let sessions = page.get("sessions").and_then(Value::as_array);
        let sessions = sessions.ok_or_else(|| not_ours(broker))?;
        if after.is_none() {
            begin_list(sessions.is_empty(), json, out, notes)?;
        }
        for session in sessions {
            let text = line::listed(session, json).ok_or_else(|| not_ours(broker))?;
            writeln!(out, "{text}")?;
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(()),
        }
    }
}

fn show(broker: &Remote, client: &ClientId, json: bool, out: &mut dyn Write) -> Result<(), SessionCommandError> {
    let mut after: Option<u64> = None;
    loop {
        let from = after.map(|after| format!("&after={after}"));
        let path = format!("{}?limit={PAGE}{}", session(client), from.unwrap_or_default());
        let page = broker.result(Question::new("GET", &path, PATIENCE))?;
        if after.is_none() {
            let text = line::shown(&page, json).ok_or_else(|| not_ours(broker))?;
            writeln!(out, "{text}")?;
        }
        for filter in page.get("filters").and_then(Value::as_array).into_iter().flatten() {
            let text = line::subscription(filter, json).ok_or_else(|| not_ours(broker))?;
            writeln!(out, "{text}")?;
        }
        after = page.get("next").and_then(Value::as_u64);
        if after.is_none() {
            return Ok(());
        }
    }
}

fn confirm(
    broker: &Remote,
    client: &ClientId,
    input: &mut dyn BufRead,
    notes: &mut dyn Write,
) -> Result<(), SessionCommandError> {
    let path = format!("{}?limit=1", session(client));
    let shown = match broker.result(Question::new("GET", &path, PATIENCE)) {
        // There is nothing to lose.
        Err(AskError::Refused {
            code: Code::NotFound, ..
        }) => return Ok(()),
        shown => shown?,
    };
    let number = |name: &str| shown.get(name).and_then(Value::as_u64).unwrap_or_default();
    let what = format!(
        "End the session of client {client:?}, with {} subscriptions and {} messages ({} bytes) of ordinary topics, for good?",
        number("subscriptions"),
        number("messages"),
        number("bytes")
    );
    match is_confirmed(&what, input, notes)? {
        true => Ok(()),
        false => Err(SessionCommandError::NotConfirmed { client: client.clone() }),
    }
}

fn end(broker: &Remote, client: &ClientId, out: &mut dyn Write) -> Result<(), SessionCommandError> {
    let done = broker.result(Question::new("DELETE", &session(client), PATIENCE))?;
    match done.get("ended").and_then(Value::as_bool) {
        Some(true) => writeln!(out, "ended the session of client {client:?}")?,
        Some(false) => writeln!(out, "client {client:?} has no session")?,
        None => return Err(not_ours(broker).into()),
    }
    Ok(())
}

fn session(client: &ClientId) -> String {
    format!("/api/v1/sessions/{}", url_part(client.as_str()))
}

fn not_ours(broker: &Remote) -> AskError {
    AskError::NotOurs {
        url: broker.url().to_owned(),
    }
}
