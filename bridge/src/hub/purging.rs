//! An operator removes what an inbox holds, while it is in use (contract rule 5).

use std::time::Duration;

use super::Hub;
use crate::mailbox::Place;
use inbox_store::{PageLimit, Store, StoreError};
use inbox_types::{ClientId, Event, EventKind, PAGE_BYTES_MAX, Seq};

/// What a purge came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge {
    /// How many messages left; none of them is delivered any more.
    pub messages: u64,
    /// Whether that is durable. Otherwise the disk lacks something, and the committer goes on trying; a crash brings the messages back.
    pub is_durable: bool,
}

/// Places of messages that are read at a time.
const PLACES: usize = 1024;
/// How long an operator waits for the disk, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Hub {
    /// Removes everything from `inbox` that is not beyond `up_to`, and waits until that is durable, or for ten seconds. What comes meanwhile
    /// stays. Blocks on the store.
    ///
    /// # Errors
    /// The store cannot be read, or has failed.
    pub fn purge(&self, store: &dyn Store, inbox: &ClientId, up_to: Option<Seq>) -> Result<Purge, StoreError> {
        let up_to = up_to.unwrap_or(Seq(u64::MAX)).min(self.seqs.last());
        let mut messages = self.purge_memory(inbox, up_to).len() as u64;
        let mut after = Seq::ZERO;
        loop {
            let (mut places, is_more) = places(store, inbox, after)?;
            let is_end = !is_more || places.last().is_some_and(|last| last.seq >= up_to);
            places.retain(|place| place.seq <= up_to);
            if let Some(last) = places.last() {
                after = last.seq;
                messages += self.purge_places(inbox, &places).len() as u64;
            }
            if is_end {
                break;
            }
        }
        let is_durable = self.wait_until_removed(inbox, up_to)?;
        self.events.tell(EventKind::Purged, || Event::Purged {
            inbox: inbox.clone(),
            up_to,
            messages,
        });
        Ok(Purge { messages, is_durable })
    }

    /// The first part of [`Hub::purge`]: what is in memory. Gives what left.
    pub fn purge_memory(&self, inbox: &ClientId, up_to: Seq) -> Vec<Seq> {
        let now = self.clock.now();
        let left = self.step_existing(inbox, now, |mailbox, cx, fx| mailbox.purge_young(up_to, cx, fx));
        left.unwrap_or_default()
    }

    /// The next parts: these places were just read from the store. Gives what left.
    pub fn purge_places(&self, inbox: &ClientId, places: &[Place]) -> Vec<Seq> {
        let now = self.clock.now();
        self.step(inbox, now, |mailbox, cx, fx| mailbox.purge_stored(places, cx, fx))
    }

    /// Tells whether it is.
    fn wait_until_removed(&self, inbox: &ClientId, up_to: Seq) -> Result<bool, StoreError> {
        let is_removing = || {
            let removing = self.step_existing(inbox, self.clock.now(), |mailbox, _, _| mailbox.is_removing(up_to));
            removing == Some(true)
        };
        let began = self.clock.now().mono;
        while is_removing() {
            self.poison.check()?;
            if self.clock.now().mono >= began + PATIENCE {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }
}

/// Some messages above `after`, and whether there are more. One that cannot be read is a place alone: this is how a damaged inbox is purged.
fn places(store: &dyn Store, inbox: &ClientId, after: Seq) -> Result<(Vec<Place>, bool), StoreError> {
    let limit = PageLimit {
        messages: PLACES,
        bytes: PAGE_BYTES_MAX,
    };
    let page = match store.read(inbox, after, limit) {
        Err(StoreError::Damaged { .. }) => {
            let seqs = store.seqs(inbox, after, PLACES)?;
            let is_more = seqs.len() == PLACES;
            let places = seqs.into_iter().map(|seq| Place { seq, message: None });
            return Ok((places.collect(), is_more));
        }
        page => page?,
    };
    let places = page.entries.into_iter().map(|entry| Place {
        seq: entry.seq,
        message: Some(entry.message),
    });
    Ok((places.collect(), page.more))
}
