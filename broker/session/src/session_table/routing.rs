//! What a session asks of the router, carried out.

use std::sync::Arc;

use inbox_types::{Port, Ticket};
use pubsub::PublishError;

use super::Place;
use crate::session::{RouteResult, RouterCall, SubscribeCall, Wanted};

/// What the router says to a [`RouterCall`].
pub enum Routed {
    /// To a publish that is answered.
    Published(Ticket, RouteResult),
    /// It did not take a message with QoS 0.
    Dropped(PublishError),
    /// It has seen to a SUBSCRIBE.
    Subscribed(SubscribeCall),
    /// Nothing that anybody waits for.
    Done,
}

impl Place {
    /// Asks the router; the answer is for [`Conversation::routed`](crate::Conversation::routed).
    pub async fn route(&self, call: RouterCall) -> Routed {
        let router = &self.table.router;
        match call {
            RouterCall::Publish(message, Some(ticket)) => {
                let port: Arc<dyn Port> = self.outbox.clone();
                Routed::Published(ticket, router.publish_for(message, &port, ticket).await)
            }
            RouterCall::PublishOnce(message, ticket, together) => {
                let port: Arc<dyn Port> = self.outbox.clone();
                let published = router.publish_once(message, &port, ticket, &together).await;
                Routed::Published(ticket, published)
            }
            RouterCall::Publish(message, None) => match router.publish(message).await {
                Ok(_) => Routed::Done,
                Err(error) => Routed::Dropped(error),
            },
            RouterCall::Subscribe(mut call) => {
                let mut refused = Vec::new();
                for Wanted {
                    at,
                    number,
                    filter,
                    share,
                    send_retained,
                } in call.requests()
                {
                    let sink = self.outbox.clone();
                    if let Err(error) = router
                        .subscribe(self.key, sink, number, filter, share, send_retained)
                        .await
                    {
                        refused.push((at, error));
                    }
                }
                for (at, error) in refused {
                    call.refused(at, error);
                }
                Routed::Subscribed(*call)
            }
            RouterCall::Unsubscribe(number, orphans) => {
                router.unsubscribe(self.key, number).await;
                // What nobody else can have is counted by the router.
                let _lost = router.hand_over(orphans).await;
                Routed::Done
            }
        }
    }
}
