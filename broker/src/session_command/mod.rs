//! `inboxd session list|show|end`: the sessions that a stopped broker keeps, and, in [`live`], all of one that runs.
//!
//! Those of a stopped broker are read one after the other, each with what waits for it, so memory stays small however many there are. None is ended there: what a
//! session owes to other members of its shared subscriptions, and its will, need a broker.

mod line;
mod live;

use std::io::{self, Write};

use admin::AskError;
use inbox_bridge::{
    Age, ClientId, Clock, Entries, MemoryBudget, Micros, Store, StoreError, SystemClock, Table, age_now, entries,
    entries_of,
};
use mqtt_session::{Found, Restored, Seen, WantedFilters};
use serde_json::Value;

pub use live::run as run_live;

use crate::cli::SessionAction;
use crate::exit::Exit;
use crate::inbox_command::{Streams, exit_of_store};
use crate::remote::exit_after;
use crate::said::unless_gone;
use crate::sessions::Stored;

/// Why the command ended early.
#[derive(Debug, thiserror::Error)]
pub enum SessionCommandError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be written.
    #[error("the answer could not be written: {0}; nothing is wrong with the sessions")]
    Output(#[from] io::Error),
    /// It was not confirmed.
    #[error("nothing was ended; answer \"yes\", or give --yes, to end the session of client {client:?}")]
    NotConfirmed {
        /// Whose session it is.
        client: ClientId,
    },
    /// There is none.
    #[error("no session of client {client:?} is kept")]
    NoSession {
        /// Who was asked for.
        client: ClientId,
    },
    /// The broker that was asked says no, or has gone.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It can only be looked at.
    #[error("start the broker first: only one that runs ends sessions")]
    NeedsBroker,
}

impl SessionCommandError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            SessionCommandError::Store(error) => exit_of_store(error),
            SessionCommandError::Ask(error) => exit_after(error),
            SessionCommandError::Output(_)
            | SessionCommandError::NotConfirmed { .. }
            | SessionCommandError::NoSession { .. }
            | SessionCommandError::NeedsBroker => Exit::Failed,
        }
    }
}

/// Does `action` on `store`, which nobody else may be using.
///
/// # Errors
/// When the store fails, an answer cannot be written, or what was asked for is not there or needs a broker. A reader of the answer that went away
/// (`| head`) is no error: the rest is left out.
pub fn run(action: &SessionAction, store: &dyn Store, streams: Streams<'_>) -> Result<(), SessionCommandError> {
    let Streams { out, notes, .. } = streams;
    let done = match action {
        SessionAction::List { json } => list(store, *json, out, notes),
        SessionAction::Show { client, json } => show(store, client, *json, out),
        SessionAction::End { .. } => return Err(SessionCommandError::NeedsBroker),
    };
    finish(done, out)
}

/// Whoever reads the answer may have gone.
fn finish(done: Result<(), SessionCommandError>, out: &mut dyn Write) -> Result<(), SessionCommandError> {
    match done.and_then(|()| Ok(out.flush()?)) {
        Err(SessionCommandError::Output(error)) => Ok(unless_gone(Err(error))?),
        done => done,
    }
}

fn begin_list(is_empty: bool, json: bool, out: &mut dyn Write, notes: &mut dyn Write) -> io::Result<()> {
    match (is_empty, json) {
        // Nobody needs to hear it.
        (true, _) => _ = writeln!(notes, "there is no session"),
        (false, false) => writeln!(out, "{}", line::list_header())?,
        (false, true) => {}
    }
    Ok(())
}

fn list(store: &dyn Store, json: bool, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), SessionCommandError> {
    let now = Moment::of(store)?;
    let mut is_empty = true;
    for restored in Last::of(entries(store, Table::SESSIONS)) {
        let seen = Seen::stored(&*restored?, now.age, WantedFilters::NONE);
        if std::mem::replace(&mut is_empty, false) {
            begin_list(false, json, out, notes)?;
        }
        let session = Value::Object(admin::session(&seen, now.wall));
        if let Some(text) = line::listed(&session, json) {
            writeln!(out, "{text}")?;
        }
    }
    if is_empty {
        begin_list(true, json, out, notes)?;
    }
    Ok(())
}

fn show(store: &dyn Store, client: &ClientId, json: bool, out: &mut dyn Write) -> Result<(), SessionCommandError> {
    let now = Moment::of(store)?;
    let prefix = [client.as_str().as_bytes(), &[0]].concat();
    let Some(restored) = Last::of(entries_of(store, Table::SESSIONS, &prefix)).next() else {
        return Err(SessionCommandError::NoSession { client: client.clone() });
    };
    let all = WantedFilters {
        after: None,
        limit: usize::MAX,
        bytes: usize::MAX,
    };
    let seen = Seen::stored(&*restored?, now.age, all);
    let session = Value::Object(admin::session(&seen, now.wall));
    let page = seen.holds.iter().flat_map(|holds| &holds.page);
    let filters = page.filter_map(|one| line::subscription(&admin::subscription(one), json));
    for text in line::shown(&session, json).into_iter().chain(filters) {
        writeln!(out, "{text}")?;
    }
    Ok(())
}

/// When a stopped broker is looked at.
struct Moment {
    wall: Micros,
    age: Age,
}

impl Moment {
    fn of(store: &dyn Store) -> Result<Self, StoreError> {
        let clock = SystemClock::default();
        Ok(Moment {
            wall: clock.now().wall,
            age: age_now(store, &clock)?,
        })
    }
}

/// The sessions that a store has: of several lives of one client the last, as a broker that starts takes them.
struct Last<'s> {
    stored: Stored<'s>,
    next: Option<Box<Restored>>,
}

impl<'s> Last<'s> {
    fn of(entries: Entries<'s>) -> Self {
        Last {
            stored: Stored::of(entries, &MemoryBudget::new(usize::MAX)),
            next: None,
        }
    }
}

impl Iterator for Last<'_> {
    type Item = Result<Box<Restored>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        for found in self.stored.by_ref() {
            match found {
                Err(error) => return Some(Err(error)),
                Ok(Found::Remains(_)) => {}
                Ok(Found::Session(later)) => match self.next.replace(later) {
                    Some(earlier)
                        if self
                            .next
                            .as_ref()
                            .is_some_and(|later| !later.is_of_same_client(&earlier)) =>
                    {
                        return Some(Ok(earlier));
                    }
                    _ => {}
                },
            }
        }
        self.next.take().map(Ok)
    }
}
