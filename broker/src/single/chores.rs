//! What happens to inboxes beside what clients do.

use inbox_bridge::{ClientId, Entry, Place, Seq, Store};

use super::Single;

impl Single {
    /// Messages that expired leave this inbox; `entries` were read from the store.
    pub fn expire(&self, inbox: &ClientId, entries: &[Entry]) {
        self.hub.expire(inbox, entries);
    }

    /// Notes which owners came, and forgets inboxes whose owners have not come for too long.
    pub fn look_for_absent(&mut self, store: &dyn Store) {
        self.absences.turn(&self.hub, store);
    }

    /// What found no room before is tried again, and what waits for too long to be read is forgotten.
    pub fn look_after_receipts(&self, store: &dyn Store) {
        self.hub.tell_again();
        self.hub.fade_unread(store);
    }

    /// An operator removes all that this inbox holds; `places` were read from the store. Gives what left.
    pub fn purge(&self, inbox: &ClientId, places: &[Place]) -> Vec<Seq> {
        let mut left = self.hub.purge_memory(inbox, Seq(u64::MAX));
        left.extend(self.hub.purge_places(inbox, places));
        left
    }
}
