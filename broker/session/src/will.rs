//! Wills: kept as long as they may have to be published, and published when their client disappeared (MQTT 5, section 3.1.2.5).
//!
//! **Promise.** CONNACK means that the will is durable: if the broker crashes, and the client does not come back, it is published after the restart. It leaves
//! the store when it is published, durably where its QoS asks for that, or when it does not have to be any more: a crash in between publishes it again.

use std::sync::{Arc, OnceLock};

use access::{Denied, Identity};
use bytes::Bytes;
use inbox_types::{Age, AttachmentId, ClientId, Delivery, Kept, Node, Outcome, Port, Qos, Room, Ticket};

use crate::keeping::{RestoredWill, write_will};
use crate::refusals::Cause;
use crate::session::{Shared, Will};
use intake::{Publication, Shut, Taken};
use pubsub::{OrdinaryMessage, Published, Router};

/// A will that is not published yet, and where the store has it.
#[derive(Debug)]
pub struct PendingWill {
    /// What is to be published.
    pub will: Will,
    key: OnceLock<Bytes>,
    /// Its client had a connection when the broker ended: any new one means that it has not disappeared.
    pub(crate) is_of_before: bool,
}

impl PendingWill {
    /// Of a connection that begins. It is in memory only.
    pub fn new(will: Will) -> Self {
        PendingWill {
            will,
            key: OnceLock::new(),
            is_of_before: false,
        }
    }

    /// One that the store has.
    pub(crate) fn restored(restored: RestoredWill) -> Self {
        PendingWill {
            will: restored.will,
            key: restored.key.into(),
            is_of_before: restored.due.is_none(),
        }
    }

    /// Has the store keep it there, as the will of `who`. Who `waits` is told when that is durable.
    pub(crate) fn keep(&self, key: Bytes, who: &Identity, node: &Node, waits: (Arc<dyn Port>, Ticket)) {
        let record = write_will(who, &self.will, None);
        let key = self.key.get_or_init(|| key).clone();
        node.inboxes.keep(Kept::Will, key, Some(record), Some(waits));
    }

    /// The connection has ended, and the will is due at that age of the store.
    pub(crate) fn is_due_at(&self, due: Age, who: &Identity, node: &Node) {
        if let Some(key) = self.key.get() {
            let record = write_will(who, &self.will, Some(due));
            node.inboxes.keep(Kept::Will, key.clone(), Some(record), None);
        }
    }

    /// It is published, or does not have to be.
    pub fn forget(&self, node: &Node) {
        if let Some(key) = self.key.get() {
            node.inboxes.keep(Kept::Will, key.clone(), None, None);
        }
    }
}

/// Publishes `will` as the message of `who`. Nobody awaits an acknowledgement, so a refusal is only counted and logged.
pub(crate) async fn publish(shared: &Arc<Shared>, router: &Router, who: &Identity, will: Arc<PendingWill>) {
    let Some((message, executor)) = deliver(shared, who, will) else {
        return;
    };
    let published = match message.qos {
        Qos::AtMostOnce => router.publish(message).await.map(Published::Now),
        _ => {
            let port: Arc<dyn Port> = executor.clone();
            router.publish_for(message, &port, Ticket(0)).await
        }
    };
    match published {
        Ok(Published::Now(_)) => executor.published(),
        Ok(Published::Later(_)) => {}
        Err(why) => executor.refused(&why),
    }
}

/// Publishes a will to an inbox; gives the message if it is for the router, and who is to be told what became of it.
pub fn deliver(
    shared: &Arc<Shared>,
    who: &Identity,
    will: Arc<PendingWill>,
) -> Option<(OrdinaryMessage, Arc<Executor>)> {
    let Will {
        topic,
        qos,
        retain,
        delay: _,
        message_expiry,
        payload,
        properties,
    } = &will.will;
    let said = || Publication {
        qos: *qos,
        retain: *retain,
        message_expiry: *message_expiry,
        payload: payload.clone(),
        properties: properties.clone(),
    };
    let taken = shared.intake(shared.node.now()).take(who, topic, said);
    let executor = Arc::new(Executor {
        shared: shared.clone(),
        from: who.client_id().clone(),
        will: will.clone(),
    });
    if let Ok(Taken::Inbox(inbox, _)) = &taken {
        shared.wrote(who, inbox);
    }
    match taken {
        Ok(Taken::Inbox(inbox, message)) if *qos == Qos::AtMostOnce => {
            shared.node.inboxes.publish_qos0(&inbox, message);
            executor.published();
        }
        Ok(Taken::Inbox(inbox, message)) => {
            let port: Arc<dyn Port> = executor;
            let will = &mut vec![(message, Ticket(0))];
            shared.node.inboxes.publish(&inbox, &port, will, shared.node.now());
        }
        Ok(Taken::Ordinary(message)) => return Some((message, executor)),
        Err(shut) => {
            let is_reserved = shut == Shut::Denied(Denied::Reserved);
            shared.metrics.reserved_topics_dropped.add(u64::from(is_reserved));
            executor.refused(&shut);
        }
    }
    None
}

/// Waits for the outcome of a will whose client is gone.
pub struct Executor {
    shared: Arc<Shared>,
    from: ClientId,
    will: Arc<PendingWill>,
}

impl Executor {
    /// It is published, as safely as it is to be.
    pub fn published(&self) {
        self.shared.metrics.wills_published.add(1);
        self.will.forget(&self.shared.node);
    }

    fn refused(&self, why: &dyn std::fmt::Display) {
        let now = self.shared.node.now().mono;
        let topic = &self.will.will.topic;
        self.shared
            .metrics
            .refusals
            .note(Cause::Will, &self.from, topic, why, now);
        self.will.forget(&self.shared.node);
    }
}

impl Port for Executor {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, outcome: Outcome) {
        match outcome {
            Outcome::Accepted(_) => self.published(),
            Outcome::Refused(why) => self.refused(&why),
        }
    }
}
