//! Receipts to ordinary topics (contract rule 11): from the inboxes, which know of no topics, to the router.

use std::sync::Arc;

use inbox_bridge::{ClientId, Message, NOTICE_FROM};
use intake::{Destination, InboxNames};
use pubsub::{OrdinaryMessage, Router};

/// Receipts that wait for the router. Beyond, they are lost, as ordinary messages may be.
const WAITING_MAX: usize = 10_000;

/// The inboxes' end.
pub(crate) struct Receipts {
    names: InboxNames,
    to_publish: flume::Sender<OrdinaryMessage>,
}

/// The router's end.
pub(crate) struct OrdinaryReceipts(flume::Receiver<OrdinaryMessage>);

impl Receipts {
    /// Where inboxes have these names.
    pub(crate) fn new(names: InboxNames) -> (Self, OrdinaryReceipts) {
        let (to_publish, receipts) = flume::bounded(WAITING_MAX);
        (Receipts { names, to_publish }, OrdinaryReceipts(receipts))
    }

    pub(crate) fn inbox_named(&self, topic: &str) -> Option<ClientId> {
        match self.names.destination(topic) {
            Destination::Inbox(inbox) => Some(inbox),
            Destination::Ordinary | Destination::Reserved | Destination::Forbidden(_) => None,
        }
    }

    pub(crate) fn topic_of(&self, inbox: &str) -> String {
        format!("{}{inbox}", self.names.prefix())
    }

    pub(crate) fn publish(&self, topic: &str, receipt: Message) {
        let message = OrdinaryMessage {
            topic: Arc::from(topic),
            retain: false,
            qos: receipt.qos,
            from: NOTICE_FROM.clone(),
            expiry: None,
            payload: receipt.payload,
            properties: receipt.properties,
        };
        if self.to_publish.try_send(message).is_err() {
            tracing::warn!(
                topic,
                "a receipt was lost: more of them go to ordinary topics than the router takes; name inboxes as Response Topics"
            );
        }
    }
}

impl OrdinaryReceipts {
    /// Publishes them as they come.
    pub(crate) async fn publish_all(self, router: Router) {
        while let Ok(message) = self.0.recv_async().await {
            let topic = message.topic.clone();
            if let Err(error) = router.publish(message).await {
                tracing::warn!(%topic, %error, "a receipt was not published");
            }
        }
    }
}
