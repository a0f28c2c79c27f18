//! A session whose client is away: what outlives a connection, and nothing else. There are very many of them, so that counts; what few of them have is
//! in boxes.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use access::Identity;
use inbox_types::{Charge, ClientId, Qos, Seq};
use mqtt_codec::PacketId;
use pubsub::SessionKey;

use super::bounce::Bounces;
use super::in_flight::Outgoing;
use super::incoming::Incoming;
use super::kept::Keeping;
use super::subscribe::InboxSubscription;
use super::subscriptions::Subscriptions;
use super::{Link, Outbox, RouterCall, Session, Shared};

/// See the module's documentation.
pub(crate) struct Absent {
    /// Of the last connection.
    identity: Identity,
    key: SessionKey,
    outbox: Arc<Outbox>,
    pub(super) subscriptions: Subscriptions,
    inbox: Option<ReadsInbox>,
    /// In seconds; `u32::MAX` is for ever.
    pub(super) session_expiry: u32,
    pub(super) keeping: Keeping,
    exchanges: Exchanges,
}

/// How the inbox is read.
struct ReadsInbox {
    qos: Qos,
    no_local: bool,
    subscription_id: Option<u32>,
}

/// What connections began.
enum Exchanges {
    /// All is finished, and counted on from here.
    Finished {
        first_ticket: u64,
        last_notice: u64,
        next_id: PacketId,
    },
    Open(Box<Open>),
}

struct Open {
    incoming: Incoming,
    outgoing: Outgoing,
    bouncing: Bounces,
    calls: VecDeque<RouterCall>,
    acknowledged: Vec<Seq>,
    rejected: Vec<(Seq, u8)>,
}

impl Absent {
    /// A session that has no past.
    pub(super) fn new(id: ClientId, key: SessionKey, shared: &Arc<Shared>) -> Self {
        let budget = &shared.node.budgets.all;
        Absent {
            identity: Identity::anonymous(id),
            key,
            outbox: Arc::new(Outbox::new(shared)),
            subscriptions: Subscriptions::new(Charge::new(budget)),
            inbox: None,
            session_expiry: 0,
            keeping: Keeping::default(),
            exchanges: Exchanges::Finished {
                first_ticket: 0,
                last_notice: 0,
                next_id: PacketId::MIN,
            },
        }
    }

    /// Who its client is.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The name by which the router knows it.
    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// What waits for it.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Whether the router knows this session.
    pub(crate) fn uses_router(&self) -> bool {
        !self.subscriptions.is_empty()
    }

    /// Whether it has a shared subscription.
    pub(crate) fn has_shares(&self) -> bool {
        self.subscriptions.has_shares()
    }

    /// What the store has of it was that of `who`.
    pub(crate) fn was_of(&mut self, who: Identity) {
        self.identity = who;
    }

    /// How it reads its inbox, if it does.
    pub(super) fn inbox_qos(&self) -> Option<Qos> {
        self.inbox.as_ref().map(|inbox| inbox.qos)
    }

    /// Where that is.
    pub(super) fn inbox_topic(&self) -> Option<Box<str>> {
        self.outbox.shared().names.topic_of(self.identity.client_id())
    }

    /// Messages to the client that are in flight, if there are any.
    pub(super) fn outgoing(&self) -> Option<&Outgoing> {
        match &self.exchanges {
            Exchanges::Finished { .. } => None,
            Exchanges::Open(open) => Some(&open.outgoing),
        }
    }

    /// It reads its inbox.
    pub(super) fn reads_inbox(&mut self, qos: Qos, no_local: bool, subscription_id: Option<u32>) {
        self.inbox = Some(ReadsInbox {
            qos,
            no_local,
            subscription_id,
        });
    }

    /// These exchanges go on.
    pub(super) fn goes_on(&mut self, incoming: Incoming, outgoing: Outgoing) {
        self.exchanges = Exchanges::Open(Box::new(Open {
            outgoing,
            incoming,
            bouncing: Bounces::default(),
            calls: VecDeque::new(),
            acknowledged: Vec::new(),
            rejected: Vec::new(),
        }));
    }

    /// The client is back, or what is left is to be done for it.
    pub(crate) fn wake(self) -> Box<Session> {
        let Absent {
            identity,
            key,
            outbox,
            mut subscriptions,
            inbox,
            session_expiry,
            keeping,
            exchanges,
        } = self;
        subscriptions.wake();
        let shared = outbox.shared().clone();
        let mut link = Link::default();
        link.session_expiry = session_expiry;
        let open = match exchanges {
            Exchanges::Open(open) => *open,
            Exchanges::Finished {
                first_ticket,
                last_notice,
                next_id,
            } => Open {
                incoming: Incoming::from(first_ticket),
                outgoing: Outgoing::from(next_id),
                bouncing: Bounces::after(last_notice),
                calls: VecDeque::new(),
                acknowledged: Vec::new(),
                rejected: Vec::new(),
            },
        };
        Box::new(Session {
            id: identity.client_id().clone(),
            inbox_topic: shared.names.topic_of(identity.client_id()),
            identity,
            proof: None,
            key,
            shared,
            outbox,
            id_is_assigned: false,
            inbox: inbox.map(|inbox| InboxSubscription {
                qos: inbox.qos,
                no_local: inbox.no_local,
                subscription_id: inbox.subscription_id,
                attachment: None,
                prev: None,
            }),
            subscriptions,
            incoming: open.incoming,
            bouncing: open.bouncing,
            oversized: None,
            outgoing: open.outgoing,
            held: None,
            rate: None,
            link,
            out: Vec::new(),
            calls: open.calls,
            pace: None,
            publishes: false,
            is_subscribing: false,
            keeping,
            settle_when_written: VecDeque::new(),
            bytes_written: 0,
            acknowledged: open.acknowledged,
            rejected: open.rejected,
            done: Vec::new(),
            outcomes: Vec::new(),
            stopwatch: super::Stopwatch::default(),
            replies: Vec::new(),
            to_hand_in: Vec::new(),
            for_inbox: None,
            last_inbox: None,
        })
    }
}

impl Session {
    /// Its connection has ended, and it is put away. To be called as [`Outbox::forget_order`] is.
    pub(crate) fn rest(mut self: Box<Self>) -> Box<Absent> {
        self.stopwatch.tell_received(&self.shared.metrics);
        self.stopwatch.tell_sent(&self.shared.metrics);
        let exchanges = self.take_exchanges();
        self.outbox.rest();
        let budget = &self.shared.node.budgets.all;
        let mut subscriptions = mem::replace(&mut self.subscriptions, Subscriptions::new(Charge::new(budget)));
        subscriptions.rest();
        let inbox = self.inbox.as_ref().map(|inbox| ReadsInbox {
            qos: inbox.qos,
            no_local: inbox.no_local,
            subscription_id: inbox.subscription_id,
        });
        Box::new(Absent {
            identity: self.identity.clone(),
            key: self.key,
            outbox: self.outbox.clone(),
            subscriptions,
            inbox,
            session_expiry: self.link.session_expiry,
            keeping: mem::take(&mut self.keeping),
            exchanges,
        })
    }

    fn take_exchanges(&mut self) -> Exchanges {
        let nothing_to_tell = self.calls.is_empty() && self.acknowledged.is_empty() && self.rejected.is_empty();
        match (
            self.incoming.finished(),
            self.bouncing.finished(),
            self.outgoing.finished(),
        ) {
            (Some(first_ticket), Some(last_notice), Some(next_id)) if nothing_to_tell => Exchanges::Finished {
                first_ticket,
                last_notice,
                next_id,
            },
            _ => {
                self.shrink();
                Exchanges::Open(Box::new(Open {
                    incoming: mem::take(&mut self.incoming),
                    outgoing: mem::take(&mut self.outgoing),
                    bouncing: mem::take(&mut self.bouncing),
                    calls: mem::take(&mut self.calls),
                    acknowledged: mem::take(&mut self.acknowledged),
                    rejected: mem::take(&mut self.rejected),
                }))
            }
        }
    }
}
