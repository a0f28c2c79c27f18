//! A session with subscriptions, and one of these.

use std::sync::Arc;

use inbox_types::Qos;
use parking_lot::RwLock;

use super::FanOut;
use crate::{OrdinaryDelivery, SessionKey, Sink};

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
    /// Delivers the message of `fan_out`. False, and nothing done, if the session has ended.
    pub(super) fn take(&self, fan_out: &mut FanOut<'_>) -> bool {
        let sink = self.subscriber.sink.read();
        let Some(sink) = sink.as_ref() else { return false };
        let delivery = OrdinaryDelivery {
            subscription: self.subscription,
            message: Arc::clone(fan_out.message),
            retained: false,
            kept: None,
        };
        if fan_out.message.qos != Qos::AtMostOnce && sink.keeps() {
            sink.keep(delivery, fan_out.publisher());
            return true;
        }
        sink.deliver_one(delivery);
        true
    }
}
