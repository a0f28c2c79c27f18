//! Publishing the will of a client that disappeared (MQTT 5, section 3.1.2.5).

use access::{Denied, Identity};
use inbox_types::{ClientId, Qos};

use crate::refusals::Cause;
use crate::session::{Shared, Will};
use intake::{Publication, Shut, Taken};
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
    let wills = u64::from(taken.is_ok());
    shared.metrics.wills_published.add(wills);
    match taken {
        Ok(Taken::Inbox(inbox, message)) if qos == Qos::AtMostOnce => shared.node.inboxes.publish_qos0(&inbox, message),
        Ok(Taken::Inbox(inbox, message)) => shared.node.inboxes.publish_unattended(&inbox, message),
        Ok(Taken::Ordinary(message)) => return Some(message),
        Err(shut) => {
            let is_reserved = shut == Shut::Denied(Denied::Reserved);
            shared.metrics.reserved_topics_dropped.add(u64::from(is_reserved));
            refused(shared, who.client_id(), &topic, &shut);
        }
    }
    None
}

fn refused(shared: &Shared, from: &ClientId, topic: &str, why: &dyn std::fmt::Display) {
    let now = shared.node.now().mono;
    shared.metrics.refusals.note(Cause::Will, from, topic, why, now);
}
