//! A session with subscriptions, and one of these.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::{OrdinaryDelivery, OrdinaryMessage, SessionKey, Sink};

/// A session with subscriptions.
pub(super) struct Subscriber {
    pub(super) key: SessionKey,
    /// `None` when it has ended. Locked while it is delivered to, so that who ended it knows that nothing comes after; and the sink is let go of then,
    /// whenever the maps free what they had.
    sink: RwLock<Option<Arc<dyn Sink>>>,
}

/// A subscription of a session.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) subscriber: Arc<Subscriber>,
    pub(super) subscription: u32,
}

impl Subscriber {
    pub(super) fn new(key: SessionKey, sink: Arc<dyn Sink>) -> Self {
        Subscriber {
            key,
            sink: RwLock::new(Some(sink)),
        }
    }

    /// Hands over what is in `batch`. False, and nothing done, if the session has ended.
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) -> bool {
        let sink = self.sink.read();
        sink.as_ref().is_some_and(|sink| {
            sink.deliver(batch);
            true
        })
    }

    /// As its sink says.
    pub(super) fn waiting(&self) -> Option<usize> {
        self.sink.read().as_ref()?.waiting()
    }

    /// Nothing is delivered after this.
    pub(super) fn end(&self) {
        *self.sink.write() = None;
    }
}

impl Member {
    /// Delivers `message`, unless the session has ended. `batch` is empty before and after: it is lent, so that there is one allocation for a message.
    pub(super) fn take(&self, message: &Arc<OrdinaryMessage>, batch: &mut Vec<OrdinaryDelivery>) -> bool {
        batch.push(OrdinaryDelivery {
            subscription: self.subscription,
            message: Arc::clone(message),
            retained: false,
        });
        let is_taken = self.subscriber.deliver(batch);
        batch.clear();
        is_taken
    }
}
