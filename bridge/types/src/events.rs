//! What happens in a broker, for whoever wants to know: one typed, bounded stream with a queue for each listener.
//!
//! Nobody waits for a listener. What it has no room for it misses, and it is told how much that was; counters and the log have it
//! nevertheless. Where nobody listens to a kind of event, one relaxed load is all that it costs: the event is not even made.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::client_id::ClientId;
use crate::message::Seq;
use crate::port::Left;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client was let in: its CONNECT is accepted.
    Connected {
        /// Its ID.
        client: ClientId,
        /// The other end of its network connection.
        peer: SocketAddr,
        /// The name of the listener that it came through, where there is one.
        listener: Option<Arc<str>>,
        /// Whose client it is; `None`: anybody's.
        user: Option<Box<str>>,
        /// The roles of the user.
        roles: Vec<Box<str>>,
        /// What showed who it is, in one word.
        how: &'static str,
    },
    /// A client was not let in.
    TurnedAway {
        /// The other end of its network connection.
        peer: SocketAddr,
        /// The name of the listener that it came through, where there is one.
        listener: Option<Arc<str>>,
        /// The client ID that it asked for, if it came so far. It may be cut.
        client: Option<Box<str>>,
        /// The user name that it gave. It may be cut, and is not proven to be its own.
        user: Option<Box<str>>,
        /// The cause, as counters and log records name it.
        cause: &'static str,
        /// A sentence.
        why: Box<str>,
    },
    /// A client showed anew who it is, on the connection that it has.
    Renewed {
        /// Its ID.
        client: ClientId,
        /// Whose client it is.
        user: Option<Box<str>>,
        /// The roles of the user from now on.
        roles: Vec<Box<str>>,
        /// What showed it, in one word.
        how: &'static str,
    },
    /// The connection of a client that was let in has ended.
    Disconnected {
        /// Its ID.
        client: ClientId,
        /// The other end of its network connection.
        peer: SocketAddr,
        /// Whose client it is; `None`: anybody's.
        user: Option<Box<str>>,
        /// The reason code, if the broker ended it.
        reason: Option<u8>,
        /// Why it did, in the words of its counters.
        cause: Option<&'static str>,
        /// A sentence.
        why: Box<str>,
    },
    /// A connection, a publish or a subscription was refused.
    Refused {
        /// The client ID, or the address of a client that has none yet.
        who: Box<str>,
        /// The topic or filter; empty where there is none.
        what: Box<str>,
        /// The cause, as counters and log records name it.
        cause: &'static str,
        /// A sentence.
        why: Box<str>,
    },
    /// An inbox took a message. It is not durable yet (contract rule 3).
    Accepted {
        /// Whose inbox.
        inbox: ClientId,
        /// Its place there.
        seq: Seq,
        /// The sender.
        from: ClientId,
        /// The sender's `id`.
        id: Option<Box<str>>,
        /// The sender's user property `traceparent` (W3C Trace Context).
        traceparent: Option<Box<str>>,
    },
    /// A message became durable.
    Committed {
        /// Whose inbox.
        inbox: ClientId,
        /// Its place there.
        seq: Seq,
    },
    /// A message was handed to its reader.
    Delivered {
        /// Whose inbox.
        inbox: ClientId,
        /// Its place there.
        seq: Seq,
        /// It may have been sent before.
        dup: bool,
    },
    /// A message became durable for a client that is not there to read it.
    Stored {
        /// Whose inbox.
        inbox: ClientId,
        /// Its place there.
        seq: Seq,
    },
    /// A message left because its reader has it (contract rule 5).
    Acknowledged {
        /// Whose inbox.
        inbox: ClientId,
        /// Its place there.
        seq: Seq,
        /// It was never written: its reader was faster than the disk.
        is_cancelled: bool,
    },
    /// A message left without being read (contract rule 5).
    Left {
        /// Whose inbox.
        inbox: ClientId,
        /// Its place there.
        seq: Seq,
        /// The sender.
        from: ClientId,
        /// The sender's `id`.
        id: Option<Box<str>>,
        /// By which rule.
        why: Left,
    },
    /// An operator removed what an inbox held.
    Purged {
        /// Whose inbox.
        inbox: ClientId,
        /// Up to which place.
        up_to: Seq,
        /// How many messages.
        messages: u64,
    },
}

/// The kinds of [`Event`], which one can listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum EventKind {
    /// [`Event::Connected`].
    Connected,
    /// [`Event::TurnedAway`].
    TurnedAway,
    /// [`Event::Renewed`].
    Renewed,
    /// [`Event::Disconnected`].
    Disconnected,
    /// [`Event::Refused`].
    Refused,
    /// [`Event::Accepted`].
    Accepted,
    /// [`Event::Stored`].
    Stored,
    /// [`Event::Acknowledged`].
    Acknowledged,
    /// [`Event::Left`].
    Left,
    /// [`Event::Purged`].
    Purged,
    /// [`Event::Committed`].
    Committed,
    /// [`Event::Delivered`].
    Delivered,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 12] = [
        EventKind::Connected,
        EventKind::TurnedAway,
        EventKind::Renewed,
        EventKind::Disconnected,
        EventKind::Refused,
        EventKind::Accepted,
        EventKind::Stored,
        EventKind::Acknowledged,
        EventKind::Left,
        EventKind::Purged,
        EventKind::Committed,
        EventKind::Delivered,
    ];
    /// What happens to a message from its acceptance to its end, but for [`EventKind::Stored`], which goes with [`EventKind::Committed`].
    pub const OF_MESSAGES: [EventKind; 6] = [
        EventKind::Accepted,
        EventKind::Committed,
        EventKind::Delivered,
        EventKind::Acknowledged,
        EventKind::Left,
        EventKind::Purged,
    ];
}

/// Where events are told, and listened to. One for each broker.
#[derive(Debug, Default)]
pub struct Events {
    /// How many listen to each kind.
    wanted: [AtomicUsize; EventKind::ALL.len()],
    queues: Mutex<Vec<Arc<Queue>>>,
}

#[derive(Debug)]
struct Queue {
    kinds: Vec<EventKind>,
    sender: flume::Sender<Event>,
    missed: AtomicU64,
}

impl Events {
    /// Tells an event of this kind, which is made only if somebody listens. Does not wait.
    #[inline]
    pub fn tell(&self, kind: EventKind, make: impl FnOnce() -> Event) {
        if self.is_wanted(kind) {
            self.pass_on(kind, &make());
        }
    }

    /// Whether somebody listens to this kind: for what has to be kept until such an event is made.
    #[inline]
    pub fn is_wanted(&self, kind: EventKind) -> bool {
        let wanted = self.wanted.get(kind as usize);
        wanted.is_some_and(|wanted| wanted.load(Relaxed) > 0)
    }

    #[cold]
    fn pass_on(&self, kind: EventKind, event: &Event) {
        for queue in self.queues.lock().iter().filter(|queue| queue.kinds.contains(&kind)) {
            if queue.sender.try_send(event.clone()).is_err() {
                queue.missed.fetch_add(1, Relaxed);
            }
        }
    }

    /// Listens to these kinds of events from now on, until what is given is dropped. At most `most` wait for it.
    pub fn listen(self: &Arc<Self>, kinds: &[EventKind], most: usize) -> Listener {
        let (sender, receiver) = flume::bounded(most);
        let queue = Arc::new(Queue {
            kinds: kinds.to_vec(),
            sender,
            missed: AtomicU64::new(0),
        });
        self.queues.lock().push(queue.clone());
        self.count(&queue.kinds, |wanted| wanted.fetch_add(1, Relaxed));
        Listener {
            events: self.clone(),
            queue,
            receiver,
        }
    }

    fn count(&self, kinds: &[EventKind], change: impl Fn(&AtomicUsize) -> usize) {
        for wanted in kinds.iter().filter_map(|kind| self.wanted.get(*kind as usize)) {
            change(wanted);
        }
    }
}

/// Somebody who listens to [`Events`].
#[derive(Debug)]
pub struct Listener {
    events: Arc<Events>,
    queue: Arc<Queue>,
    receiver: flume::Receiver<Event>,
}

/// What a [`Listener`] hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Something happened.
    Event(Event),
    /// So many events were missed since this was told last: the listener is too slow. They are newer than what it heard before.
    Missed(u64),
}

impl Listener {
    /// The next event, when there is one. Can be dropped while it waits: nothing gets lost.
    pub async fn next(&self) -> Heard {
        if let Some(missed) = self.missed() {
            return missed;
        }
        match self.receiver.recv_async().await {
            Ok(event) => Heard::Event(event),
            // The queue has its sender, as long as this is there.
            Err(flume::RecvError::Disconnected) => unreachable!("a listener holds the sender of its queue"),
        }
    }

    /// The next event, if there is one.
    pub fn try_next(&self) -> Option<Heard> {
        self.missed()
            .or_else(|| self.receiver.try_recv().ok().map(Heard::Event))
    }

    /// What was missed is told when everything that came before it was heard.
    fn missed(&self) -> Option<Heard> {
        let missed = self.receiver.is_empty().then(|| self.queue.missed.swap(0, Relaxed))?;
        (missed > 0).then_some(Heard::Missed(missed))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.events
            .count(&self.queue.kinds, |wanted| wanted.fetch_sub(1, Relaxed));
        self.events
            .queues
            .lock()
            .retain(|queue| !Arc::ptr_eq(queue, &self.queue));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledged(seq: u64) -> Event {
        Event::Acknowledged {
            inbox: ClientId::new("bob").unwrap(),
            seq: Seq(seq),
            is_cancelled: false,
        }
    }

    /// Goal: where nobody listens to a kind, the event is not even made, before, between and after.
    #[test]
    fn an_event_that_nobody_wants_is_not_made() {
        let events = Arc::new(Events::default());
        let unwanted = || events.tell(EventKind::Acknowledged, || unreachable!("nobody listens"));
        unwanted();
        let listener = events.listen(&[EventKind::Left, EventKind::Stored], 8);
        unwanted();
        events.tell(EventKind::Stored, || Event::Stored {
            inbox: ClientId::new("bob").unwrap(),
            seq: Seq(1),
        });
        assert!(matches!(listener.try_next(), Some(Heard::Event(Event::Stored { .. }))));
        let second = events.listen(&[EventKind::Acknowledged], 8);
        events.tell(EventKind::Acknowledged, || acknowledged(7));
        assert_eq!(second.try_next(), Some(Heard::Event(acknowledged(7))));
        assert_eq!(listener.try_next(), None);
        drop((listener, second));
        unwanted();
        assert!(events.queues.lock().is_empty());
    }

    /// Goal: a listener that is too slow stops nobody, hears in order what it has room for, and then how much it missed.
    #[test]
    fn a_slow_listener_is_told_what_it_missed() {
        let events = Arc::new(Events::default());
        let (slow, fast) = (
            events.listen(&EventKind::ALL, 2),
            events.listen(&[EventKind::Acknowledged], 100),
        );
        for seq in 0..5 {
            events.tell(EventKind::Acknowledged, || acknowledged(seq));
        }
        let heard: Vec<_> = std::iter::from_fn(|| slow.try_next()).collect();
        assert_eq!(
            heard,
            [
                Heard::Event(acknowledged(0)),
                Heard::Event(acknowledged(1)),
                Heard::Missed(3)
            ]
        );
        events.tell(EventKind::Acknowledged, || acknowledged(5));
        assert_eq!(slow.try_next(), Some(Heard::Event(acknowledged(5))));
        assert_eq!(std::iter::from_fn(|| fast.try_next()).count(), 6);
    }
}
