//! Looking again at what a client has, when the access rules have changed, or may have while it was away.

use access::Action;

use super::subscriptions::counted;
use super::{Ending, RouterCall, Session};
use crate::closed::Closed;
use crate::refusals::Cause;

impl Session {
    /// The access rules have changed. A client that may not have its client ID any more is told goodbye.
    pub(crate) fn review(&mut self) -> Result<(), Ending> {
        self.may_stay()?;
        self.review_subscriptions();
        Ok(())
    }

    /// Whether the client may have its client ID by the rules of now.
    pub(crate) fn may_stay(&self) -> Result<(), Ending> {
        let may_stay = self.shared.access.decide(&self.identity, Action::Connect);
        may_stay.map_err(|denied| Closed::Withdrawn(denied).into())
    }

    /// Ends the subscriptions that its client may not have. MQTT has no packet that tells it; the log does.
    pub(super) fn review_subscriptions(&mut self) {
        let denied: Vec<_> = self
            .subscriptions
            .filters()
            .filter_map(|filter| {
                let action = Action::Subscribe(self.shared.names.named_by(filter));
                let denied = self.shared.access.decide(&self.identity, action).err()?;
                Some((Box::<str>::from(filter), denied))
            })
            .collect();
        for (filter, denied) in denied {
            if let Some(subscription) = self.subscriptions.remove(&filter) {
                let orphans = self.take_orphans_of(&subscription);
                if let Some(journal) = self.outbox.journal() {
                    journal.keep_subscription(counted(subscription.number), None, None);
                }
                self.calls
                    .push_back(RouterCall::Unsubscribe(subscription.number, orphans));
            }
            let now = self.shared.node.now().mono;
            let refusals = &self.shared.metrics.refusals;
            refusals.note(Cause::SubscriptionWithdrawn, &self.id, &filter, &denied, now);
        }
    }
}
