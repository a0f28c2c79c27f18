//! Owners who do not come: when each was last there is noted, and the inboxes of those who stay away for too long are forgotten (contract
//! rule 5).
//!
//! **Promise:** where [`inbox_types::Limits::idle_expiry`] is set, an inbox is forgotten no sooner than that after its owner was last
//! attached, or after it was first noted to hold mail for an owner who never came: by the age of the store, whatever the system clock says.
//! Notes are written at most once in a tenth of that time (at most a day), so it may be a tenth later. **What can be lost:** that an owner
//! came within the last second before a crash.
//!
//! A note counts only if notes were taken ever since: the store keeps since when.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inbox_store::{PageLimit, Store, StoreError, Table, TableKey};
use inbox_types::{Age, ClientId, PAGE_BYTES_MAX, Seq};
use parking_lot::Mutex;

use super::Hub;
use crate::tables::{number, read_number};

/// Owners that came and are not looked at yet. More come in a second only if clients do nothing else: then nobody is forgotten for a
/// while.
const CAME_MAX: usize = 100_000;
/// What one turn looks at: owners that came, notes, inboxes, and messages of inboxes that are forgotten.
const CAME_PER_TURN: usize = 4096;
const NOTES_PER_TURN: usize = 256;
const INBOXES_PER_TURN: usize = 64;
const MESSAGES_PER_TURN: usize = 4096;
/// How often an owner's presence is noted at most, where a tenth of the expiry is more.
const NOTED_EVERY: Duration = Duration::from_secs(24 * 3600);
/// After a start nobody is forgotten for so long, where that is not more than a tenth of the expiry: nobody could come while the broker was
/// down, and the store may have grown older meanwhile.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The pause between two looks through all of them, where that is not more than a tenth of the expiry.
const PAUSE: Duration = Duration::from_secs(60);

/// Who came since the last turn.
#[derive(Debug, Default)]
pub(super) struct Came {
    // Short: taken for one insertion or look, also with an inbox locked.
    owners: Mutex<HashSet<ClientId>>,
    overflowed: AtomicBool,
}

impl Hub {
    /// The owner of `inbox` is there, or was until now.
    pub(super) fn has_come(&self, inbox: &ClientId) {
        if self.limits.idle_expiry.is_none() {
            return;
        }
        if inbox_types::fault!(ForgetWhoCame) {
            return;
        }
        let mut owners = self.came.owners.lock();
        if owners.len() < CAME_MAX || owners.contains(inbox) {
            owners.insert(inbox.clone());
            return;
        }
        drop(owners);
        self.came.overflowed.store(true, Ordering::Relaxed);
        self.note_seen(inbox, Some(self.age(self.now())));
    }

    fn note_seen(&self, inbox: &ClientId, at: Option<Age>) {
        let at = at.map(|at| number(at.0));
        self.keep(Table::SEEN, TableKey::of(inbox), at, None);
    }

    /// Some of those who came. Whoever is left is not forgotten meanwhile.
    fn take_came(&self) -> Vec<ClientId> {
        let mut owners = self.came.owners.lock();
        let some: Vec<_> = owners.iter().take(CAME_PER_TURN).cloned().collect();
        some.iter().for_each(|inbox| _ = owners.remove(inbox));
        some
    }

    fn is_there(&self, inbox: &ClientId) -> bool {
        let reads = self.step_existing(inbox, self.now(), |mailbox, _, _| mailbox.has_reader());
        reads == Some(true)
    }
}

/// Looks, turn by turn, who has not come for too long. One thread drives it.
#[derive(Default)]
pub struct Absences(pub(super) State);

#[derive(Default)]
pub(super) enum State {
    /// It is not known yet since when all who came were noted.
    #[default]
    Beginning,
    /// Inboxes are not forgotten.
    Off,
    /// They are.
    Looking(Box<Looking>),
}

pub(super) struct Looking {
    expiry: Duration,
    noted_every: Duration,
    /// Since when all who came were noted.
    since: Age,
    /// Notes that may not be durable yet.
    noting: HashMap<ClientId, Age>,
    /// Nobody is forgotten before.
    patient_until: Age,
    notes: Walk<TableKey>,
    inboxes: Walk<ClientId>,
    forgetting: Option<Forgetting>,
}

/// How far a look through everything is, and when the next one begins.
struct Walk<K> {
    after: Option<K>,
    begins: Age,
}

/// An inbox of which more is to be removed than one turn removes.
struct Forgetting {
    inbox: ClientId,
    after: Seq,
    /// What comes later is not removed.
    up_to: Seq,
    messages: u64,
}

impl Absences {
    /// One turn, of bounded work. What the store could not say at one turn it is asked at the next.
    pub fn turn(&mut self, hub: &Hub, store: &dyn Store) {
        if let Err(error) = self.try_turn(hub, store) {
            tracing::error!(%error, "cannot look for inboxes whose owners do not come");
        }
    }

    fn try_turn(&mut self, hub: &Hub, store: &dyn Store) -> Result<(), StoreError> {
        if let State::Beginning = self.0 {
            self.0 = match Looking::begin(hub, store)? {
                Some(looking) => State::Looking(Box::new(looking)),
                None => State::Off,
            };
        }
        match &mut self.0 {
            // Notes would not become durable.
            State::Looking(_) if hub.is_store_troubled() || hub.has_failed() => Ok(()),
            State::Looking(looking) => looking.turn(hub, store),
            State::Beginning | State::Off => Ok(()),
        }
    }
}

impl Looking {
    /// Begins to look; `None` where inboxes are not forgotten.
    fn begin(hub: &Hub, store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let Ok(key) = TableKey::new(Table::SEEN_SINCE) else {
            return Ok(None);
        };
        let since = store.get(Table::STORE, &key)?.as_deref().and_then(read_age);
        let Some(expiry) = hub.limits.idle_expiry else {
            if since.is_some() {
                // Whoever comes from now on is not noted.
                hub.keep(Table::STORE, key, None, None);
            }
            return Ok(None);
        };
        let now = hub.age(hub.now());
        if since.is_none() {
            hub.keep(Table::STORE, key, Some(number(now.0)), None);
        }
        Ok(Some(Looking {
            expiry,
            noted_every: NOTED_EVERY.min(expiry / 10),
            since: since.unwrap_or(now),
            noting: HashMap::new(),
            patient_until: now.after(PATIENCE.min(expiry / 10)),
            notes: Walk::at(now),
            inboxes: Walk::at(now),
            forgetting: None,
        }))
    }

    fn turn(&mut self, hub: &Hub, store: &dyn Store) -> Result<(), StoreError> {
        let looked = self.look(hub, store);
        if looked.is_err() {
            self.forgetting = None;
        }
        looked
    }

    fn look(&mut self, hub: &Hub, store: &dyn Store) -> Result<(), StoreError> {
        let now = hub.age(hub.now());
        if hub.came.overflowed.swap(false, Ordering::Relaxed) {
            self.patient_until = now.after(PAUSE);
        }
        for inbox in hub.take_came() {
            // Who came and went again between two turns keeps what is left.
            self.forgetting.take_if(|unfinished| unfinished.inbox == inbox);
            // One that cannot be read is written.
            if self.is_due(store, &inbox, now).unwrap_or(true) {
                self.note(hub, inbox, now);
            }
        }
        self.forget_durable_notes(store)?;
        self.note_who_stays(hub, now);
        self.walk_notes(hub, store, now)?;
        self.walk_inboxes(hub, store, now)
    }

    fn is_due(&self, store: &dyn Store, inbox: &ClientId, now: Age) -> Result<bool, StoreError> {
        let last = match self.noting.get(inbox) {
            Some(noted) => Some(*noted),
            None => stored(store, inbox)?.filter(|noted| *noted >= self.since),
        };
        Ok(last.is_none_or(|last| now.since(last) >= self.noted_every))
    }

    fn note(&mut self, hub: &Hub, inbox: ClientId, now: Age) {
        hub.note_seen(&inbox, Some(now));
        self.noting.insert(inbox, now);
    }

    fn forget_durable_notes(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut durable = Vec::new();
        for (inbox, noted) in &self.noting {
            if stored(store, inbox)?.is_some_and(|stored| stored >= *noted) {
                durable.push(inbox.clone());
            }
        }
        durable.iter().for_each(|inbox| _ = self.noting.remove(inbox));
        Ok(())
    }

    /// Of whom the store does not know yet, because the disk is slow.
    fn note_who_stays(&mut self, hub: &Hub, now: Age) {
        let due = self
            .noting
            .iter()
            .filter(|(_, noted)| self.is_nearly_due(now.since(**noted)));
        let there: Vec<_> = due
            .map(|(inbox, _)| inbox.clone())
            .filter(|inbox| hub.is_there(inbox))
            .collect();
        for inbox in there {
            self.note(hub, inbox, now);
        }
    }

    /// Looks at who was noted when.
    fn walk_notes(&mut self, hub: &Hub, store: &dyn Store, now: Age) -> Result<(), StoreError> {
        let mut messages = MESSAGES_PER_TURN;
        if let Some(unfinished) = self.forgetting.take() {
            self.forget(hub, store, unfinished, &mut messages)?;
        }
        if self.forgetting.is_some() || now < self.notes.begins {
            return Ok(());
        }
        let limit = PageLimit {
            messages: NOTES_PER_TURN,
            bytes: PAGE_BYTES_MAX,
        };
        let page = store.scan(Table::SEEN, b"", self.notes.after.as_ref(), limit)?;
        for (key, value) in &page.entries {
            if self.forgetting.is_some() {
                return Ok(());
            }
            self.notes.after = Some(key.clone());
            let text = std::str::from_utf8(key.as_bytes()).ok();
            let Some(inbox) = text.and_then(|text| ClientId::new(text).ok()) else {
                continue;
            };
            let noted = read_age(value).unwrap_or_default().max(self.since);
            let last = self.noting.get(&inbox).map_or(noted, |noting| noted.max(*noting));
            let away = now.since(last);
            if hub.is_there(&inbox) {
                if self.is_nearly_due(away) {
                    self.note(hub, inbox, now);
                }
            } else if away >= self.expiry + self.noted_every && now >= self.patient_until {
                let forgetting = Forgetting {
                    inbox,
                    after: Seq::ZERO,
                    up_to: hub.seqs.last(),
                    messages: 0,
                };
                self.forget(hub, store, forgetting, &mut messages)?;
            }
        }
        if !page.more {
            self.notes = Walk::at(now.after(self.pause()));
        }
        Ok(())
    }

    /// Whether who is there, and was noted so long ago, is to be noted now: before it is due, or a crash before the next look would forget that it
    /// was there until then.
    fn is_nearly_due(&self, ago: Duration) -> bool {
        ago + self.pause() >= self.noted_every
    }

    fn pause(&self) -> Duration {
        self.noted_every.min(PAUSE)
    }

    /// Removes what an inbox holds, or as much of it as `left` messages.
    fn forget(&mut self, hub: &Hub, store: &dyn Store, mut it: Forgetting, left: &mut usize) -> Result<(), StoreError> {
        let limit = PageLimit {
            messages: hub.limits.sizes.page_messages_max,
            bytes: PAGE_BYTES_MAX,
        };
        loop {
            let page = store.read(&it.inbox, it.after, limit)?;
            let entries: Vec<_> = page.entries.iter().filter(|entry| entry.seq <= it.up_to).collect();
            let gone = hub.step(&it.inbox, hub.now(), |mailbox, cx, fx| {
                // With the inbox locked: nobody can come in between.
                let has_come = mailbox.has_reader() || hub.came.owners.lock().contains(cx.inbox);
                let leave = |entry: &&&inbox_types::Entry| mailbox.leave_forgotten(entry, cx, fx);
                (!has_come).then(|| entries.iter().filter(leave).count())
            });
            let Some(gone) = gone else { return Ok(()) };
            it.messages += gone as u64;
            it.after = entries.last().map_or(it.after, |last| last.seq);
            *left = left.saturating_sub(entries.len());
            if !page.more || entries.len() < page.entries.len() {
                break;
            }
            if *left == 0 {
                self.forgetting = Some(it);
                return Ok(());
            }
        }
        self.noting.remove(&it.inbox);
        hub.note_seen(&it.inbox, None);
        if it.messages > 0 {
            hub.counters.inboxes_forgotten.add(1);
            let Forgetting { inbox, messages, .. } = it;
            tracing::info!(%inbox, messages, "an inbox is forgotten: its owner has not come for as long as inbox.idle_expiry says");
        }
        Ok(())
    }

    /// Looks for inboxes whose owner never came: their time begins now.
    fn walk_inboxes(&mut self, hub: &Hub, store: &dyn Store, now: Age) -> Result<(), StoreError> {
        if now < self.inboxes.begins {
            return Ok(());
        }
        let inboxes = store.inboxes(self.inboxes.after.as_ref(), INBOXES_PER_TURN)?;
        self.inboxes = match inboxes.last() {
            Some((last, _)) => Walk {
                after: Some(last.clone()),
                begins: now,
            },
            None => Walk::at(now.after(self.pause())),
        };
        for (inbox, _) in inboxes {
            if !self.noting.contains_key(&inbox) && stored(store, &inbox)?.is_none() {
                self.note(hub, inbox, now);
            }
        }
        Ok(())
    }
}

impl<K> Walk<K> {
    fn at(begins: Age) -> Self {
        Walk { after: None, begins }
    }
}

/// When the owner of an inbox was last noted.
fn stored(store: &dyn Store, inbox: &ClientId) -> Result<Option<Age>, StoreError> {
    let value = store.get(Table::SEEN, &TableKey::of(inbox))?;
    Ok(value.as_deref().and_then(read_age))
}

fn read_age(value: &[u8]) -> Option<Age> {
    read_number(value).map(Age)
}
