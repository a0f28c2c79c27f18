//! What a session leaves to the other members of its shared subscriptions when it, or one of these, ends (MQTT 5, section 4.8.2).

use std::num::NonZeroU64;
use std::sync::Arc;

use mqtt_codec::AckKind;
use pubsub::{OrdinaryDelivery, OrdinaryMessage, Orphan};

use super::Session;
use super::in_flight::What;
use super::subscriptions::{Subscription, outlives_connection};

impl Session {
    /// Whether it has a shared subscription.
    pub fn has_shares(&self) -> bool {
        self.subscriptions.has_shares()
    }

    /// The messages of its shared subscriptions with QoS 1 and 2 that its client has not had, in order; and how many the client may have had,
    /// because their exchange with QoS 2 had begun: nobody else may have these (MQTT-4.8.2-5).
    pub fn take_orphans(&mut self) -> (Vec<Orphan>, u64) {
        let mut orphans = Vec::new();
        let mut begun = 0;
        for sent in std::mem::take(&mut self.outgoing.in_flight) {
            let What::Ordinary(ordinary) = sent.what else { continue };
            let Some(subscription) = self.subscriptions.get(ordinary.subscription) else {
                continue;
            };
            match sent.awaits {
                AckKind::PubAck => orphans.extend(self.orphan(subscription, &ordinary.message, ordinary.kept)),
                AckKind::PubRec if subscription.filter.share_group().is_some() => begun += 1,
                // It is with the client, who has not said the last word.
                _ => {}
            }
        }
        for delivery in self.outbox.take_all_ordinary() {
            if let Some(subscription) = self.subscriptions.get(delivery.subscription) {
                orphans.extend(self.orphan_of(subscription, &delivery));
            }
        }
        (orphans, begun)
    }

    /// What waits for a subscription that its client has just ended and was not begun with: it is another member's, if it is shared. What was begun
    /// goes on (MQTT-3.10.4-3).
    pub(super) fn take_orphans_of(&self, ended: &Subscription) -> Vec<Orphan> {
        if ended.filter.share_group().is_none() {
            return Vec::new();
        }
        let waiting = self.outbox.take_ordinary_of(ended.number);
        let orphans = waiting.iter().filter_map(|delivery| self.orphan_of(ended, delivery));
        orphans.collect()
    }

    fn orphan_of(&self, subscription: &Subscription, delivery: &OrdinaryDelivery) -> Option<Orphan> {
        let is_others = !delivery.retained && outlives_connection(delivery);
        is_others.then(|| self.orphan(subscription, &delivery.message, delivery.kept))?
    }

    /// The message is kept here no longer. Its publisher goes with it.
    fn orphan(
        &self,
        subscription: &Subscription,
        message: &Arc<OrdinaryMessage>,
        kept: Option<NonZeroU64>,
    ) -> Option<Orphan> {
        let filter = &subscription.filter;
        Some(Orphan {
            filter: filter.filter().into(),
            share: filter.share_group()?.into(),
            message: message.clone(),
            publisher: self.take_publisher(kept),
        })
    }
}
