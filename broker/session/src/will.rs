//! Publishing the will of a client that disappeared (MQTT 5, section 3.1.2.5). It leaves the store when it is published as safely as its QoS says: a crash in
//! between publishes it again. While nothing new is taken, because the disk is nearly full for instance, a will that the store has is put off.

use std::sync::Arc;

use access::{Denied, Identity};
use bytes::Bytes;
use inbox_types::{AttachmentId, Delivery, Outcome, Port, Qos, Refusal, Room, Ticket};
use parking_lot::Mutex;

use crate::keeping::{PendingWill, Will};
use crate::refusals::Cause;
use crate::session::Shared;
use intake::{Publication, Shut, Taken};
use pubsub::{OrdinaryMessage, PublishError, Published, Router};

/// Wills that are due, and have to wait until something new is taken.
#[derive(Debug, Default)]
pub(crate) struct PutOff(Mutex<Vec<(Identity, Arc<PendingWill>)>>);

impl PutOff {
    /// All of them; whoever is still refused comes back.
    pub(crate) fn take(&self) -> Vec<(Identity, Arc<PendingWill>)> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Their payloads.
    pub(crate) fn look(&self) -> Vec<Bytes> {
        self.0
            .lock()
            .iter()
            .map(|(_, will)| will.will.payload.clone())
            .collect()
    }
}

/// Publishes `will` as the message of `who`. Nobody awaits an acknowledgement, so a refusal is only counted and logged.
pub(crate) async fn publish(
    shared: &Arc<Shared>,
    router: &Router,
    put_off: &Arc<PutOff>,
    who: &Identity,
    will: Arc<PendingWill>,
) {
    let executor = Arc::new(Executor {
        shared: shared.clone(),
        put_off: put_off.clone(),
        who: who.clone(),
        will,
    });
    let Some(message) = deliver(&executor) else {
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
        Err(PublishError::Refused(why)) => executor.refused_for(why),
        Err(why) => executor.refused(&why),
    }
}

/// Publishes a will to an inbox; gives the message if it is for the router.
fn deliver(executor: &Arc<Executor>) -> Option<Arc<OrdinaryMessage>> {
    let Executor { shared, who, will, .. } = &**executor;
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
    if let Ok(Taken::Inbox(inbox, _)) = &taken {
        shared.wrote(who, inbox);
    }
    match taken {
        Ok(Taken::Inbox(inbox, message)) if *qos == Qos::AtMostOnce => {
            shared.node.inboxes.publish_qos0(&inbox, message);
            executor.published();
        }
        Ok(Taken::Inbox(inbox, mut message)) => {
            // A crash before its record is gone publishes it again: so that it is stored once all the same.
            if let Some(named) = Arc::get_mut(&mut message).filter(|message| message.id.is_none()) {
                named.id = will.id().filter(|_| !inbox_types::fault!(RepeatWill));
            }
            let port: Arc<dyn Port> = executor.clone();
            let will = &mut vec![(message, Ticket(0))];
            shared.node.inboxes.publish(&inbox, &port, will, shared.node.now());
        }
        Ok(Taken::Ordinary(message)) => return Some(message),
        Err(shut) => {
            let is_reserved = shut == Shut::Denied(Denied::Reserved);
            shared.metrics.reserved_topics_dropped.add(u64::from(is_reserved));
            executor.refused(&shut);
        }
    }
    None
}

/// Waits for the outcome of a will whose client is gone.
pub(crate) struct Executor {
    shared: Arc<Shared>,
    put_off: Arc<PutOff>,
    who: Identity,
    will: Arc<PendingWill>,
}

impl Executor {
    /// It is published, as safely as it is to be.
    fn published(&self) {
        self.shared.metrics.wills_published.add(1);
        self.will.forget(&self.shared.node);
    }

    /// The same, if it is not only for now.
    fn refused_for(&self, why: Refusal) {
        if !why.is_for_now() || !self.will.is_kept() {
            return self.refused(&why);
        }
        let topic = &self.will.will.topic;
        tracing::warn!(client = %self.who.client_id(), topic, %why, "a will that is due waits");
        self.put_off.0.lock().push((self.who.clone(), self.will.clone()));
    }

    fn refused(&self, why: &dyn std::fmt::Display) {
        let now = self.shared.node.now().mono;
        let topic = &self.will.will.topic;
        self.shared
            .metrics
            .refusals
            .note(Cause::Will, self.who.client_id(), topic, why, now);
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
            Outcome::Refused(why) => self.refused_for(why),
        }
    }
}
