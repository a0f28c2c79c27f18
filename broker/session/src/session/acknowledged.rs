//! The client's answers to what it is sent.

use std::num::NonZeroU64;
use std::sync::Arc;

use pubsub::Publisher;

use super::in_flight::{Sent, What};
use super::{Ending, Session};
use crate::closed::Closed;
use mqtt_codec::{Ack, AckKind, PacketId, reason};

impl Session {
    pub(super) fn puback(&mut self, ack: Ack) -> Result<(), Ending> {
        match self.outgoing.get_mut(ack.packet_id).map(|sent| sent.awaits) {
            // For nothing: it may answer what a connection before this one sent.
            None => {
                tracing::debug!(client = %self.id, packet_id = %ack.packet_id, "PUBACK for a packet that is not in flight");
                Ok(())
            }
            Some(AckKind::PubAck) => {
                self.finish(ack.packet_id, ack.reason);
                Ok(())
            }
            Some(_) => Err(Closed::WrongPubAck.into()),
        }
    }

    pub(super) fn pubrec(&mut self, ack: Ack) -> Result<(), Ending> {
        let refused = ack.reason >= reason::UNSPECIFIED_ERROR;
        let answer = match self.outgoing.get_mut(ack.packet_id) {
            None => reason::PACKET_IDENTIFIER_NOT_FOUND,
            Some(sent) if sent.awaits == AckKind::PubAck => return Err(Closed::WrongPubRec.into()),
            Some(_) if refused => {
                // The client does not want it and will not have it again (MQTT-4.3.3-4).
                self.finish(ack.packet_id, ack.reason);
                return Ok(());
            }
            // It comes when that is durable.
            Some(Sent {
                what: What::Taken(_), ..
            }) => return Ok(()),
            Some(sent) => {
                sent.awaits = AckKind::PubComp;
                if let (true, What::Mail(seq)) = (inbox_types::fault!(RemoveOnPubRec), &sent.what) {
                    self.acknowledged.push(*seq);
                }
                // Released it is not sent again, so an ordinary message's bytes are not needed any more.
                if let What::Ordinary(ordinary) = &sent.what {
                    if let Some(place) = ordinary.kept.filter(|_| !inbox_types::fault!(ReleaseBeforeDurable)) {
                        self.outgoing.replace(ack.packet_id, What::Taken(place));
                        self.note_taken(place);
                        return Ok(());
                    }
                    let kept = ordinary.kept;
                    self.outgoing.replace(ack.packet_id, What::Released(kept));
                }
                reason::SUCCESS
            }
        };
        if !refused {
            self.write_pubrel(ack.packet_id, answer);
        }
        Ok(())
    }

    pub(super) fn pubcomp(&mut self, ack: Ack) -> Result<(), Ending> {
        match self.outgoing.get_mut(ack.packet_id) {
            None => Ok(()),
            // Of what is taken it was not told yet that it is to release it.
            Some(sent) if sent.awaits == AckKind::PubComp && !matches!(sent.what, What::Taken(_)) => {
                self.finish(ack.packet_id, reason::SUCCESS);
                Ok(())
            }
            Some(_) => Err(Closed::WrongPubComp.into()),
        }
    }

    /// The client is done with a message. It had it, and with a reason code of 0x80 or above does not want it.
    fn finish(&mut self, packet_id: PacketId, reason: u8) {
        self.note_landed(packet_id);
        match self.outgoing.remove(packet_id).map(|sent: Sent| sent.what) {
            Some(What::Mail(seq)) if reason >= reason::UNSPECIFIED_ERROR => self.rejected.push((seq, reason)),
            Some(What::Mail(seq)) => self.acknowledged.push(seq),
            Some(What::Ordinary(ordinary)) => self.done.extend(ordinary.kept),
            Some(What::Taken(place)) => self.done.push(place),
            Some(What::Released(kept)) => {
                self.done.extend(kept);
                // Its identifier is free.
                self.outbox.try_ordinary();
            }
            None => {}
        }
    }

    /// The client has the ordinary message at this place of the journal, or is not to have it.
    pub(super) fn kept_no_more(&self, kept: Option<NonZeroU64>) {
        drop(self.take_publisher(kept));
    }

    /// The same, where somebody else is to have the message, and its publisher goes on to wait.
    pub(super) fn take_publisher(&self, kept: Option<NonZeroU64>) -> Option<Arc<Publisher>> {
        let mut publishers = Vec::new();
        self.outbox.journal()?.done(&[kept?], &mut publishers);
        publishers.pop()
    }

    /// Tells the journal what the client has acknowledged.
    fn tell_done(&mut self) {
        if self.done.is_empty() {
            return;
        }
        if let Some(journal) = self.outbox.journal() {
            let mut publishers = Vec::with_capacity(self.done.len());
            journal.done(&self.done, &mut publishers);
            Publisher::let_go_of(&mut publishers);
        }
        self.done.clear();
    }

    /// Tells the journal and the inbox what the client has acknowledged. To be done before the inbox starts over, or that would come again.
    pub(super) fn tell_acknowledged(&mut self) {
        self.tell_done();
        if self.acknowledged.is_empty() && self.rejected.is_empty() {
            return;
        }
        let inboxes = &self.shared.node.inboxes;
        if !self.acknowledged.is_empty() {
            inboxes.acknowledge(&self.id, &self.acknowledged);
        }
        for (seq, reason) in self.rejected.drain(..) {
            inboxes.reject(&self.id, seq, reason);
            self.acknowledged.push(seq);
        }
        if self.outgoing.mail_repeats {
            // It may have come from the inbox again meanwhile. Not before the inbox knows: it delivers from other threads.
            self.acknowledged.iter().for_each(|seq| self.outbox.withdraw(*seq));
        }
        self.acknowledged.clear();
    }
}
