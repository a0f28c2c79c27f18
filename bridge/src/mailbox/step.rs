//! What a step of an inbox is given, and what it asks for.

use std::sync::Arc;
use std::time::Duration;

use inbox_types::{Age, AttachmentId, ClientId, Counters, Events, InboxSize, Left, Limits, Message, Now, Seq};

/// What whoever repeats a message with an `id` is to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedEnd {
    /// It was accepted and then refused.
    Refused,
    /// Its reader acknowledged it.
    Read,
}

/// What a step of the machine asks of its surroundings.
#[derive(Default)]
pub(crate) struct Effects {
    /// The reader wants the next page: entries after this seq.
    pub(crate) page: Option<(AttachmentId, Seq)>,
    /// The reader waits to know how many left unread.
    pub(crate) unread: Option<AttachmentId>,
    /// The committer should look at this inbox by then.
    pub(crate) commit_by: Option<Duration>,
    /// Messages that left unread.
    pub(crate) left: Vec<(Seq, ClientId, Left)>,
    /// Notices of refusals that were refused in their turn, or purged or forgotten with others: none may take their place.
    pub(crate) void_notices: Vec<Seq>,
    /// There may be room for those who wait for it.
    pub(crate) may_have_room: bool,
    /// What became of messages with an `id`.
    pub(crate) named: Vec<(Seq, Arc<Message>, NamedEnd)>,
}

impl Effects {
    pub(crate) fn commit_by(&mut self, when: Duration) {
        self.commit_by = Some(self.commit_by.map_or(when, |earlier| earlier.min(when)));
    }
}

/// What every step is given.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) now: Now,
    /// How old the store is.
    pub(crate) age: Age,
    pub(crate) limits: &'a Limits,
    /// How large this inbox is.
    pub(crate) size: InboxSize,
    pub(crate) counters: &'a Counters,
    pub(crate) events: &'a Events,
    /// Whose inbox it is.
    pub(crate) inbox: &'a ClientId,
    /// Messages up to this seq may have been sent before, by an earlier run for one.
    pub(crate) sent_floor: Seq,
    /// What an `id` promises is kept (contract rule 8).
    pub(crate) keeps_ids: bool,
    /// Durable mail is not to be kept in memory.
    pub(crate) is_short_of_memory: bool,
}
