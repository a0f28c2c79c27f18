//! Publishing what the broker itself says, or what it answers in the name of who asked.

use std::sync::Arc;

use access::Identity;
use bytes::Bytes;
use inbox_bridge::{AttachmentId, Delivery, Micros, Outcome, Port, Properties, Qos, Room, Ticket};
use intake::{Publication, Shut, Taken};
use mqtt_session::{Reply, Shared};
use pubsub::{OrdinaryMessage, PublishError, Reach, Router};

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct Speaker {
    shared: Arc<Shared>,
    router: Router,
}

impl Speaker {
    /// One that publishes by these.
    pub fn new(shared: Arc<Shared>, router: Router) -> Self {
        Speaker { shared, router }
    }

    /// Publishes `payload` under `$SYS/`, at that topic.
    pub async fn say(&self, topic: &str, payload: String, retain: bool) {
        let said = || Publication {
            qos: Qos::AtLeastOnce,
            retain,
            message_expiry: None,
            payload: Bytes::from(payload),
            properties: None,
        };
        let intake = self.shared.intake(self.shared.node.now());
        let message = match intake.take(&Identity::broker(), topic, said) {
            Ok(Taken::Ordinary(message)) => message,
            Ok(Taken::Inbox(..)) => return,
            Err(error) => {
                tracing::debug!(%error, topic, "a $SYS message was not published");
                return;
            }
        };
        let mut published = self.router.publish(message.clone()).await;
        if published == Err(PublishError::RetainedFull) {
            // Whoever is subscribed sees it nevertheless.
            let unretained = OrdinaryMessage {
                retain: false,
                ..Arc::unwrap_or_clone(message)
            };
            published = self.router.publish(unretained).await;
        }
        if let Err(error) = published {
            tracing::debug!(%error, topic, "a $SYS message was not published");
        }
    }

    /// Whether somebody is subscribed to `topic`, or may be.
    pub fn is_heard(&self, topic: &str) -> bool {
        self.router.reach(topic) == Reach::Somebody
    }

    /// Since when the client of `who` is connected, if it is.
    pub fn connected_since(&self, who: &Identity) -> Option<Micros> {
        let presence = self.shared.metrics.present.get(who.client_id())?;
        Some(presence.since)
    }

    /// Publishes `payload`, JSON, where `who` wants it answered, if it may publish there.
    ///
    /// # Errors
    /// It may not, or nothing is there.
    pub async fn answer(&self, who: &Identity, reply: &Reply, qos: Qos, payload: String) -> Result<(), Shut> {
        let properties = Properties {
            content_type: Some("application/json".into()),
            correlation_data: reply.correlation_data.clone(),
            ..Properties::default()
        };
        let said = || Publication {
            qos,
            retain: false,
            message_expiry: None,
            payload: Bytes::from(payload),
            properties: Some(Box::new(properties)),
        };
        let node = &self.shared.node;
        let now = node.now();
        match self.shared.intake(now).take(who, &reply.topic, said)? {
            Taken::Inbox(inbox, message) if qos == Qos::AtMostOnce => node.inboxes.publish_qos0(&inbox, message),
            Taken::Inbox(inbox, message) => {
                let port: Arc<dyn Port> = Arc::new(Nobody);
                node.inboxes
                    .publish(&inbox, &port, &mut vec![(message, Ticket(0))], now);
            }
            Taken::Ordinary(message) => {
                if let Err(error) = self.router.publish(message).await {
                    tracing::debug!(%error, topic = %reply.topic, "an answer to an operator was not published");
                }
            }
        }
        Ok(())
    }
}

/// Waits for no outcome.
pub(crate) struct Nobody;

impl Port for Nobody {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, _: Outcome) {}
}
