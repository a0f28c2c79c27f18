//! What the broker may answer to a publish (contract rule 3), and in which order.

use super::{Check, Oracle, rooms};
use crate::{Ack, AckKind};

impl Oracle {
    pub(super) fn ack(&mut self, at: usize, ack: &Ack) -> Check {
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let session = &mut self.sessions[link.client];
        let mail = match ack.kind {
            AckKind::PubAck => match link.answers_1.pop_front() {
                Some((packet_id, mail)) if packet_id == ack.packet_id => mail,
                other => {
                    return Err(format!(
                        "MQTT-4.6.0-2: PUBACK {} came, and {other:?} is first",
                        ack.packet_id
                    ));
                }
            },
            AckKind::PubRec => {
                if link.answers_2.front() == Some(&ack.packet_id) {
                    link.answers_2.pop_front();
                } else if !link.repeated.contains(&ack.packet_id) {
                    let first = link.answers_2.front();
                    return Err(format!(
                        "MQTT-4.6.0-2: PUBREC {} came, and {first:?} is first",
                        ack.packet_id
                    ));
                }
                let mail = session.open.get(&ack.packet_id).copied().flatten();
                if ack.reason >= 0x80 {
                    session.open.remove(&ack.packet_id);
                }
                mail
            }
            AckKind::PubRel | AckKind::PubComp => return Ok(()),
        };
        if ack.reason == 0 && ack.kind == AckKind::PubAck {
            self.receipts.marked(at, ack.packet_id);
        }
        if ack.kind == AckKind::PubAck {
            self.recall_answered(at, ack)?;
        }
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let asked = link.asked.remove(&ack.packet_id);
        let owner = link.client;
        if let Some(tick) = asked.filter(|_| ack.reason == 0) {
            self.list_is_safe(owner, tick);
        }
        let Some(mail) = mail else { return Ok(()) };
        if self.ledger.get(mail).promised && matches!(ack.reason, 0x83 | 0x97) {
            // The repetition of what is safe: there is no room for anything now.
            return Ok(());
        }
        self.check_place(mail, ack)?;
        // Limits on strangers are answered so, too, and what is sent again with QoS 2 stands for a publish of an earlier connection. With a
        // small budget not everybody is let in at the end, to read what takes up room.
        let must = self.access.is_none() && ack.kind == AckKind::PubAck && !self.terms.has_little_memory;
        let pair = rooms::pair(&self.ledger, mail);
        self.rooms.answered(mail, pair, ack.reason == 0x97, must);
        if ack.reason != 0 {
            self.check_answer(mail, ack)?;
        }
        match ack.reason {
            0 => {
                self.promises += 1;
                if self.promise_notice(mail) {
                    return Ok(());
                }
                self.check_answer(mail, ack)?;
                self.edit_answered(mail, ack)?;
                self.ledger.get_mut(mail).promised = true;
                self.check_collapsed(mail)?;
                self.check_passed_over(mail)?;
                self.check_share(mail)
            }
            // What the store may hold in spite of its failure may come.
            0x83 => Ok(()),
            0x87 | 0x97 => {
                // Of several transmissions another one may be in the inbox.
                let mail = self.ledger.get_mut(mail);
                mail.refused = !mail.repeated;
                Ok(())
            }
            other => Err(format!("rule 3: a publish was answered with {other:#04x}")),
        }
    }

    /// PUBACK says where a message with an `id` is (rule 8): where it was put first, and that it was read only if it was.
    fn check_place(&self, mail: usize, ack: &Ack) -> Check {
        let mail_at = mail;
        let mail = self.ledger.get(mail);
        let told = ack.props.user("seq").and_then(|seq| seq.parse().ok());
        if ack.kind != AckKind::PubAck || ack.reason != 0 || mail.id.is_none() {
            return Ok(());
        }
        if told != mail.seq {
            return Err(format!(
                "rule 8: m{mail_at} has the place {:?}, and its sender was told {told:?}",
                mail.seq
            ));
        }
        match ack.props.user("state") {
            Some("stored") => Ok(()),
            Some("delivered") if self.ledger.was_read(mail_at) => Ok(()),
            other => Err(format!("rule 8: m{mail_at} is said to be {other:?}")),
        }
    }

    /// A publish was just promised: with it, its sender holds no more than its share, and one message at least. What its reader was sent before
    /// anybody counted does not count.
    fn check_share(&self, mail: usize) -> Check {
        let Some(max) = self.terms.sender_messages_max else {
            return Ok(());
        };
        let new = self.ledger.get(mail);
        let held = self.ledger.between(new.to, 0, u64::MAX).filter(|at| {
            let mail = self.ledger.get(*at);
            mail.from == new.from && mail.sent == 0 && !mail.had_reader && self.ledger.must_be_there(*at)
        });
        let held: Vec<_> = held.collect();
        if new.sent == 0 && !new.had_reader && held.len() as u64 > max.max(1) {
            return Err(format!(
                "rule 3: c{} holds {held:?} in the inbox of c{}, where its share is {max} messages",
                new.from, new.to
            ));
        }
        Ok(())
    }

    /// A publish was just promised: a reader that is beyond it must have had it.
    fn check_passed_over(&self, mail: usize) -> Check {
        let known = self.ledger.get(mail);
        if known.seq.is_none() {
            return Err(format!("rule 3: m{mail} was acknowledged, and was never accepted"));
        }
        Ok(())
    }
}
