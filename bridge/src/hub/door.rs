//! The hub as sessions know it: an object that may some day be on another node.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use inbox_types::{
    Age, Amendment, AttachmentId, ClientId, Holds, Inboxes, Keeping, Kept, Message, Node, Now, Port, ReadMarks,
    Refusal, RefusedPublishes, Seq, Ticket, WantedRoom,
};

use super::Hub;

impl Hub {
    /// This hub, and what it shares with the sessions of its process.
    pub fn node(self: &Arc<Self>) -> Node {
        Node {
            inboxes: self.clone(),
            clock: self.clock.clone(),
            budgets: self.budgets.clone(),
            counters: self.counters.clone(),
            events: self.events.clone(),
            timings: self.timings.clone(),
            time_to_live: self.limits.time_to_live,
            holds: Holds {
                message: self.limits.commit_hold,
                removal: self.limits.ack_flush_interval,
            },
            epoch: self.epoch,
        }
    }
}

impl Inboxes for Hub {
    fn publish(&self, inbox: &ClientId, port: &Arc<dyn Port>, messages: &mut Vec<(Arc<Message>, Ticket)>, now: Now) {
        self.publish_all(inbox, port, messages.drain(..), now);
    }

    fn amend(&self, inbox: &ClientId, amendment: Amendment, message: Message, port: &Arc<dyn Port>, ticket: Ticket) {
        Hub::amend(self, inbox, amendment, message, port, ticket);
    }

    fn publish_qos0(&self, inbox: &ClientId, message: Arc<Message>) {
        Hub::publish_qos0(self, inbox, message);
    }

    fn attach(&self, inbox: &ClientId, port: Arc<dyn Port>, window: u16, in_flight: &[Seq]) -> AttachmentId {
        self.has_come(inbox);
        self.attach_again(inbox, port, window, in_flight)
    }

    fn detach(&self, inbox: &ClientId, attachment: AttachmentId) {
        Hub::detach(self, inbox, attachment);
        self.has_come(inbox);
    }

    fn acknowledge(&self, inbox: &ClientId, seqs: &[Seq]) {
        Hub::acknowledge(self, inbox, seqs);
    }

    fn reject(&self, inbox: &ClientId, seq: Seq, reason: u8) {
        Hub::reject(self, inbox, seq, reason);
    }

    fn mark_read(&self, inbox: &ClientId, marks: ReadMarks, port: &Arc<dyn Port>, ticket: Ticket) {
        Hub::mark_read(self, inbox, marks, port, ticket);
    }

    fn written(&self, inbox: &ClientId, seqs: &[Seq]) {
        Hub::written(self, inbox, seqs);
    }

    fn skip(&self, inbox: &ClientId, seq: Seq) {
        Hub::skip(self, inbox, seq);
    }

    fn resume(&self, inbox: &ClientId, attachment: AttachmentId) {
        Hub::resume(self, inbox, attachment);
    }

    fn notify(&self, sender: &ClientId, refused: &RefusedPublishes, port: &Arc<dyn Port>, ticket: Ticket) {
        Hub::notify(self, sender, refused, port, ticket);
    }

    fn forget_notice(&self, sender: &ClientId, refused: &RefusedPublishes) {
        Hub::forget_notice(self, sender, refused);
    }

    fn await_room(&self, sender: &ClientId, wanted: WantedRoom, why: Refusal) {
        Hub::await_room(self, sender, wanted, why);
    }

    fn keep_senders(&self, owner: &ClientId, said: Option<Bytes>, port: &Arc<dyn Port>, ticket: Ticket) {
        Hub::keep_senders(self, owner, said, port, ticket);
    }

    fn keep_acquaintances(&self, changes: Vec<(Bytes, Option<Bytes>)>) {
        Hub::keep_acquaintances(self, changes);
    }

    fn keep(&self, kept: Kept, key: Bytes, value: Option<Bytes>, waits: Option<(Arc<dyn Port>, Ticket)>) {
        self.keep_ordinary(kept, key, value, waits);
    }

    fn keep_from(&self, source: Arc<dyn Keeping>, by: Duration) {
        Hub::keep_from(self, source, by);
    }

    fn forget(&self, kept: Kept, prefix: Bytes) {
        Hub::forget(self, kept, prefix);
    }

    fn refuses(&self) -> Option<Refusal> {
        Some(self.refuses_all()?.1)
    }

    fn age(&self, now: Now) -> Age {
        Hub::age(self, now)
    }

    fn is_congested(&self) -> bool {
        Hub::is_congested(self)
    }

    fn is_troubled(&self) -> bool {
        self.is_store_troubled()
    }
}
