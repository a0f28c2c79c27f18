//! The same for the inboxes of a broker that runs: it is asked, and does the work.

use std::io::{BufRead, Write};
use std::time::Duration;

use admin::{AskError, Question, Remote, url_part};
use inbox_bridge::ClientId;
use serde_json::Value;

use super::{InboxCommandError, PURGE, Streams, begin_list, confirm, counted, finish, line, remark};
use crate::cli::InboxAction;

/// A broker answers within 30 seconds, or says that it does not.
const PATIENCE: Duration = Duration::from_secs(45);
/// Most inboxes, and messages, that are asked for at once.
const LIST_PAGE_INBOXES: usize = 1000;
const SHOW_PAGE_MESSAGES: u64 = 100;
/// Of a payload, a line for people needs no more.
const PREVIEW_BYTES: usize = 1024;
/// What is to be confirmed.
const ERASE: &str = "erase client";

/// Does `action` at `broker`.
///
/// # Errors
/// When the broker says no or goes away, an answer cannot be written, or a removal is not confirmed. A reader of the answer that went away
/// (`| head`) is no error: the rest is left out.
pub fn run(action: &InboxAction, broker: &Remote, streams: Streams<'_>) -> Result<(), InboxCommandError> {
    let Streams { input, out, notes } = streams;
    let done = match action {
        InboxAction::List { json } => list(broker, *json, out, notes),
        InboxAction::Show {
            client,
            json: false,
            limit,
        } => show(broker, client, *limit, out, notes),
        InboxAction::Show {
            client,
            json: true,
            limit,
        } => {
            let line = |message: &Value| line::Shown::told(message).map(|shown| shown.line(true));
            export(broker, client, *limit, &line, out, notes)
        }
        InboxAction::Export { client } => {
            let line = |message: &Value| Some(line::exported(message));
            export(broker, client, None, &line, out, notes)
        }
        InboxAction::Purge { client, yes } => {
            if !yes {
                confirm_purge(broker, client, input, notes)?;
            }
            purge(broker, client, out)
        }
        InboxAction::Erase { client, yes } => {
            if !yes {
                let what = format!("everything that is kept about client {client:?}");
                confirm(ERASE, client, &what, input, notes)?;
            }
            erase(broker, client, out)
        }
    };
    finish(done, out)
}

fn list(broker: &Remote, json: bool, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), InboxCommandError> {
    let mut after: Option<String> = None;
    loop {
        let from = after
            .as_deref()
            .map_or_else(String::new, |after| format!("&after={}", url_part(after)));
        let path = format!("/api/v1/inboxes?limit={LIST_PAGE_INBOXES}{from}");
        let page = broker.result(Question::new("GET", &path, PATIENCE))?;
        let inboxes = page.get("inboxes").and_then(Value::as_array);
        let inboxes = inboxes.ok_or_else(|| not_ours(broker))?;
        if after.is_none() {
            begin_list(inboxes.is_empty(), json, out, notes)?;
        }
        for inbox in inboxes {
            let client = inbox
                .get("client")
                .and_then(Value::as_str)
                .ok_or_else(|| not_ours(broker))?;
            let text = line::list(client, number(inbox, "messages"), number(inbox, "bytes"), json);
            writeln!(out, "{text}")?;
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(()),
        }
    }
}

fn show(
    broker: &Remote,
    client: &ClientId,
    limit: Option<u64>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), InboxCommandError> {
    let mut left = limit.unwrap_or(u64::MAX);
    let mut after = 0;
    while left > 0 {
        let messages = left.min(SHOW_PAGE_MESSAGES);
        let path = format!(
            "{}/messages?after={after}&limit={messages}&payload_bytes_max={PREVIEW_BYTES}",
            inbox(client)
        );
        let page = broker.result(Question::new("GET", &path, PATIENCE))?;
        let messages = page.get("messages").and_then(Value::as_array);
        let messages = messages.ok_or_else(|| not_ours(broker))?;
        if after == 0 && messages.is_empty() {
            remark_nothing(client, notes);
        }
        for message in messages {
            let shown = line::Shown::told(message).ok_or_else(|| not_ours(broker))?;
            writeln!(out, "{}", shown.line(false))?;
            left = left.saturating_sub(1);
        }
        match page.get("next").and_then(Value::as_u64) {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
    Ok(())
}

fn export(
    broker: &Remote,
    client: &ClientId,
    limit: Option<u64>,
    line: &dyn Fn(&Value) -> Option<String>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), InboxCommandError> {
    if limit == Some(0) {
        return Ok(());
    }
    // JSON numbers are exact up to here.
    let limit = limit.map_or_else(String::new, |limit| format!("?limit={}", limit.min((1 << 53) - 1)));
    let path = format!("{}/export{limit}", inbox(client));
    let mut answer = broker.ask(Question::new("GET", &path, PATIENCE))?;
    let mut is_empty = true;
    while let Some(message) = answer.next_line()? {
        is_empty = false;
        let text = line(&message).ok_or_else(|| not_ours(broker))?;
        writeln!(out, "{text}")?;
    }
    if is_empty {
        remark_nothing(client, notes);
    }
    Ok(())
}

fn remark_nothing(client: &ClientId, notes: &mut dyn Write) {
    remark(notes, &format!("inbox {client:?} holds nothing"));
}

fn confirm_purge(
    broker: &Remote,
    client: &ClientId,
    input: &mut dyn BufRead,
    notes: &mut dyn Write,
) -> Result<(), InboxCommandError> {
    let held = broker.result(Question::new("GET", &inbox(client), PATIENCE))?;
    match number(&held, "messages") {
        // There is nothing to lose.
        0 => Ok(()),
        messages => {
            let what = counted(messages, number(&held, "bytes"));
            confirm(PURGE, client, &format!("{what} of inbox {client:?}"), input, notes)
        }
    }
}

fn purge(broker: &Remote, client: &ClientId, out: &mut dyn Write) -> Result<(), InboxCommandError> {
    let path = format!("{}/messages", inbox(client));
    let done = broker.result(Question::new("DELETE", &path, PATIENCE))?;
    let messages = number(&done, "purged");
    Ok(writeln!(out, "removed {messages} messages of inbox {client:?}")?)
}

fn erase(broker: &Remote, client: &ClientId, out: &mut dyn Write) -> Result<(), InboxCommandError> {
    let path = format!("/api/v1/clients/{}/data", url_part(client.as_str()));
    let done = broker.result(Question::new("DELETE", &path, PATIENCE))?;
    let mut what = vec![format!("{} messages", number(&done, "purged"))];
    if done.get("session") == Some(&Value::Bool(true)) {
        what.push("its session".to_owned());
    }
    let kept = done.get("kept").and_then(Value::as_object);
    for (table, entries) in kept.into_iter().flatten() {
        if entries.as_u64() > Some(0) {
            what.push(format!("{entries} of {}", line::name(table)));
        }
    }
    Ok(writeln!(out, "erased of client {client:?}: {}", what.join(", "))?)
}

fn inbox(client: &ClientId) -> String {
    format!("/api/v1/inboxes/{}", url_part(client.as_str()))
}

fn number(of: &Value, name: &str) -> u64 {
    of.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn not_ours(broker: &Remote) -> AskError {
    AskError::NotOurs {
        url: broker.url().to_owned(),
    }
}
