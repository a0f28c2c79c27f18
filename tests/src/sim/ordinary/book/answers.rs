//! Answers to publishers: what they promise.

use super::Book;
use crate::sim::Check;
use crate::{Ack, AckKind};

/// No matching subscribers.
const NOBODY: u8 = 0x10;

impl Book {
    pub(super) fn answer(&mut self, at: usize, ack: &Ack) -> Check {
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let session = &mut self.sessions[link.client];
        let answered = match ack.kind {
            AckKind::PubAck | AckKind::PubRec => {
                let place = link.answers.iter().position(|(id, _)| *id == ack.packet_id);
                let here = place.and_then(|place| link.answers.remove(place));
                let message = here.map(|(_, message)| message);
                let known = session.open.get(&ack.packet_id).copied();
                let repeated = known.filter(|_| link.repeated.contains(&ack.packet_id));
                message.or(repeated)
            }
            AckKind::PubRel | AckKind::PubComp => return Ok(()),
        };
        let Some(message) = answered else {
            return Err(format!("{:?} {} answers no publish", ack.kind, ack.packet_id));
        };
        if ack.reason >= 0x80 && ack.kind == AckKind::PubRec {
            session.open.remove(&ack.packet_id);
        }
        self.messages[message].through.get_or_insert(self.tick);
        match ack.reason {
            0 | NOBODY => self.promise(message, ack.reason == NOBODY),
            // The disk has failed.
            0x83 | 0x97 => Ok(()),
            other => Err(format!("a publish to an ordinary topic was answered with {other:#04x}")),
        }
    }

    fn promise(&mut self, at: usize, to_nobody: bool) -> Check {
        if self.messages[at].promised.is_some() {
            return Ok(());
        }
        self.promises += 1;
        self.messages[at].promised = Some(self.tick);
        let message = &self.messages[at];
        if message.clears {
            return Ok(());
        }
        for client in 0..self.sessions.len() {
            let session = &mut self.sessions[client];
            if !session.must_get(&self.messages[at]) {
                continue;
            }
            if to_nobody {
                return Err(format!(
                    "o{at} is said to reach nobody, and t/{client} is subscribed to it"
                ));
            }
            let fate = session.fate(at);
            fate.must = fate.gone.is_none() && fate.released != Some(self.run);
            let mine = self
                .links
                .iter()
                .find(|(_, link)| link.client == client && link.is_open);
            if let Some((link, _)) = mine {
                self.check_left_out(*link, at)?;
            }
        }
        Ok(())
    }

    /// A message that must come is not behind one of the same publisher that came over this connection.
    fn check_left_out(&self, at: usize, message: usize) -> Check {
        let (link, known) = (&self.links[&at], &self.messages[message]);
        let fate = &self.sessions[link.client].fates[&message];
        let last = link.last.get(&known.from).copied().unwrap_or_default();
        let is_behind = known.taken.is_some_and(|(taken, _)| taken < last);
        match fate.must && fate.link != at && is_behind && !known.again {
            true => Err(format!(
                "rule 13: o{message} was acknowledged, and is left out of what t/{} gets",
                link.client
            )),
            false => Ok(()),
        }
    }

    /// Of what this publisher sent before `taken`, all that must have come over this connection has.
    pub(super) fn check_skipped(&self, at: usize, from: usize, taken: u64) -> Check {
        let link = &self.links[&at];
        let is_before = |message: &usize| {
            let known = &self.messages[*message];
            known.from == from && !known.again && known.taken.is_some_and(|(theirs, _)| theirs < taken)
        };
        let fates = self.sessions[link.client].fates.iter();
        let left_out = fates.filter(|(message, fate)| fate.must && fate.link != at && is_before(message));
        match left_out.map(|(message, _)| message).next() {
            Some(message) => Err(format!(
                "rule 13: o{message} was acknowledged, and is left out of what t/{} gets",
                link.client
            )),
            None => Ok(()),
        }
    }

    /// With everything delivered: all is answered.
    pub(in crate::sim) fn check_quiet(&self) -> Check {
        for (at, link) in &self.links {
            if let Some((packet_id, _)) = link.answers.front() {
                return Err(format!("link {at} never got an answer to its publish {packet_id}"));
            }
            if !link.subscribes.is_empty() || !link.unsubscribes.is_empty() {
                return Err(format!("link {at} never got its SUBACK or UNSUBACK"));
            }
            if let Some((topic, _)) = link.owed.first_key_value() {
                return Err(self.not_retained(link.client, *topic));
            }
        }
        Ok(())
    }

    /// With everything read and acknowledged: nothing that was promised is left anywhere.
    pub(in crate::sim) fn check_empty(&self) -> Check {
        for (client, session) in self.sessions.iter().enumerate() {
            if let Some((message, _)) = session.fates.iter().find(|(_, fate)| fate.must) {
                return Err(format!(
                    "rule 13: o{message} was acknowledged to its publisher and never came to t/{client}"
                ));
            }
        }
        Ok(())
    }
}
