//! Notices: a refused publish of MQTT 3.1.1 is acknowledged, and its sender finds the refusal in its own inbox (contract rule 3).

use std::collections::{BTreeMap, BTreeSet};

use inbox_bridge::Message;
use sha2::{Digest, Sha256};

use super::{Check, Oracle};
use crate::sim::client::payload;
use crate::sim::ledger::Ledger;

/// What notices say, and to whom that was promised.
#[derive(Default)]
pub(super) struct Notices {
    /// What was sent so far, by the hash of its payload, and how much of the ledger that is.
    by_hash: BTreeMap<String, usize>,
    hashed: usize,
    /// Of the longest one.
    pub(super) bytes_max: usize,
    /// By whose inbox they are in, and their payload: while time stands still, several say the same.
    by_payload: BTreeMap<(usize, Vec<u8>), Vec<usize>>,
    /// By inbox and seq.
    by_place: BTreeMap<(usize, u64), usize>,
    /// Places that were given back before they were seen here.
    given_back: BTreeSet<u64>,
    /// In which run of the broker it was given a place.
    run_of: BTreeMap<usize, u32>,
    /// Which messages a notice names.
    names: BTreeMap<usize, Vec<usize>>,
    /// Messages that some notice names.
    named: BTreeSet<usize>,
    /// Of these, those whose publish was acknowledged.
    promised: BTreeSet<usize>,
    /// Messages whose refusal their sender has seen, or whose notice left by a rule that somebody was told about.
    told: BTreeSet<usize>,
}

impl Notices {
    /// The notice that a client is sent behind `cursor`: of those that say the same, the first that is there still.
    pub(super) fn find(&self, client: usize, payload: &[u8], cursor: u64, ledger: &Ledger) -> Option<usize> {
        let all = self.by_payload.get(&(client, payload.to_vec()))?;
        let is_next = |at: &&usize| ledger.get(**at).seq > Some(cursor) && !ledger.is_gone(**at);
        all.iter().find(is_next).or(all.last()).copied()
    }

    /// A message of a client that says no number is in an inbox.
    pub(super) fn is_called(&mut self, inbox: usize, text: &[u8], mail: usize) {
        let alike = self.by_payload.entry((inbox, text.to_vec())).or_default();
        alike.push(mail);
        self.bytes_max = self.bytes_max.max(text.len());
    }

    pub(super) fn delivered(&mut self, notice: usize) {
        self.told.extend(self.names.get(&notice).into_iter().flatten());
    }

    pub(super) fn left(&mut self, inbox: usize, seq: u64) {
        if let Some(notice) = self.by_place.get(&(inbox, seq)).copied() {
            self.delivered(notice);
        }
    }

    /// With everything read: every sender has seen what became of what it was told yes for.
    pub(super) fn check_told(&self) -> Check {
        match self.promised.difference(&self.told).next() {
            Some(mail) => Err(format!(
                "rule 3: m{mail} was refused and acknowledged, and its sender never got the notice"
            )),
            None => Ok(()),
        }
    }
}

/// Where clients publish what is no mail.
const ORDINARY_TOPIC: &str = "ordinary/topic";

impl Oracle {
    /// A notice was given a place.
    pub(in crate::sim) fn notice_given(
        &mut self,
        inbox: usize,
        seq: u64,
        now: u64,
        notice: &Message,
        clients: &[String],
    ) -> Check {
        let text = &notice.payload;
        let said: serde_json::Value = serde_json::from_slice(text).map_err(|error| format!("a notice says {error}"))?;
        if said["notice"] == "receipt" {
            let told = self.receipts_made(inbox, &said, clients)?;
            self.void_earlier_runs(inbox, text);
            self.keep_notice(inbox, seq, now, text, Vec::new())?;
            if let Some(at) = self.ledger.at(inbox, seq) {
                self.ledger.get_mut(at).id = notice.id.as_deref().map(str::to_owned);
            }
            self.receipts.is_told_by(inbox, seq, told);
            return Ok(());
        }
        if said["notice"] == "room" {
            self.room_told(inbox, said["topic"].as_str().unwrap_or_default(), clients)?;
            return self.keep_notice(inbox, seq, now, text, Vec::new());
        }
        let to = clients.iter().position(|name| said["topic"] == name.as_str());
        let hashes: BTreeSet<_> = said["messages"]
            .as_array()
            .ok_or("a notice names no messages")?
            .iter()
            .filter_map(|one| one["sha256"].as_str())
            .collect();
        for at in self.notices.hashed..self.ledger.len() {
            let hash = hash(&payload(at, self.ledger.get(at).length));
            self.notices.by_hash.insert(hash, at);
        }
        self.notices.hashed = self.ledger.len();
        let is_theirs = |at: &usize| self.ledger.get(*at).from == inbox && Some(self.ledger.get(*at).to) == to;
        let mails = hashes
            .iter()
            .filter_map(|hash| self.notices.by_hash.get(*hash).copied());
        let mails: Vec<_> = mails.filter(is_theirs).collect();
        // Ordinary messages are not in the ledger. They are refused when the memory budget is used up.
        let is_ordinary = said["topic"] == ORDINARY_TOPIC;
        if mails.len() != hashes.len() && !is_ordinary {
            return Err(format!(
                "rule 3: a notice names messages that c{inbox} never sent: {said}"
            ));
        }
        if said["reason"] == 0x87 {
            mails.iter().try_for_each(|mail| self.check_told(*mail, 0x87))?;
        }
        self.notices.named.extend(&mails);
        self.keep_notice(inbox, seq, now, text, mails)
    }

    /// What is told again after a crash was not durable before: it is forgotten by the commit that writes it.
    fn void_earlier_runs(&mut self, inbox: usize, text: &[u8]) {
        let Notices { by_payload, run_of, .. } = &mut self.notices;
        if let Some(alike) = by_payload.get_mut(&(inbox, text.to_vec())) {
            alike.retain(|at| run_of.get(at) == Some(&self.ledger.run()));
        }
    }

    /// A receipt found no room after all: its place is nobody's. There may be none, where the same step gave and took it.
    pub(in crate::sim) fn notice_given_back(&mut self, seq: u64) {
        let place = self.notices.by_place.keys().find(|(_, theirs)| *theirs == seq).copied();
        let Some(notice) = place.and_then(|place| self.notices.by_place.remove(&place)) else {
            self.notices.given_back.insert(seq);
            return;
        };
        for alike in self.notices.by_payload.values_mut() {
            alike.retain(|at| *at != notice);
        }
    }

    /// A notice about these messages is in an inbox.
    fn keep_notice(&mut self, inbox: usize, seq: u64, now: u64, text: &[u8], mails: Vec<usize>) -> Check {
        let notice = self.ledger.given_to_notice(inbox, seq, now, self.tick)?;
        if self.notices.given_back.remove(&seq) {
            return Ok(());
        }
        self.owners[inbox].gets_mail(now);
        let alike = self.notices.by_payload.entry((inbox, text.to_vec())).or_default();
        alike.push(notice);
        self.notices.run_of.insert(notice, self.ledger.run());
        self.notices.by_place.insert((inbox, seq), notice);
        self.notices.bytes_max = self.notices.bytes_max.max(text.len());
        self.notices.names.insert(notice, mails);
        Ok(())
    }

    /// A publish was acknowledged. Tells whether that is because of a notice, which names it or the transmission that repeats it.
    pub(super) fn promise_notice(&mut self, mail: usize) -> bool {
        let is_it = |named: &&usize| **named == mail || self.ledger.get(**named).repeats == Some(mail);
        // The last transmission that is named: the notice about an earlier one may have been refused in its turn.
        match self.notices.named.iter().rev().find(is_it).copied() {
            Some(named) => {
                self.notices.promised.insert(named);
                true
            }
            None => false,
        }
    }
}

fn hash(payload: &[u8]) -> String {
    Sha256::digest(payload)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
