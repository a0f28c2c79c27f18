//! `inboxd inbox list|show|purge`: the inboxes of a stopped broker.
//!
//! **Promise:** only `purge` changes anything, and when it says that messages are removed, they are durably gone. A purge
//! that is interrupted has removed the oldest part of the inbox. Inboxes are read in pages, so memory stays small however
//! many messages there are.

mod line;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, ErrorKind, Write};

use inbox_bridge::{
    Batch, ClientId, InboxRecord, PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, Page, PageLimit, Seq, Store, StoreError,
};

use crate::audit;
use crate::cli::InboxAction;
use crate::exit::Exit;

/// Most inboxes read from the store at once.
const LIST_PAGE_INBOXES: usize = 512;

/// The streams of the command.
pub struct Streams<'a> {
    /// Where a confirmation is read from: standard input.
    pub input: &'a mut dyn BufRead,
    /// Where answers go: standard output.
    pub out: &'a mut dyn Write,
    /// Where questions and remarks go: standard error.
    pub notes: &'a mut dyn Write,
}

/// Why the command ended early.
#[derive(Debug, thiserror::Error)]
pub enum InboxCommandError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be written.
    #[error("the answer could not be written: {0}; nothing is wrong with the inboxes")]
    Output(#[from] io::Error),
    /// The purge was not confirmed.
    #[error("nothing was removed; answer \"yes\", or give --yes, to purge inbox {0:?}")]
    NotConfirmed(ClientId),
}

impl InboxCommandError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            InboxCommandError::Store(StoreError::Failed(_) | StoreError::Troubled(_)) => Exit::StoreFailed,
            InboxCommandError::Store(StoreError::Damaged { .. }) => Exit::DataUnusable,
            InboxCommandError::Output(_) | InboxCommandError::NotConfirmed(_) => Exit::Failed,
        }
    }
}

/// Does `action` on `store`, which nobody else may be using.
///
/// # Errors
/// When the store fails, an answer cannot be written, or a purge is not confirmed. A reader of the answer that went away
/// (`| head`) is no error: the rest is left out.
pub fn run(action: &InboxAction, store: &dyn Store, streams: Streams<'_>) -> Result<(), InboxCommandError> {
    let Streams { input, out, notes } = streams;
    let done = match action {
        InboxAction::List { json } => list(store, *json, out, notes),
        InboxAction::Show { client, json, limit } => show(store, client, *json, *limit, out, notes),
        InboxAction::Purge { client, yes } => {
            if !yes && !confirmed(store, client, input, notes)? {
                return Err(InboxCommandError::NotConfirmed(client.clone()));
            }
            purge(store, client, out)
        }
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        Err(InboxCommandError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn list(store: &dyn Store, json: bool, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), InboxCommandError> {
    let mut after: Option<ClientId> = None;
    loop {
        let inboxes = store.inboxes(after.as_ref(), LIST_PAGE_INBOXES)?;
        if after.is_none() {
            match (inboxes.is_empty(), json) {
                (true, _) => remark(notes, "no inbox holds anything"),
                (false, false) => writeln!(out, "{}", line::list_header())?,
                (false, true) => {}
            }
        }
        for (client, record) in &inboxes {
            let text = if json {
                line::list_json(client, record)
            } else {
                line::list(client, record)
            };
            writeln!(out, "{text}")?;
        }
        match inboxes.last() {
            Some((last, _)) => after = Some(last.clone()),
            None => return Ok(()),
        }
    }
}

fn show(
    store: &dyn Store,
    client: &ClientId,
    json: bool,
    limit: Option<u64>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), InboxCommandError> {
    let mut left = limit.unwrap_or(u64::MAX);
    let mut after = Seq::ZERO;
    while left > 0 {
        let Page { entries, more } = read_page(store, client, after, left)?;
        if after == Seq::ZERO && entries.is_empty() {
            remark(notes, &format!("inbox {client:?} holds nothing"));
        }
        for entry in &entries {
            let text = if json {
                line::show_json(entry)
            } else {
                line::show(entry)
            };
            writeln!(out, "{text}")?;
            after = entry.seq;
            left = left.saturating_sub(1);
        }
        if !more || entries.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Says something that is not the answer. Nobody needs to hear it.
fn remark(notes: &mut dyn Write, text: &str) {
    let _unheard = writeln!(notes, "{text}");
}

/// Asks whether the inbox is really to be emptied. An inbox that cannot be counted can still be purged.
fn confirmed(
    store: &dyn Store,
    client: &ClientId,
    input: &mut dyn BufRead,
    notes: &mut dyn Write,
) -> Result<bool, InboxCommandError> {
    let what = match store.inbox(client) {
        Ok(Some(InboxRecord { messages, bytes })) => format!("all {messages} messages ({bytes} bytes)"),
        Ok(None) => return Ok(true), // There is nothing to lose.
        Err(StoreError::Damaged { .. }) => "everything".to_owned(),
        Err(error) => return Err(error.into()),
    };
    write!(notes, "Remove {what} of inbox {client:?} for good? Type yes: ")?;
    notes.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

fn purge(store: &dyn Store, client: &ClientId, out: &mut dyn Write) -> Result<(), InboxCommandError> {
    let before = store.inbox(client)?.unwrap_or_default();
    let done = remove_all(store, client);
    let left = store.inbox(client)?.unwrap_or_default();
    let messages = before.messages.saturating_sub(left.messages);
    let bytes = before.bytes.saturating_sub(left.bytes);
    // Contract rule 5: a removal that the recipient did not ask for leaves a trace, also when it did not get to the end.
    audit::purged(client, messages, bytes, done.is_ok());
    done?;
    writeln!(out, "removed {messages} messages ({bytes} bytes) of inbox {client:?}")?;
    Ok(())
}

/// Removes some at a time, without reading them: a damaged message can be purged like any other.
fn remove_all(store: &dyn Store, client: &ClientId) -> Result<(), StoreError> {
    let mut after = Seq::ZERO;
    loop {
        let seqs = store.seqs(client, after, PAGE_MESSAGES_MAX)?;
        let Some(last) = seqs.last() else { return Ok(()) };
        after = *last;
        let removals = seqs.into_iter().map(|seq| (client.clone(), seq)).collect();
        store.commit(&Batch {
            removals,
            ..Batch::default()
        })?;
    }
}

fn read_page(store: &dyn Store, client: &ClientId, after: Seq, messages_max: u64) -> Result<Page, StoreError> {
    let messages = usize::try_from(messages_max)
        .unwrap_or(usize::MAX)
        .min(PAGE_MESSAGES_MAX);
    store.read(
        client,
        after,
        PageLimit {
            messages,
            bytes: PAGE_BYTES_MAX,
        },
    )
}
