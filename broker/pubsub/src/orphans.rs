//! What members of shared subscriptions leave when their sessions end (MQTT 5, section 4.8.2).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Behind, OrdinaryMessage, Publisher, Router, SessionKey};

/// A message that a shared subscription had chosen a member for, whose session has ended before it had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The filter of the subscription, without `$share/…/`.
    pub filter: Box<str>,
    /// The name of the share.
    pub share: Box<str>,
    /// The message.
    pub message: Arc<OrdinaryMessage>,
    /// Its publisher, if that waits until somebody has it for certain.
    pub publisher: Option<Arc<Publisher>>,
}

impl Publisher {
    /// It is told when all of these are safe, beside those who wait for one of them already.
    pub fn awaits(self: &Arc<Self>, orphans: &mut [Orphan]) {
        for orphan in orphans {
            orphan.publisher.get_or_insert_with(|| Arc::clone(self));
        }
    }
}

impl Router {
    /// Like [`Router::close`], and waits until the sink will get nothing more of shared subscriptions.
    pub async fn close_and_wait(&self, session: SessionKey) {
        self.retaining.closed(session);
        match &self.engine {
            Behind::Native(engine) => engine.close(session),
            Behind::Rumqttd(engine) => engine.close_and_wait(session).await,
        }
    }

    /// Gives messages of shared subscriptions whose member's session has ended to another member each (MQTT 5, section 4.8.2). Gives the
    /// number of those that are lost, because their group has no member any more or the router has stopped. They are counted.
    pub async fn hand_over(&self, orphans: Vec<Orphan>) -> u64 {
        if orphans.is_empty() {
            return 0;
        }
        let lost = match &self.engine {
            Behind::Native(engine) => engine.hand_over(&orphans),
            Behind::Rumqttd(engine) => engine.hand_over(orphans).await,
        };
        self.lose_orphans(lost);
        lost
    }

    /// Messages of shared subscriptions that were lost with the session of the member that had them.
    pub fn orphans_lost(&self) -> u64 {
        self.counters.orphans_lost.load(Ordering::Relaxed)
    }

    /// Counts messages of shared subscriptions that nobody else may have.
    pub fn lose_orphans(&self, messages: u64) {
        self.counters.orphans_lost.fetch_add(messages, Ordering::Relaxed);
    }
}
