//! What is to be done with receipts that are durable: a state machine without I/O.
//!
//! The receipts of one message to a sender are a *deed*, and kept under a number until that message is safe.

use std::collections::VecDeque;
use std::mem;

use hashbrown::HashMap;
use inbox_types::{ClientId, Outcome, RECEIPTS_WAITING_MAX, Refusal, Seq, Ticket};

use super::Telling;

/// Receipts that one message is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deed {
    pub(crate) number: u64,
    pub(crate) telling: Telling,
}

#[derive(Debug)]
struct Sent {
    deed: Deed,
    seq: Seq,
    /// It is in the batch, or in the store, and its number is removed with that.
    is_written: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Books {
    last_number: u64,
    /// Published, and not settled.
    sent: HashMap<Ticket, Sent>,
    by_seq: HashMap<Seq, Ticket>,
    last_ticket: u64,
    /// There was no room for these.
    again: VecDeque<Deed>,
    /// Numbers that the store may forget.
    done: Vec<u64>,
    /// How many messages of a client are unread, as far as their senders wait for it.
    unread: HashMap<ClientId, usize>,
}

impl Books {
    /// A new deed.
    pub(crate) fn begin(&mut self, telling: Telling) -> Deed {
        self.last_number += 1;
        let number = self.last_number;
        Deed { number, telling }
    }

    /// One that an earlier run left.
    pub(crate) fn resume(&mut self, deed: &Deed) {
        self.last_number = self.last_number.max(deed.number);
    }

    /// Its message is about to be published as `seq`. Gives under what the outcome comes.
    pub(crate) fn sending(&mut self, deed: Deed, seq: Seq) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let sent = Sent {
            deed,
            seq,
            is_written: false,
        };
        self.sent.insert(ticket, sent);
        self.by_seq.insert(seq, ticket);
        ticket
    }

    /// Whether any message is under way.
    pub(crate) fn is_sending(&self) -> bool {
        !self.by_seq.is_empty()
    }

    /// A message is in the batch. Gives the number that is to be removed in it, if it tells receipts.
    pub(crate) fn is_written(&mut self, seq: Seq) -> Option<u64> {
        let ticket = self.by_seq.get(&seq)?;
        let sent = self.sent.get_mut(ticket)?;
        sent.is_written = true;
        Some(sent.deed.number)
    }

    /// The outcome came. Gives how many receipts are given up for it.
    pub(crate) fn settled(&mut self, ticket: Ticket, outcome: &Outcome) -> u64 {
        let Some(Sent { deed, seq, is_written }) = self.sent.remove(&ticket) else {
            return 0;
        };
        self.by_seq.remove(&seq);
        #[cfg(feature = "testing")]
        if matches!(outcome, Outcome::Refused(why) if *why != Refusal::StoreFailed) {
            inbox_types::given_back(seq);
        }
        match outcome {
            Outcome::Accepted(_) if is_written => 0,
            Outcome::Accepted(_) => {
                self.finish(&deed);
                0
            }
            Outcome::Refused(Refusal::LargerThanInbox | Refusal::OtherPayload) => self.give_up(&deed),
            Outcome::Refused(_) => self.put_off(deed),
        }
    }

    /// There is no room for it now. Gives how many receipts are given up for it.
    pub(crate) fn put_off(&mut self, deed: Deed) -> u64 {
        self.again.push_back(deed);
        match self.again.len() > RECEIPTS_WAITING_MAX {
            true => self.again.pop_front().map_or(0, |oldest| self.give_up(&oldest)),
            false => 0,
        }
    }

    fn give_up(&mut self, deed: &Deed) -> u64 {
        self.finish(deed);
        deed.telling.count
    }

    /// Nothing more is to be done about it.
    pub(crate) fn finish(&mut self, deed: &Deed) {
        self.done.push(deed.number);
    }

    /// What found no room and is to be tried again.
    pub(crate) fn take_again(&mut self) -> VecDeque<Deed> {
        mem::take(&mut self.again)
    }

    /// What the store is to forget now.
    pub(crate) fn take_done(&mut self) -> Vec<u64> {
        mem::take(&mut self.done)
    }

    /// Whether the store could forget something.
    pub(crate) fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// One more message of a client is unread. Gives how many there are.
    pub(crate) fn add_unread(&mut self, inbox: &ClientId) -> usize {
        let count = self.unread.entry(inbox.clone()).or_default();
        *count += 1;
        *count
    }

    /// One is not any more.
    pub(crate) fn take_unread(&mut self, inbox: &ClientId) {
        if let Some(count) = self.unread.get_mut(inbox) {
            *count -= 1;
            if *count == 0 {
                self.unread.remove(inbox);
            }
        }
    }

    /// Whether a client has anything unread.
    pub(crate) fn has_unread(&self, inbox: &ClientId) -> bool {
        self.unread.contains_key(inbox)
    }
}
