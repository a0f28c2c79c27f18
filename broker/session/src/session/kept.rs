//! A session that outlives its connections, and is kept in the store: what it says to its journal.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use inbox_types::{Outcome, Port, Ticket};
use mqtt_codec::{PacketId, RetainHandling, SubscriptionOptions};
use pubsub::Publisher;

use super::packet_ids::PacketIds;
use super::subscribe::InboxSubscription;
use super::subscriptions::{Subscription, counted};
use super::{Ending, Session};
use crate::closed::Closed;
use crate::keeping::{Head, Journal, KeptSubscription, OWN_INBOX, PendingWill, will_key};

/// Tickets of what is kept have these bits, those of publishes do not: these count up from zero.
const KEPT: u64 = 3 << 62;

/// What a session knows of how it is kept.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// The answer to the last SUBSCRIBE or UNSUBSCRIBE, until what it tells is durable.
    answer: Option<Box<KeptAnswer>>,
    /// Tickets that were given.
    answers: u64,
    /// Connections with a will.
    connections: u32,
    /// Which packet identifiers it may use.
    pub(super) ids: PacketIds,
    /// What is kept up to this place may have been sent before the broker ended.
    pub(super) sent_up_to: u64,
}

impl Keeping {
    /// Whether a message that is kept there may have been sent by the broker before this one (MQTT-3.3.1-1).
    pub(super) fn may_have_been_sent(&self, kept: Option<NonZeroU64>) -> bool {
        kept.is_some_and(|place| place.get() <= self.sent_up_to)
    }

    /// One that was not given before.
    fn ticket(&mut self) -> Ticket {
        self.answers += 1;
        Ticket(KEPT | self.answers)
    }

    /// Whether an answer is to be given before anything else is sent.
    pub(super) fn waits(&self) -> bool {
        self.answer.is_some()
    }

    /// Whether that is CONNACK.
    pub(super) fn connack_waits(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.is_connack)
    }
}

/// An answer that waits.
#[derive(Debug)]
struct KeptAnswer {
    ticket: Ticket,
    bytes: Vec<u8>,
    /// The inbox is to be read then.
    attach: bool,
    /// It is CONNACK.
    is_connack: bool,
    /// What is to be kept after that, and before the answer: others must have something first.
    then: Changes,
}

/// Subscriptions, by their numbers without QoS: what they are from now on, if anything.
type Changes = Vec<(u32, Option<KeptSubscription>)>;

impl Session {
    /// A connection begins: a session that will outlive it is kept from now on. It stays so until it ends.
    pub(super) fn keep_from_now(&mut self) {
        let is_kept = self.link.session_expiry > 0 && self.shared.mqtt.durable_sessions;
        if is_kept && self.outbox.journal().is_none() {
            let journal = Journal::new(&self.id, self.shared.node.clone(), self.outbox.waits());
            self.outbox.keep_in(journal);
        }
        self.keep_head(None);
    }

    /// The connection has ended.
    pub(crate) fn is_left(&mut self) {
        let node = &self.shared.node;
        let age = node.inboxes.age(node.now());
        self.keep_head(Some(age.0));
    }

    /// CONNACK, which is all that is written, is given when the will of the connection is durable (MQTT-3.1.2-7). A will that the store does not take now is
    /// in memory only.
    pub(super) fn hold_connack_until_will_is_kept(&mut self) {
        let inboxes = &self.shared.node.inboxes;
        let is_kept = self.shared.mqtt.will_after_restart.is_some();
        let will = self.link.will.take().filter(|_| is_kept && inboxes.refuses().is_none());
        let Some(will) = will else { return };
        let ticket = self.keeping.ticket();
        let begins = inboxes.age(self.shared.node.now());
        let key = will_key(&self.id, begins, self.key, self.keeping.connections);
        self.keeping.connections = self.keeping.connections.wrapping_add(1);
        if !inbox_types::fault!(AckWillEarly) {
            let connack = std::mem::take(&mut self.out);
            self.wait_for(KeptAnswer {
                ticket,
                bytes: connack,
                attach: false,
                is_connack: true,
                then: Changes::new(),
            });
        }
        let waits = (self.outbox.clone() as Arc<dyn Port>, ticket);
        let expiry = self.link.session_expiry;
        will.keep(key, &self.identity, expiry, &self.shared.node, waits);
    }

    /// The connection has ended, and its will is due after `delay`.
    pub(crate) fn will_is_due_in(&self, will: &PendingWill, delay: Duration) {
        let node = &self.shared.node;
        let due = node.inboxes.age(node.now()).after(delay);
        will.is_due_at(due, &self.identity, node);
    }

    /// The client said goodbye.
    pub(crate) fn will_is_void(&self, will: &PendingWill) {
        if !inbox_types::fault!(KeepVoidWill) {
            will.forget(&self.shared.node);
        }
    }

    /// Has more packet identifiers reserved, if few are left.
    pub(super) fn reserve_ids(&mut self) {
        if self.keeping.ids.are_few() {
            self.keep_head(None);
        }
    }

    /// A packet identifier that is not in use. There is one: see [`Session::room`].
    pub(super) fn free_id(&mut self) -> PacketId {
        let (ring, before) = (self.keeping.ids.in_turn(), self.outgoing.next_id());
        let id = self.outgoing.free_id(ring);
        self.keeping.ids.used(ring.steps(before, self.outgoing.next_id()));
        id
    }

    pub(super) fn keep_head(&mut self, left: Option<u64>) {
        let Some(journal) = self.outbox.journal() else { return };
        let (oldest, next) = (self.outgoing.oldest_id(), self.outgoing.next_id());
        let mut waits = None;
        let span = self.keeping.ids.is_kept().then(|| match left {
            Some(_) => self.keeping.ids.rest(oldest, next),
            None => {
                let ticket = self.keeping.ticket();
                let port: Arc<dyn Port> = self.outbox.clone();
                waits = Some((port, ticket));
                self.keeping.ids.ask(oldest, next, ticket)
            }
        });
        let head = Head {
            expiry: self.link.session_expiry,
            left,
            packet_ids: span.map(|span| (span.first.get(), span.end.get())),
        };
        journal.keep_head(&head, waits);
    }

    /// Has these subscriptions kept, and that to the own inbox, if it is one of those that were asked for. `bytes` are the answer, which is given when
    /// that is done; it is given at once where nothing is kept.
    pub(super) fn answer_when_kept(&mut self, granted: &[u32], own_inbox: bool, bytes: Vec<u8>, attach: bool) {
        let journal = self.outbox.journal().filter(|_| own_inbox || !granted.is_empty());
        let Some(journal) = journal.cloned() else {
            return self.give(&bytes, attach);
        };
        let granted = granted.iter().filter_map(|number| self.subscriptions.get(*number));
        let mut changes: Vec<_> = granted.map(|one| (counted(one.number), Some(kept(one)))).collect();
        changes.extend(own_inbox.then(|| (OWN_INBOX, self.inbox.as_ref().map(|inbox| self.kept_inbox(inbox)))));
        self.keep_and_answer(&journal, changes, bytes, attach);
    }

    /// The same for an UNSUBSCRIBE, which ended these. What waited for shared ones is handed to others, who hold on to `handed_over` until they have it: a
    /// crash must not find it with nobody.
    pub(super) fn answer_when_forgotten(
        &mut self,
        ended: Vec<u32>,
        handed_over: Option<(Ticket, Arc<Publisher>)>,
        bytes: Vec<u8>,
    ) {
        let journal = self.outbox.journal().filter(|_| !ended.is_empty());
        let Some(journal) = journal.cloned() else {
            return self.give(&bytes, false);
        };
        let changes = ended.into_iter().map(|number| (counted(number), None)).collect();
        match handed_over {
            None => self.keep_and_answer(&journal, changes, bytes, false),
            Some((ticket, _)) => self.wait_for(KeptAnswer {
                ticket,
                bytes,
                attach: false,
                is_connack: false,
                then: changes,
            }),
        }
    }

    /// Who is told when others have what waited for shared subscriptions that are ended here. Nobody, where nothing is kept.
    pub(super) fn hands_over(&mut self) -> Option<(Ticket, Arc<Publisher>)> {
        let port: Arc<dyn Port> = self.outbox.journal().map(|_| self.outbox.clone())?;
        let ticket = self.keeping.ticket();
        Some((ticket, Publisher::new(&port, ticket)))
    }

    fn wait_for(&mut self, answer: KeptAnswer) {
        // What the client sends next may be about the same filters.
        self.is_subscribing = true;
        self.keeping.answer = Some(Box::new(answer));
    }

    fn keep_and_answer(&mut self, journal: &Arc<Journal>, mut changes: Changes, bytes: Vec<u8>, attach: bool) {
        let Some((last_number, last)) = changes.pop() else {
            return self.give(&bytes, attach);
        };
        for (number, change) in &changes {
            journal.keep_subscription(*number, change.as_ref(), None);
        }
        let is_early = match last {
            Some(_) => inbox_types::fault!(AckSubscriptionEarly),
            None => inbox_types::fault!(AckEndEarly),
        };
        if is_early {
            journal.keep_subscription(last_number, last.as_ref(), None);
            return self.give(&bytes, attach);
        }
        let ticket = self.keeping.ticket();
        let port: Arc<dyn Port> = self.outbox.clone();
        self.wait_for(KeptAnswer {
            ticket,
            bytes,
            attach,
            is_connack: false,
            then: Changes::new(),
        });
        journal.keep_subscription(last_number, last.as_ref(), Some((port, ticket)));
    }

    /// Takes the outcome of what was to be kept, if it is one.
    pub(super) fn settle_kept(&mut self, ticket: Ticket, outcome: &Outcome) -> Result<bool, Ending> {
        if self.keeping.ids.told(ticket) || self.settle_exchange(ticket, outcome) {
            return Ok(true);
        }
        let is_meant = |waiting: &mut Box<KeptAnswer>| waiting.ticket == ticket;
        if let Outcome::Refused(_) = outcome
            && self.keeping.answer.as_mut().is_some_and(is_meant)
        {
            // The answer is never given.
            return Err(Closed::ShuttingDown.into());
        }
        let Some(waiting) = self.keeping.answer.take_if(is_meant) else {
            // Of an earlier connection, or of a publish.
            return Ok(ticket.0 & KEPT == KEPT);
        };
        self.is_subscribing = false;
        let KeptAnswer {
            bytes, attach, then, ..
        } = *waiting;
        match self.outbox.journal().cloned() {
            Some(journal) if !then.is_empty() => self.keep_and_answer(&journal, then, bytes, attach),
            _ => self.give(&bytes, attach),
        }
        Ok(true)
    }

    fn give(&mut self, bytes: &[u8], attach: bool) {
        self.out.extend_from_slice(bytes);
        if attach {
            self.attach();
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn drop_kept_answer(&mut self) {
        let Some(waiting) = self.keeping.answer.take() else {
            return;
        };
        self.is_subscribing = false;
        if let Some(journal) = self.outbox.journal() {
            for (number, change) in &waiting.then {
                journal.keep_subscription(*number, change.as_ref(), None);
            }
        }
    }

    fn kept_inbox(&self, inbox: &InboxSubscription) -> KeptSubscription {
        KeptSubscription {
            filter: self.inbox_topic.as_deref().unwrap_or_default().into(),
            options: SubscriptionOptions {
                qos: inbox.qos,
                no_local: inbox.no_local,
                retain_as_published: false,
                retain_handling: RetainHandling::Send,
            },
            subscription_id: inbox.subscription_id,
        }
    }
}

fn kept(subscription: &Subscription) -> KeptSubscription {
    KeptSubscription {
        filter: subscription.filter.to_text(),
        options: subscription.options(),
        subscription_id: subscription.subscription_id(),
    }
}
