//! Publishing the will of a client that disappeared (MQTT 5, section 3.1.2.5). It leaves the store when it is published as safely as its QoS says: a crash in
//! between publishes it again.

use std::sync::Arc;

use access::{Denied, Identity};
use inbox_types::{AttachmentId, ClientId, Delivery, Outcome, Port, Qos, Room, Ticket};

use crate::keeping::{PendingWill, Will};
use crate::refusals::Cause;
use crate::session::Shared;
use intake::{Publication, Shut, Taken};
use pubsub::{OrdinaryMessage, Published, Router};

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
fn deliver(
    shared: &Arc<Shared>,
    who: &Identity,
    will: Arc<PendingWill>,
) -> Option<(Arc<OrdinaryMessage>, Arc<Executor>)> {
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
        Ok(Taken::Inbox(inbox, mut message)) => {
            // A crash before its record is gone publishes it again: so that it is stored once all the same.
            if let Some(named) = Arc::get_mut(&mut message).filter(|message| message.id.is_none()) {
                named.id = will.id().filter(|_| !inbox_types::fault!(RepeatWill));
            }
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
pub(crate) struct Executor {
    shared: Arc<Shared>,
    from: ClientId,
    will: Arc<PendingWill>,
}

impl Executor {
    /// It is published, as safely as it is to be.
    fn published(&self) {
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
