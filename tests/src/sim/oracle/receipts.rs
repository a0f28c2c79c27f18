//! Receipts (contract rule 11): what a sender is told of its messages is true, and it is told.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Oracle};
use crate::sim::ledger::Ledger;

/// What was told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Delivered,
    Read,
    /// It left in another way.
    Otherwise,
}

/// What receipts say, and what they must.
#[derive(Default)]
pub(super) struct Receipts {
    /// By the inbox and the seq of the message that tells it.
    made: BTreeMap<(usize, u64), Vec<(usize, State)>>,
    /// Told: a sender was sent it, or it left by a rule that somebody was told about.
    told: BTreeSet<(usize, State)>,
    /// Messages of which their recipient said that they were read.
    read: BTreeSet<usize>,
    /// By connection and packet identifier: those of which it just said so, and which had durably or surely left.
    marking: BTreeMap<(usize, u16), Vec<usize>>,
    must_be_read: BTreeSet<usize>,
}

impl Receipts {
    /// The application of an inbox has read everything up to here.
    /// What was accepted after `since` is remembered until now.
    pub(super) fn marks(
        &mut self,
        (link, packet_id): (usize, u16),
        inbox: usize,
        up_to: u64,
        since: u64,
        ledger: &Ledger,
    ) {
        // One that is acknowledged before the broker looks counts, too.
        let all: Vec<_> = ledger.between(inbox, 0, up_to.saturating_add(1)).collect();
        self.read.extend(&all);
        let must = all.into_iter().filter(|at| {
            let mail = ledger.get(*at);
            mail.wants.1
                && mail.taken
                && !ledger.left_unread(*at)
                && ledger.is_gone(*at)
                && ledger.accepted_at(*at) > since
        });
        self.marking.insert((link, packet_id), must.collect());
    }

    /// That was acknowledged.
    pub(super) fn marked(&mut self, link: usize, packet_id: u16) {
        self.must_be_read
            .extend(self.marking.remove(&(link, packet_id)).into_iter().flatten());
    }

    pub(super) fn is_told_by(&mut self, inbox: usize, seq: u64, told: Vec<(usize, State)>) {
        self.made.insert((inbox, seq), told);
    }

    /// A message was sent to its reader, or left with notice.
    pub(super) fn seen(&mut self, inbox: usize, seq: u64) {
        self.told.extend(self.made.get(&(inbox, seq)).into_iter().flatten());
    }

    /// With everything read: each sender knows what it asked for.
    pub(super) fn check_told(&self, ledger: &Ledger) -> Check {
        for at in 0..ledger.len() {
            let mail = ledger.get(at);
            let (wants_delivered, wants_read) = mail.wants;
            // Of what was written with QoS 0, nobody knows whether it had settled when its connection or the broker ended.
            if !mail.promised || mail.being_written || !(wants_delivered || wants_read) {
                continue;
            }
            let is_told = |state| self.told.contains(&(at, state));
            let is_known = match mail.rejected || ledger.left_unread(at) {
                true => is_told(State::Otherwise) || is_told(State::Delivered) || (mail.taken && !wants_delivered),
                false => !wants_delivered || is_told(State::Delivered),
            };
            if !is_known {
                return Err(format!("rule 11: the sender of m{at} never learnt what became of it"));
            }
            if self.must_be_read.contains(&at) && !is_told(State::Read) {
                return Err(format!("rule 11: m{at} was read, and its sender never learnt it"));
            }
        }
        Ok(())
    }
}

impl Oracle {
    /// A message with receipts was put into an inbox: each is true, and asked for.
    pub(super) fn receipts_made(
        &mut self,
        inbox: usize,
        said: &serde_json::Value,
        clients: &[String],
    ) -> Result<Vec<(usize, State)>, String> {
        let mut told = Vec::new();
        for one in said["receipts"].as_array().ok_or("receipts are a list")? {
            let of = clients.iter().position(|name| one["topic"] == name.as_str());
            let seq = one["seq"].as_u64().unwrap_or_default();
            let Some(at) = of.and_then(|of| self.ledger.at(of, seq)) else {
                return Err(format!("rule 11: a receipt is about nothing: {one}"));
            };
            let mail = self.ledger.get(at);
            let (delivered, read) = mail.wants;
            let state = match one["state"].as_str() {
                Some("delivered") if delivered && (mail.taken || mail.being_written) => State::Delivered,
                Some("read") if read && (mail.taken || mail.being_written) && self.receipts.read.contains(&at) => {
                    State::Read
                }
                Some("refused") if mail.rejected => State::Otherwise,
                Some("expired" | "dropped") if self.ledger.left_unread(at) => State::Otherwise,
                _ => return Err(format!("rule 11: m{at} asks for {:?}, and is told {one}", mail.wants)),
            };
            if mail.from != inbox || one["id"].as_str() != mail.id.as_deref() || !(delivered || read) {
                return Err(format!("rule 11: m{at} is not what {one} says"));
            }
            if mail.being_written {
                // With QoS 0, and it has settled: the oracle gives that some time.
                self.ledger.gone(at, self.tick, None);
            }
            self.ledger.has_durably_left(at)?;
            told.push((at, state));
        }
        Ok(told)
    }
}
