//! Wills that the store had when the broker started, of clients that have no session any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use access::Identity;
use hashbrown::HashMap;
use inbox_types::ClientId;

use crate::keeping::PendingWill;

/// See the module's documentation. Times are the hub's monotonic clock.
#[derive(Default)]
pub(super) struct Bereft {
    wills: HashMap<ClientId, (Duration, Identity, Arc<PendingWill>)>,
    due: BTreeSet<(Duration, ClientId)>,
}

impl Bereft {
    /// Publishes `will` then. Gives the earlier one of the same client, if there is one.
    pub(super) fn put(
        &mut self,
        due: Duration,
        who: Identity,
        will: Arc<PendingWill>,
    ) -> Option<(Identity, Arc<PendingWill>)> {
        let id = who.client_id().clone();
        let earlier = self.take(&id);
        self.due.insert((due, id.clone()));
        self.wills.insert(id, (due, who, will));
        earlier
    }

    /// The will of this client, which is not published any more.
    pub(super) fn take(&mut self, id: &ClientId) -> Option<(Identity, Arc<PendingWill>)> {
        let (due, who, will) = self.wills.remove(id)?;
        self.due.remove(&(due, id.clone()));
        Some((who, will))
    }

    /// The next one that is due.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<(Identity, Arc<PendingWill>)> {
        let (_, id) = self.due.first().filter(|(due, _)| *due <= now)?.clone();
        self.take(&id)
    }
}
