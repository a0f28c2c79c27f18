//! Senders that change their minds about messages (contract rule 12).

use std::sync::Arc;

use super::Hub;
use crate::amendments;
use crate::mailbox::Origin;
use inbox_types::{Amendment, ClientId, Message, Port, Refusal, Ticket};

impl Hub {
    /// The sender of `message` changes its mind about an earlier message of its own to `inbox`. `port` is told under `ticket` what came of it, when that is
    /// durable.
    pub fn amend(
        &self,
        inbox: &ClientId,
        amendment: Amendment,
        message: Message,
        port: &Arc<dyn Port>,
        ticket: Ticket,
    ) {
        let port = port.clone();
        let origin = Some(Origin { port, ticket });
        if let Some((counter, refusal)) = self.refuses_all() {
            return self.refuse([origin], counter, refusal);
        }
        let now = self.clock.now();
        let left = self.step(inbox, now, |mailbox, cx, fx| {
            let Some(seq) = self.seq_to_keep(now) else {
                return Some(origin);
            };
            let (message, amends) = amendments::told(amendment, message, seq);
            let message = Arc::new(message);
            #[cfg(feature = "testing")]
            inbox_types::given(inbox, seq, &message);
            mailbox.publish_amending(seq, message, amends, origin, cx, fx);
            None
        });
        self.refuse(left, &self.counters.refused_store_failed, Refusal::StoreFailed);
    }
}
