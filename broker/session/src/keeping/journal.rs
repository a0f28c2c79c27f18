//! What waits for one kept session, as the store is to have it.
//!
//! A message that comes for the session is *held*: for a client that is there it is written only after `store.commit_hold`, so that what it acknowledges before
//! costs no write; for one that is away, at once. Its publisher is let go of when it is durable, or acknowledged. The messages themselves are in the
//! session's outbox; here are those that the store does not have yet, and the places of those that it has and should not. What is for QoS 2 alone is in
//! `exactly_once.rs`.

mod exactly_once;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use inbox_types::{BATCH_BYTES_MAX, ClientId, Keeping, Kept, KeptChange, Node, Port, Refusal, Ticket};
use parking_lot::Mutex;
use pubsub::{OrdinaryDelivery, OrdinaryMessage, Publisher, Together};

use super::Life;
use super::records::{self, Head, KeptSubscription};
use exactly_once::Writing;
pub(crate) use exactly_once::{PLACES, Waits};

/// Changes that one session has in one batch.
const GATHERED_MAX: usize = 1_024;

/// See the module's documentation.
pub(crate) struct Journal {
    life: Life,
    node: Arc<Node>,
    session: Weak<dyn Waits>,
    /// Itself, to be told what is durable.
    me: Weak<Journal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_place: u64,
    is_over: bool,
    /// The session sends with QoS 2, and is told when something has left the store.
    tells_of_gone: bool,
    /// Made when there is something to do: of most sessions that are kept there is nothing.
    tasks: Option<Box<Tasks>>,
}

/// What the committer is to be given.
#[derive(Default)]
struct Tasks {
    /// Not in the store, in the order of their places.
    held: VecDeque<Held>,
    /// The same, of those that are kept together with something else.
    shared: VecDeque<Held>,
    /// In the store, and to leave it.
    gone: Vec<u64>,
    gone_since: Duration,
    oldest_gone: Option<u64>,
    /// What is held up to this place is due.
    due_up_to: u64,
    /// In the store, which is to have instead that the client has them.
    taken: Vec<NonZeroU64>,
    writing: Writing,
    /// When the committer will ask, as far as it is known here.
    asked_by: Option<Duration>,
}

struct Held {
    place: NonZeroU64,
    subscription: u32,
    retained: bool,
    message: Arc<OrdinaryMessage>,
    publisher: Option<Arc<Publisher>>,
    due: Duration,
}

impl Journal {
    /// Of a session of `id` that begins.
    pub(crate) fn new(id: &ClientId, node: Arc<Node>, session: Weak<dyn Waits>) -> Arc<Self> {
        let life = Life {
            id: id.clone(),
            begins: node.now().wall,
        };
        Journal::resumed(life, node, 0, session)
    }

    /// Of a session that the store has, which has given places up to this one.
    pub(crate) fn resumed(life: Life, node: Arc<Node>, last_place: u64, session: Weak<dyn Waits>) -> Arc<Self> {
        let state = State {
            last_place,
            ..State::default()
        };
        Arc::new_cyclic(|me| Journal {
            life,
            node,
            session,
            me: me.clone(),
            state: Mutex::new(state),
        })
    }

    /// Keeps what the session is. Who waits is told when that is durable.
    pub(crate) fn keep_head(&self, head: &Head, waits: Option<(Arc<dyn Port>, Ticket)>) {
        self.keep(self.life.head(), Some(records::write_head(head)), waits);
    }

    /// Keeps the subscription that has this number without its QoS; `None`: no longer. Who waits is told when that is durable, with everything before it.
    pub(crate) fn keep_subscription(
        &self,
        number: u32,
        kept: Option<&KeptSubscription>,
        waits: Option<(Arc<dyn Port>, Ticket)>,
    ) {
        let value = kept.map(records::write_subscription);
        self.keep(self.life.subscription(number), value, waits);
    }

    fn keep(&self, key: bytes::Bytes, value: Option<bytes::Bytes>, waits: Option<(Arc<dyn Port>, Ticket)>) {
        self.node.inboxes.keep(Kept::Session, key, value, waits);
    }

    /// Why nothing new is to be kept now, if that is so.
    pub(crate) fn refuses(&self) -> Option<Refusal> {
        self.node.inboxes.refuses()
    }

    /// Takes a message that was put into the outbox of its session, whose client `is_online`. Gives its place. The publisher is let go of
    /// when it is safe.
    pub(crate) fn hold(
        self: &Arc<Self>,
        delivery: &OrdinaryDelivery,
        publisher: Option<Arc<Publisher>>,
        is_online: bool,
    ) -> Option<NonZeroU64> {
        let now = self.node.mono();
        let due = if is_online { now + self.node.holds.message } else { now };
        // Not let go of with the lock held: it may have the journal keep things.
        let together = publisher.as_ref().and_then(|publisher| publisher.together());
        let mut state = self.state.lock();
        if state.is_over {
            return None;
        }
        state.last_place += 1;
        let place = NonZeroU64::new(state.last_place)?;
        let held = Held {
            place,
            subscription: delivery.subscription,
            retained: delivery.retained,
            message: delivery.message.clone(),
            publisher: publisher.filter(|_| !inbox_types::fault!(AckKeptEarly)),
            due,
        };
        let bytes = delivery.message.size();
        let joins = |together: &Arc<Together>| together.join(self.clone(), place, bytes);
        if together.as_ref().is_some_and(joins) {
            state.tasks().shared.push_back(held);
        } else {
            state.tasks().held.push_back(held);
            self.ask_by(state, due);
        }
        Some(place)
    }

    /// The client has the messages at these places, or is not to have them any more. Gives the publishers that wait: to be let go of without any lock, or
    /// handed to whoever has the message then.
    pub(crate) fn done(self: &Arc<Self>, places: &[NonZeroU64], publishers: &mut Vec<Arc<Publisher>>) {
        let mut state = self.state.lock();
        if state.is_over {
            return;
        }
        let tasks = state.tasks();
        let mut is_first = false;
        for place in places {
            match take(&mut tasks.held, *place).or_else(|| take(&mut tasks.shared, *place)) {
                Some(held) => publishers.extend(held.publisher),
                None => {
                    is_first |= tasks.gone.is_empty();
                    tasks.gone.push(place.get());
                    tasks.oldest_gone = tasks.oldest_gone.into_iter().chain([place.get()]).min();
                }
            }
        }
        if is_first {
            tasks.gone_since = self.node.mono();
            let by = tasks.gone_since + self.node.holds.removal;
            self.ask_by(state, by);
        }
    }

    /// The client is away: nobody will acknowledge soon what is held.
    pub(crate) fn hold_no_more(self: &Arc<Self>) {
        let now = self.node.mono();
        let mut state = self.state.lock();
        let Some(tasks) = state.tasks.as_mut().filter(|tasks| !tasks.held.is_empty()) else {
            return;
        };
        for held in &mut tasks.held {
            held.due = held.due.min(now);
        }
        self.ask_by(state, now);
    }

    /// The session has ended: nothing of it is kept any more, and nobody waits for it. Who `waits` is told when that is durable.
    pub(crate) fn end(&self, waits: Option<(Arc<dyn Port>, Ticket)>) {
        let mut state = self.state.lock();
        state.is_over = true;
        let _let_go_without_the_lock = state.tasks.take();
        drop(state);
        self.node.inboxes.forget(Kept::Session, self.life.prefix());
        if waits.is_some() {
            // It is gone with the others, and this comes after them.
            self.keep(self.life.head(), None, waits);
        }
    }

    /// Whether its session has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().is_over
    }

    /// The change that writes a message.
    fn queued(&self, mut held: Held, writing: &mut Writing) -> KeptChange {
        let waits = match writing.hold(&mut held) {
            true => self.told(),
            false => held.publisher.map(|publisher| (publisher as Arc<dyn Port>, Ticket(0))),
        };
        KeptChange {
            kept: Kept::Session,
            key: self.life.queued(held.place.get()),
            value: Some(records::write_queued(held.subscription, held.retained, &held.message)),
            waits,
        }
    }

    /// It is told what becomes of a change itself.
    fn told(&self) -> Option<(Arc<dyn Port>, Ticket)> {
        Some((self.me.upgrade()? as Arc<dyn Port>, Ticket(0)))
    }

    /// Has the committer ask by then, unless it will.
    fn ask_by(self: &Arc<Self>, mut state: parking_lot::MutexGuard<'_, State>, by: Duration) {
        let tasks = state.tasks();
        if tasks.asked_by.is_some_and(|asked| asked <= by) {
            return;
        }
        tasks.asked_by = Some(by);
        drop(state);
        self.node.inboxes.keep_from(self.clone(), by);
    }
}

impl State {
    fn tasks(&mut self) -> &mut Tasks {
        self.tasks.get_or_insert_default()
    }
}

impl Keeping for Journal {
    fn gather(&self, now: Duration, all: bool, into: &mut Vec<KeptChange>) -> Option<Duration> {
        let mut state = self.state.lock();
        let tells_of_gone = state.tells_of_gone;
        let tasks = state.tasks.as_mut()?;
        let is_due = |due: Duration| all || due <= now;
        // What came after something that is kept together with others waits for that: a crash must not leave it without what was before it.
        let first_shared = (tasks.shared.front()).filter(|_| !all).map(|shared| shared.place);
        let comes_after = |held: &Held| first_shared.is_some_and(|shared| shared < held.place);
        let (most, mut bytes) = (into.len() + GATHERED_MAX, 0);
        let change = |key, value, waits| KeptChange {
            kept: Kept::Session,
            key,
            value,
            waits,
        };
        while into.len() < most
            && bytes < BATCH_BYTES_MAX
            && (tasks.held.front())
                .is_some_and(|held| (is_due(held.due) || held.place.get() <= tasks.due_up_to) && !comes_after(held))
            && let Some(held) = tasks.held.pop_front()
        {
            let change = self.queued(held, &mut tasks.writing);
            bytes += change.value.as_ref().map_or(0, bytes::Bytes::len);
            into.push(change);
        }
        let room = most.saturating_sub(into.len()).min(tasks.taken.len());
        for place in tasks.taken.drain(..room) {
            tasks.writing.take(place);
            let record = (!inbox_types::fault!(ForgetTaken)).then(records::write_nil);
            into.push(change(self.life.queued(place.get()), record, self.told()));
        }
        // After what was taken: that may be among them.
        if !tasks.gone.is_empty() && tasks.taken.is_empty() && is_due(tasks.gone_since + self.node.holds.removal) {
            let room = most.saturating_sub(into.len()).min(tasks.gone.len());
            let gone = tasks.gone.drain(..room);
            let gone = gone.filter(|_| !inbox_types::fault!(KeepAcknowledged));
            into.extend(gone.map(|place| change(self.life.queued(place), None, None)));
            if tells_of_gone && let Some(last) = into.last_mut().filter(|_| room > 0) {
                tasks.writing.leave(tasks.oldest_gone);
                last.waits = last.waits.take().or_else(|| self.told());
            }
            if tasks.gone.is_empty() {
                tasks.oldest_gone = None;
            }
        }
        let held = tasks
            .held
            .front()
            .map(|held| match held.place.get() <= tasks.due_up_to {
                _ if comes_after(held) => held.due.max(now + self.node.holds.message),
                true => now,
                false => held.due,
            });
        let taken = (!tasks.taken.is_empty()).then_some(now);
        let gone = (!tasks.gone.is_empty()).then(|| tasks.gone_since + self.node.holds.removal);
        let next = held.into_iter().chain(taken).chain(gone).min();
        tasks.asked_by = next;
        if tasks.is_nothing() {
            state.tasks = None;
        }
        next
    }
}

/// Takes out what is at `place`, if it is there. Those are in the order of their places.
fn take(held: &mut VecDeque<Held>, place: NonZeroU64) -> Option<Held> {
    // Clients mostly answer in order.
    if held.front().is_some_and(|held| held.place == place) {
        return held.pop_front();
    }
    let at = held.binary_search_by_key(&place, |held| held.place).ok()?;
    held.remove(at)
}

impl Tasks {
    fn is_nothing(&self) -> bool {
        self.held.is_empty()
            && self.shared.is_empty()
            && self.taken.is_empty()
            && self.gone.is_empty()
            && self.writing.is_nothing()
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Journal").field(&self.life).finish()
    }
}
