//! Publishing the will of a client that disappeared (MQTT 5, section 3.1.2.5).

use std::sync::Arc;

use access::{Denied, Identity};
use inbox_types::{ClientId, Expiry, Message, Qos};

use crate::intake::{self, Door, Shut};
use crate::refusals::Cause;
use crate::session::{Shared, Will, as_mail};
use pubsub::{OrdinaryMessage, Router};

/// Publishes `will` as the message of `who`. Nobody awaits an acknowledgement, so a refusal is only logged.
pub(crate) async fn publish(shared: &Shared, router: &Router, who: &Identity, will: Will) {
    let Some(message) = deliver(shared, who, will) else {
        return;
    };
    let (from, topic) = (message.from.clone(), message.topic.clone());
    if let Err(error) = router.publish(message).await {
        refused(shared, &from, &topic, &error);
    }
}

/// Publishes a will to an inbox; gives the message if it is for the router.
pub fn deliver(shared: &Shared, who: &Identity, will: Will) -> Option<OrdinaryMessage> {
    let from = who.client_id().clone();
    let now = shared.hub.now();
    let age = shared.hub.age(now);
    let destination = shared.names.destination(&will.topic);
    match intake::door(&shared.access, who, destination, &will.topic) {
        Ok(Door::Inbox(inbox)) => {
            shared.metrics.wills_published.add(1);
            let expiry = Expiry::new(age, will.message_expiry, shared.hub.limits().time_to_live);
            // A will says no more about itself than a PUBLISH does (contract rule 7).
            let (id, properties) = as_mail(will.properties);
            let message = Arc::new(Message {
                from,
                id,
                at: now.wall,
                expiry,
                qos: will.qos,
                payload: will.payload,
                properties,
            });
            if will.qos == Qos::AtMostOnce {
                shared.hub.publish_qos0(&inbox, message);
            } else {
                shared.hub.publish_unattended(&inbox, message);
            }
        }
        Ok(Door::Ordinary) => {
            shared.metrics.wills_published.add(1);
            return Some(OrdinaryMessage {
                topic: Arc::from(will.topic),
                retain: will.retain,
                qos: will.qos,
                from,
                expiry: pubsub::expiry(age, will.message_expiry),
                payload: will.payload,
                properties: will.properties,
            });
        }
        Err(shut) => {
            let is_reserved = shut == Shut::Denied(Denied::Reserved);
            shared.metrics.reserved_topics_dropped.add(u64::from(is_reserved));
            refused(shared, &from, &will.topic, &shut);
        }
    }
    None
}

fn refused(shared: &Shared, from: &ClientId, topic: &str, why: &dyn std::fmt::Display) {
    let now = shared.hub.now().mono;
    shared.metrics.refusals.note(Cause::Will, from, topic, why, now);
}
