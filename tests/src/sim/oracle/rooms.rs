//! Senders that ask to be told when there is room again (contract rule 3): not without having asked, once, and before all is over.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Oracle};

/// A sender, and an inbox.
type Pair = (usize, usize);

/// What was asked for.
#[derive(Default)]
pub(super) struct Rooms {
    /// Publishes that ask for it and have no answer yet, and their link.
    open: BTreeMap<usize, usize>,
    /// Of these, those whose sender was told meanwhile: their own refusal may have been what it was told of.
    told: BTreeSet<usize>,
    /// Who was refused since it was told last, and whether it has to be told.
    refused: BTreeMap<Pair, bool>,
}

impl Rooms {
    pub(super) fn asked(&mut self, mail: usize, link: usize) {
        self.open.insert(mail, link);
    }

    /// A publish was answered. With `must`, it was refused by an inbox and nothing else.
    pub(super) fn answered(&mut self, mail: usize, pair: Pair, was_refused: bool, must: bool) {
        let asked = self.open.remove(&mail).is_some();
        let was_told = self.told.remove(&mail);
        if asked && was_refused {
            *self.refused.entry(pair).or_default() |= must && !was_told;
        }
    }

    /// Its publishes will have no answers. The broker may have known one already.
    pub(super) fn ended(&mut self, link: usize, pair: impl Fn(usize) -> Pair) {
        let (told, refused) = (&mut self.told, &mut self.refused);
        self.open.retain(|mail, other| {
            let goes_on = *other != link;
            if !goes_on {
                told.remove(mail);
                refused.entry(pair(*mail)).or_default();
            }
            goes_on
        });
    }

    /// None of it outlives the broker's process.
    pub(super) fn crashed(&mut self) {
        *self = Rooms::default();
    }

    fn told(&mut self, who: Pair, pair: impl Fn(usize) -> Pair) -> Check {
        let open: Vec<_> = self.open.keys().copied().filter(|mail| pair(*mail) == who).collect();
        if self.refused.remove(&who).is_none() && open.is_empty() {
            let (from, to) = who;
            return Err(format!(
                "rule 3: c{from} was told of room in the inbox of c{to}, and did not ask since it was told last"
            ));
        }
        self.told.extend(open);
        Ok(())
    }

    /// With everything read: everybody who asked was told.
    pub(super) fn check_told(&self) -> Check {
        match self.refused.iter().find(|(_, must)| **must) {
            Some(((from, to), _)) => Err(format!(
                "rule 3: c{from} was never told that there is room again in the inbox of c{to}"
            )),
            None => Ok(()),
        }
    }
}

impl Oracle {
    /// A notice of room was given a place in the inbox of `sender`.
    pub(super) fn room_told(&mut self, sender: usize, topic: &str, clients: &[String]) -> Check {
        let Some(to) = clients.iter().position(|name| name == topic) else {
            return Err(format!(
                "rule 3: c{sender} was told of room in {topic:?}, which is no inbox"
            ));
        };
        let ledger = &self.ledger;
        self.rooms.told((sender, to), |mail| pair(ledger, mail))
    }
}

/// Who sent it, and to whom.
pub(super) fn pair(ledger: &super::Ledger, mail: usize) -> Pair {
    let mail = ledger.get(mail);
    (mail.from, mail.to)
}
