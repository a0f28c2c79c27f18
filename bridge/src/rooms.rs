//! Senders that were refused for want of room, asked to be told when there is some again (`notify-space`, docs/protocol.md), and were not told yet.
//!
//! ```text
//!           await_room               room in the inbox                the broker takes mail
//!  refused ────────────▶ waiting ──────────────────────▶ due ──────────────────────────────▶ told
//!     └────────────────── refused for want of something of the broker's ─▲
//! ```
//!
//! A sender waits once for an inbox, however often it is refused there, and is told once. Those who wait for an inbox are told in the order in
//! which they began to wait, as many as there is room for: one place that comes free does not bring a crowd. What is not used within about a second
//! is the next one's. All of this is in memory only, for
//! [`ROOMS_AWAITED_MAX`] senders and inboxes; beyond, those who wait longest are forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hashbrown::HashMap;
use parking_lot::Mutex;

use inbox_types::{ClientId, ROOMS_AWAITED_MAX, WantedRoom};

/// See the module's documentation. Taken with an inbox locked, and for a moment.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    lists: Mutex<Lists>,
    /// How many wait, and how many are due: mostly nobody, which is known without the lock.
    waiting: AtomicUsize,
    due: AtomicUsize,
}

#[derive(Debug, Default)]
struct Lists {
    waiting: Line,
    /// By inbox: the places in `waiting`.
    by_inbox: HashMap<ClientId, BTreeSet<u64>>,
    /// To be told as soon as the broker takes mail. Nobody is in both for one inbox: what its last refusal was for is what it waits for.
    due: Line,
    /// Inboxes that told somebody, and have others waiting: what is not used is theirs.
    again: BTreeSet<ClientId>,
}

/// Senders, each with the inbox that it wants room in, in the order in which they came.
#[derive(Debug, Default)]
struct Line {
    by_place: BTreeMap<u64, (ClientId, WantedRoom)>,
    places: HashMap<(ClientId, ClientId), u64>,
    last: u64,
}

impl Line {
    /// Gives the place: that of before, if there is one.
    fn put(&mut self, sender: ClientId, wanted: WantedRoom) -> u64 {
        let who = (sender.clone(), wanted.inbox.clone());
        let place = *self.places.entry(who).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        self.by_place.insert(place, (sender, wanted));
        place
    }

    fn place_of(&self, sender: &ClientId, inbox: &ClientId) -> Option<u64> {
        self.places.get(&(sender.clone(), inbox.clone())).copied()
    }

    fn take(&mut self, place: u64) -> Option<(ClientId, WantedRoom)> {
        let (sender, wanted) = self.by_place.remove(&place)?;
        self.places.remove(&(sender.clone(), wanted.inbox.clone()));
        Some((sender, wanted))
    }

    /// Who stands before the last `n`.
    fn beyond(&self, n: usize) -> Vec<u64> {
        let too_many = self.by_place.len().saturating_sub(n);
        self.by_place.keys().take(too_many).copied().collect()
    }
}

/// What an inbox says to one who waits for room in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// There is room for it.
    Yes,
    /// Not for this one.
    No,
    /// Not for this one, nor for anybody behind it.
    Full,
}

impl Rooms {
    /// From now on `sender` waits for room in an inbox. Tells how many were forgotten for that.
    pub(crate) fn await_room(&self, sender: &ClientId, wanted: WantedRoom) -> u64 {
        self.change(|lists| lists.await_room(sender, wanted))
    }

    /// `sender` is to be told as soon as the broker takes mail. Tells how many were forgotten for that.
    pub(crate) fn make_due(&self, sender: ClientId, wanted: WantedRoom) -> u64 {
        self.change(|lists| lists.make_due(sender, wanted))
    }

    /// Whether anybody waits for room in this inbox.
    #[inline]
    pub(crate) fn is_awaited(&self, inbox: &ClientId) -> bool {
        self.waiting.load(Relaxed) > 0 && self.lists.lock().by_inbox.contains_key(inbox)
    }

    /// The inboxes that told somebody since this was asked last, and are waited for still.
    pub(crate) fn take_again(&self) -> BTreeSet<ClientId> {
        match self.waiting.load(Relaxed) {
            0 => BTreeSet::new(),
            _ => std::mem::take(&mut self.lists.lock().again),
        }
    }

    /// Every inbox that somebody waits for.
    pub(crate) fn awaited(&self) -> Vec<ClientId> {
        let mut inboxes: Vec<_> = self.lists.lock().by_inbox.keys().cloned().collect();
        inboxes.sort();
        inboxes
    }

    /// There may be room in this inbox; `offer` says for whom, by sender and size, and is asked in the order of waiting. Tells whether
    /// anybody waits still.
    pub(crate) fn offer(&self, inbox: &ClientId, offer: impl FnMut(&ClientId, usize) -> Offer) -> bool {
        self.change(|lists| lists.offer(inbox, offer))
    }

    /// Whether anybody is due.
    #[inline]
    pub(crate) fn has_due(&self) -> bool {
        self.due.load(Relaxed) > 0
    }

    /// Up to `n` senders that are to be told now.
    pub(crate) fn take_due(&self, n: usize) -> Vec<(ClientId, WantedRoom)> {
        self.change(|lists| lists.take_due(n))
    }

    fn change<R>(&self, change: impl FnOnce(&mut Lists) -> R) -> R {
        let mut lists = self.lists.lock();
        let result = change(&mut lists);
        self.waiting.store(lists.waiting.by_place.len(), Relaxed);
        self.due.store(lists.due.by_place.len(), Relaxed);
        result
    }
}

impl Lists {
    fn await_room(&mut self, sender: &ClientId, wanted: WantedRoom) -> u64 {
        if let Some(place) = self.due.place_of(sender, &wanted.inbox) {
            self.due.take(place);
        }
        let inbox = wanted.inbox.clone();
        let place = self.waiting.put(sender.clone(), wanted);
        self.by_inbox.entry(inbox).or_default().insert(place);
        let forgotten = self.waiting.beyond(ROOMS_AWAITED_MAX);
        for place in &forgotten {
            self.wait_no_more(*place);
        }
        forgotten.len() as u64
    }

    fn make_due(&mut self, sender: ClientId, wanted: WantedRoom) -> u64 {
        if let Some(place) = self.waiting.place_of(&sender, &wanted.inbox) {
            self.wait_no_more(place);
        }
        self.due.put(sender, wanted);
        let forgotten = self.due.beyond(ROOMS_AWAITED_MAX);
        for place in &forgotten {
            self.due.take(*place);
        }
        forgotten.len() as u64
    }

    fn wait_no_more(&mut self, place: u64) {
        let Some((_, wanted)) = self.waiting.take(place) else {
            return;
        };
        if let Some(places) = self.by_inbox.get_mut(&wanted.inbox) {
            places.remove(&place);
            if places.is_empty() {
                self.by_inbox.remove(&wanted.inbox);
            }
        }
    }

    fn offer(&mut self, inbox: &ClientId, mut offer: impl FnMut(&ClientId, usize) -> Offer) -> bool {
        let places = self.by_inbox.get(inbox).into_iter().flatten();
        let waiting = places.filter_map(|place| Some((*place, self.waiting.by_place.get(place)?)));
        let offers = waiting.map(|(place, (sender, wanted))| (place, offer(sender, wanted.bytes)));
        let told: Vec<_> = offers
            .take_while(|(_, offer)| *offer != Offer::Full)
            .filter_map(|(place, offer)| (offer == Offer::Yes).then_some(place))
            .collect();
        for place in &told {
            let Some((sender, wanted)) = self.waiting.by_place.get(place).cloned() else {
                continue;
            };
            match inbox_types::fault!(TellRoomTwice) {
                true => _ = self.due.put(sender, wanted),
                false => _ = self.make_due(sender, wanted),
            }
        }
        let is_awaited = self.by_inbox.contains_key(inbox);
        if !is_awaited {
            self.again.remove(inbox);
        } else if !told.is_empty() {
            self.again.insert(inbox.clone());
        }
        is_awaited
    }

    fn take_due(&mut self, n: usize) -> Vec<(ClientId, WantedRoom)> {
        let places: Vec<_> = self.due.by_place.keys().take(n).copied().collect();
        places.into_iter().filter_map(|place| self.due.take(place)).collect()
    }
}

#[cfg(test)]
mod tests;
