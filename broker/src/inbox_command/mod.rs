//! `inboxd inbox list|show|export|purge|erase`: the inboxes of a stopped broker, and, in [`live`], of one that runs.
//!
//! **Promise:** only `purge` changes anything, and when it says that messages are removed, they are durably gone. A purge
//! that is interrupted has removed the oldest part of the inbox. Inboxes are read in pages, so memory stays small however
//! many messages there are.

mod line;
mod live;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Write};

use admin::AskError;
use inbox_bridge::{
    Batch, ClientId, Entry, InboxRecord, PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, Page, PageLimit, Seq, Store, StoreError,
    count_unread,
};

pub(crate) use line::{name, rfc3339};
pub use live::run as run_live;

use crate::audit;
use crate::cli::InboxAction;
use crate::exit::Exit;
use crate::remote::exit_after;
use crate::said::unless_gone;

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
    /// It was not confirmed.
    #[error("nothing was removed; answer \"yes\", or give --yes, to {what} {client:?}")]
    NotConfirmed {
        /// What was to be done.
        what: &'static str,
        /// Whose inbox it is.
        client: ClientId,
    },
    /// The broker that was asked says no, or has gone.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Nobody is there who knows all that is kept.
    #[error("start the broker first: only one that runs removes everything that is kept about a client")]
    NeedsBroker,
}

impl InboxCommandError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            InboxCommandError::Store(error) => exit_of_store(error),
            InboxCommandError::Ask(error) => exit_after(error),
            InboxCommandError::Output(_) | InboxCommandError::NotConfirmed { .. } | InboxCommandError::NeedsBroker => {
                Exit::Failed
            }
        }
    }
}

/// How the process ends when the store did not do it.
pub(crate) fn exit_of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Failed(_) | StoreError::Troubled(_) => Exit::StoreFailed,
        StoreError::Damaged { .. } => Exit::DataUnusable,
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
        InboxAction::Show { client, json, limit } => {
            let line = |entry: &Entry| {
                let message = admin::exported(entry);
                // All of it, where that cannot be told shorter.
                line::Shown::told(&message).map_or_else(|| line::exported(&message), |shown| shown.line(*json))
            };
            show(store, client, *limit, &line, out, notes)
        }
        InboxAction::Export { client } => {
            let line = |entry: &Entry| line::exported(&admin::exported(entry));
            show(store, client, None, &line, out, notes)
        }
        InboxAction::Purge { client, yes } => {
            if !yes {
                confirm_purge(store, client, input, notes)?;
            }
            purge(store, client, out)
        }
        InboxAction::Erase { .. } => return Err(InboxCommandError::NeedsBroker),
    };
    finish(done, out)
}

/// Whoever reads the answer may have gone.
fn finish(done: Result<(), InboxCommandError>, out: &mut dyn Write) -> Result<(), InboxCommandError> {
    match done.and_then(|()| Ok(out.flush()?)) {
        Err(InboxCommandError::Output(error)) => Ok(unless_gone(Err(error))?),
        done => done,
    }
}

fn list(store: &dyn Store, json: bool, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), InboxCommandError> {
    let mut after: Option<ClientId> = None;
    loop {
        let inboxes = store.inboxes(after.as_ref(), LIST_PAGE_INBOXES)?;
        if after.is_none() {
            begin_list(inboxes.is_empty(), json, out, notes)?;
        }
        for (client, record) in &inboxes {
            writeln!(
                out,
                "{}",
                line::list(client.as_str(), record.messages, record.bytes, json)
            )?;
        }
        match inboxes.last() {
            Some((last, _)) => after = Some(last.clone()),
            None => return Ok(()),
        }
    }
}

fn begin_list(is_empty: bool, json: bool, out: &mut dyn Write, notes: &mut dyn Write) -> io::Result<()> {
    match (is_empty, json) {
        (true, _) => remark(notes, "no inbox holds anything"),
        (false, false) => writeln!(out, "{}", line::list_header())?,
        (false, true) => {}
    }
    Ok(())
}

fn show(
    store: &dyn Store,
    client: &ClientId,
    limit: Option<u64>,
    line: &dyn Fn(&Entry) -> String,
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
            writeln!(out, "{}", line(entry))?;
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
fn confirm_purge(
    store: &dyn Store,
    client: &ClientId,
    input: &mut dyn BufRead,
    notes: &mut dyn Write,
) -> Result<(), InboxCommandError> {
    let what = match store.inbox(client) {
        Ok(Some(InboxRecord { messages, bytes })) => counted(messages, bytes),
        Ok(None) => return Ok(()), // There is nothing to lose.
        Err(StoreError::Damaged { .. }) => "everything".to_owned(),
        Err(error) => return Err(error.into()),
    };
    confirm(PURGE, client, &format!("{what} of inbox {client:?}"), input, notes)
}

/// What is to be confirmed.
const PURGE: &str = "purge inbox";

fn counted(messages: u64, bytes: u64) -> String {
    format!("all {messages} messages ({bytes} bytes)")
}

fn confirm(
    act: &'static str,
    client: &ClientId,
    what: &str,
    input: &mut dyn BufRead,
    notes: &mut dyn Write,
) -> Result<(), InboxCommandError> {
    match is_confirmed(&format!("Remove {what} for good?"), input, notes)? {
        true => Ok(()),
        false => Err(InboxCommandError::NotConfirmed {
            what: act,
            client: client.clone(),
        }),
    }
}

/// Asks a question that is to be answered with "yes".
pub(crate) fn is_confirmed(question: &str, input: &mut dyn BufRead, notes: &mut dyn Write) -> io::Result<bool> {
    write!(notes, "{question} Type yes: ")?;
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
        let counted = count_unread(store, client, seqs.len() as u64)?;
        let removals = seqs.into_iter().map(|seq| (client.clone(), seq)).collect();
        store.commit(&Batch {
            removals,
            tables: vec![counted],
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
