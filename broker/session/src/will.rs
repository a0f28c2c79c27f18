//! Publishing the will of a client that disappeared (MQTT 5, section 3.1.2.5).

use std::sync::Arc;

use access::{Denied, Identity};
use inbox_types::{AttachmentId, ClientId, Delivery, Outcome, Port, Qos, Room, Ticket};

use crate::refusals::Cause;
use crate::session::{Shared, Will};
use intake::{Publication, Shut, Taken};
use pubsub::{OrdinaryMessage, Router};

/// Publishes `will` as the message of `who`. Nobody awaits an acknowledgement, so a refusal is only counted and logged.
pub(crate) async fn publish(shared: &Arc<Shared>, router: &Router, who: &Identity, will: Will) {
    let Some(message) = deliver(shared, who, will) else {
        return;
    };
    let (from, topic) = (message.from.clone(), message.topic.clone());
    if let Err(error) = router.publish(message).await {
        refused(shared, &from, &topic, &error);
    }
}

/// Publishes a will to an inbox; gives the message if it is for the router.
pub fn deliver(shared: &Arc<Shared>, who: &Identity, will: Will) -> Option<OrdinaryMessage> {
    let Will {
        topic,
        qos,
        retain,
        delay: _,
        message_expiry,
        payload,
        properties,
    } = will;
    let said = || Publication {
        qos,
        retain,
        message_expiry,
        payload,
        properties,
    };
    let taken = shared.intake(shared.node.now()).take(who, &topic, said);
    if let Ok(Taken::Inbox(inbox, _)) = &taken {
        shared.wrote(who, inbox);
    }
    match taken {
        Ok(Taken::Inbox(inbox, message)) if qos == Qos::AtMostOnce => {
            shared.metrics.wills_published.add(1);
            shared.node.inboxes.publish_qos0(&inbox, message);
        }
        Ok(Taken::Inbox(inbox, message)) => {
            let port: Arc<dyn Port> = Arc::new(Executor {
                shared: shared.clone(),
                from: message.from.clone(),
                topic,
            });
            let will = &mut vec![(message, Ticket(0))];
            shared.node.inboxes.publish(&inbox, &port, will, shared.node.now());
        }
        Ok(Taken::Ordinary(message)) => {
            shared.metrics.wills_published.add(1);
            return Some(message);
        }
        Err(shut) => {
            let is_reserved = shut == Shut::Denied(Denied::Reserved);
            shared.metrics.reserved_topics_dropped.add(u64::from(is_reserved));
            refused(shared, who.client_id(), &topic, &shut);
        }
    }
    None
}

/// Waits for the outcome of a will whose client is gone.
struct Executor {
    shared: Arc<Shared>,
    from: ClientId,
    topic: Box<str>,
}

impl Port for Executor {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, outcome: Outcome) {
        match outcome {
            Outcome::Accepted(_) => self.shared.metrics.wills_published.add(1),
            Outcome::Refused(why) => refused(&self.shared, &self.from, &self.topic, &why),
        }
    }
}

fn refused(shared: &Shared, from: &ClientId, topic: &str, why: &dyn std::fmt::Display) {
    let now = shared.node.now().mono;
    shared.metrics.refusals.note(Cause::Will, from, topic, why, now);
}
