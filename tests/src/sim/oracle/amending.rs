//! Senders that change their minds (contract rule 12): what is replaced is replaced by something that is there, what is said to be taken back was
//! never sent, and nobody changes what another one sent.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Oracle};
use crate::Ack;
use crate::sim::ledger::{Ledger, Mail};

/// What clients asked to be amended, and what was.
#[derive(Default)]
pub(super) struct Amending {
    /// By connection and packet identifier: recalls that are not answered.
    recalls: BTreeMap<(usize, u16), (usize, usize, String)>,
    /// What senders asked to be amended: from, to, and `id`.
    asked: BTreeSet<(usize, usize, String)>,
    /// What left for a later message, and which that can have been.
    replaced: BTreeMap<usize, Vec<usize>>,
}

/// By which `id` its sender can change its mind about it.
fn name_of(mail: &Mail) -> Option<&String> {
    mail.id.as_ref().or(mail.amends.as_ref())
}

impl Oracle {
    /// A client takes a message back.
    pub(super) fn took_recall(&mut self, at: usize, packet_id: u16, from: usize, to: usize, id: &str) {
        let asked = (from, to, id.to_owned());
        self.amending.recalls.insert((at, packet_id), asked.clone());
        self.amending.asked.insert(asked);
    }

    /// A client published this message, which may replace another one.
    pub(super) fn took_edit(&mut self, mail: usize) {
        let mail = self.ledger.get(mail);
        if let Some(id) = &mail.amends {
            self.amending.asked.insert((mail.from, mail.to, id.clone()));
        }
    }

    /// The notice of a recall was given a place.
    pub(in crate::sim) fn recall_given(&mut self, from: usize, inbox: usize, seq: u64, now: u64, text: &[u8]) -> Check {
        let said: serde_json::Value = serde_json::from_slice(text).map_err(|error| format!("a notice says {error}"))?;
        let asked = (from, inbox, said["id"].as_str().unwrap_or_default().to_owned());
        if said["notice"] != "recall" || !self.amending.asked.contains(&asked) {
            return Err(format!("rule 12: nobody asked for {said}"));
        }
        let mail = self.ledger.sending(from, inbox, 1, None);
        self.given(mail, inbox, seq, now)?;
        self.notices.is_called(inbox, text, mail);
        Ok(())
    }

    /// A message left for a later one, or was taken back.
    pub(super) fn withdrawn(&mut self, inbox: usize, seq: u64, why: &str) -> Check {
        let Some(at) = self.ledger.at(inbox, seq) else {
            return Ok(());
        };
        let mail = self.ledger.get(at);
        let is_later = |other: &usize| {
            let other = self.ledger.get(*other);
            other.from == mail.from
                && match why {
                    // An edit has the key of what it replaced.
                    "collapsed" => other.key.is_some() && (other.key == mail.key || mail.amends.is_some()),
                    _ => other.amends.is_some() && other.amends.as_ref() == name_of(mail),
                }
        };
        let later: Vec<_> = self.ledger.between(inbox, seq, u64::MAX).filter(is_later).collect();
        let is_asked = |id: &String| self.amending.asked.contains(&(mail.from, mail.to, id.clone()));
        let may = match why {
            "recalled" => name_of(mail).is_some_and(is_asked),
            _ => !later.is_empty(),
        };
        if !may {
            return Err(format!("rule 12: m{at} {why}, and its sender did not want that"));
        }
        if why != "recalled" {
            self.amending.replaced.insert(at, later);
        }
        Ok(())
    }

    /// A message left by another rule: a crash had undone that it left for a later one.
    pub(super) fn left_otherwise(&mut self, inbox: usize, seq: u64) {
        if let Some(at) = self.ledger.at(inbox, seq) {
            self.amending.replaced.remove(&at);
        }
    }

    /// A recall was answered.
    pub(super) fn recall_answered(&mut self, at: usize, ack: &Ack) -> Check {
        let Some((from, to, id)) = self.amending.recalls.remove(&(at, ack.packet_id)) else {
            return Ok(());
        };
        match (ack.reason, ack.props.user("state")) {
            (0, Some("told")) => {
                let seq = ack.props.user("seq").and_then(|seq| seq.parse().ok());
                let notice = seq.and_then(|seq| self.ledger.at(to, seq));
                let notice = notice.ok_or_else(|| format!("rule 12: {id} is said to be told with {seq:?}"))?;
                self.ledger.get_mut(notice).promised = true;
                Ok(())
            }
            (0, Some("recalled")) => self.is_taken_back(from, to, &id),
            (0, other) => Err(format!("rule 12: a recall is {other:?}")),
            (0x83 | 0x87 | 0x97, _) => Ok(()),
            (other, _) => Err(format!("rule 12: a recall was answered with {other:#04x}")),
        }
    }

    /// Something that its sender called so was in the inbox, is not any more, and was never sent.
    fn is_taken_back(&mut self, from: usize, to: usize, id: &str) -> Check {
        let of_name = |at: &usize| {
            let mail = self.ledger.get(*at);
            mail.from == from && name_of(mail).is_some_and(|name| name == id)
        };
        let all: Vec<_> = self.ledger.between(to, 0, u64::MAX).filter(of_name).collect();
        if let Some(seen) = all
            .iter()
            .find(|at| self.ledger.left_unread(**at) && self.ledger.get(**at).sent > 0)
        {
            return Err(format!("rule 12: m{seen} is said to be taken back, and was sent"));
        }
        match all.iter().find(|at| self.ledger.left_unread(**at)) {
            Some(_) => Ok(()),
            None => Err(format!(
                "rule 12: {id} of c{from} is said to be taken back, and did not leave"
            )),
        }
    }

    /// An edit was acknowledged: it says which of the two it is.
    pub(super) fn edit_answered(&mut self, mail: usize, ack: &Ack) -> Check {
        if self.ledger.get(mail).amends.is_none() {
            return Ok(());
        }
        match ack.props.user("state") {
            Some("edited") => self.is_in_form(mail, false),
            Some("told") => self.is_in_form(mail, true),
            other => Err(format!("rule 12: the edit m{mail} is {other:?}")),
        }
    }

    /// An edit has the mark that its reader had the earlier message, or it has not; always the same.
    pub(super) fn is_in_form(&mut self, mail: usize, is_marked: bool) -> Check {
        let known = &mut self.ledger.get_mut(mail).is_marked;
        match known.replace(is_marked) {
            Some(before) if before != is_marked => Err(format!("rule 12: the edit m{mail} has the mark, and has not")),
            _ => Ok(()),
        }
    }

    /// A message with a key was acknowledged, and nobody read meanwhile: it is the only one.
    pub(super) fn check_collapsed(&self, mail: usize) -> Check {
        let new = self.ledger.get(mail);
        // One that left meanwhile, for another reason, takes nobody's place.
        let takes_place = new.key.is_some() && !new.had_reader && !self.ledger.left_unread(mail);
        let Some(seq) = new.seq.filter(|_| takes_place) else {
            return Ok(());
        };
        let is_left = |at: &usize| {
            let mail = self.ledger.get(*at);
            mail.from == new.from && mail.key == new.key && self.ledger.must_be_there(*at)
        };
        match self.ledger.between(new.to, 0, seq).find(is_left) {
            Some(at) => Err(format!("rule 12: m{at} is there still, and m{mail} takes its place")),
            None => Ok(()),
        }
    }
}

impl Amending {
    /// With everything read: what was replaced came, or something in its place.
    pub(super) fn check_replaced(&self, ledger: &Ledger) -> Check {
        let has_come = |at: usize| ledger.get(at).sent > 0 || ledger.left_unread(at) || ledger.is_gone(at);
        for (at, later) in &self.replaced {
            let mail = ledger.get(*at);
            if mail.promised && mail.sent == 0 && !later.iter().any(|later| has_come(*later)) {
                return Err(format!(
                    "rule 12: m{at} left for one of {later:?}, and none of them came"
                ));
            }
        }
        Ok(())
    }
}
