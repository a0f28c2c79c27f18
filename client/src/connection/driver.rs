//! The task that drives the connection: what rumqttc tells, and connecting again.

use std::mem;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Packet, PubAck, PubAckReason, Publish, SubscribeReasonCode};
use rumqttc::v5::{ConnectionError, Event, EventLoop};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time;
use tracing::{debug, warn};

use super::link::Line;
use crate::message::{Acknowledge, Acknowledgement, Message};
use crate::receipt::{Refusal, Refused, SendError};

/// The pause before connecting again doubles from the first of these to the second.
const RECONNECT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Why the first connection was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The caller: there is no inbox of that name.
    #[error("the client ID {id:?} cannot have an inbox; take one without '/', '+' and '#' that is not empty")]
    ClientId {
        /// The client ID.
        id: String,
    },
    /// The network, or the broker: no connection, or it was refused. It may pass.
    #[error("no connection to the broker ({0})")]
    Unreachable(#[source] Unreachable),
    /// The broker's operator: the subscription to the own inbox was not granted.
    #[error("the broker does not let {id:?} read its inbox; is it inboxd, and has it an inbox prefix?")]
    InboxRefused {
        /// The client ID.
        id: String,
    },
    /// The runtime, which was shut down.
    #[error("no connection to the broker (the connection's task ended)")]
    Ended,
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Unreachable(Arc<ConnectionError>);

/// How the first attempt went.
type FirstOutcome = Option<Result<(), ConnectError>>;

/// The task that drives the connection.
pub(super) struct Driver {
    pub(super) link: Arc<Line>,
    pub(super) events: EventLoop,
    pub(super) client_id: String,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) first: watch::Sender<FirstOutcome>,
}

impl Driver {
    pub(super) async fn run(mut self, mut ended: oneshot::Receiver<()>) {
        let mut pause = RECONNECT_PAUSES.0;
        loop {
            let event = tokio::select! {
                event = self.events.poll() => event,
                _ = &mut ended => break,
            };
            match event {
                Ok(Event::Outgoing(Outgoing::Disconnect)) => break,
                Ok(event) => {
                    if let Event::Incoming(Packet::SubAck(_)) = event {
                        pause = RECONNECT_PAUSES.0;
                    }
                    self.on_event(event);
                }
                Err(error) => {
                    self.on_error(error);
                    if self.link.lock().closing || self.first.borrow().as_ref().is_none_or(Result::is_err) {
                        break;
                    }
                    tokio::select! {
                        () = time::sleep(pause) => pause = RECONNECT_PAUSES.1.min(pause * 2),
                        _ = &mut ended => break,
                    }
                }
            }
        }
        self.give_up(SendError::Closed);
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Incoming(Packet::ConnAck(connack)) if connack.code == ConnectReturnCode::Success => {
                let mut state = self.link.lock();
                state.connection += 1;
                state.connected = true;
                drop(state);
                if self
                    .link
                    .client
                    .try_subscribe(self.client_id.clone(), QoS::AtLeastOnce)
                    .is_err()
                {
                    warn!("the subscription to the own inbox could not be requested");
                }
            }
            Event::Incoming(Packet::SubAck(suback)) => {
                let granted = matches!(suback.return_codes.first(), Some(SubscribeReasonCode::Success(_)));
                if !granted {
                    warn!(client_id = self.client_id, "the broker does not grant the own inbox");
                }
                let outcome = if granted {
                    Ok(())
                } else {
                    Err(ConnectError::InboxRefused {
                        id: self.client_id.clone(),
                    })
                };
                self.first_outcome(outcome);
            }
            Event::Incoming(Packet::Publish(publish)) => self.on_publish(publish),
            Event::Outgoing(Outgoing::Publish(packet_id)) => {
                let mut state = self.link.lock();
                if let Some(waiting) = state.unsent.pop_front() {
                    state.unanswered.insert(packet_id, waiting);
                }
            }
            Event::Incoming(Packet::PubAck(puback)) => self.on_puback(&puback),
            _ => {}
        }
    }

    fn on_puback(&self, puback: &PubAck) {
        let Some(waiting) = self.link.lock().unanswered.remove(&puback.pkid) else {
            return;
        };
        let outcome = match puback.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
            reason => {
                let told = puback
                    .properties
                    .as_ref()
                    .and_then(|properties| properties.reason_string.as_deref());
                Err(SendError::Refused(Refused {
                    reason: refusal(reason),
                    told: told.map(Box::from),
                }))
            }
        };
        // Nobody may be waiting any more.
        let _ = waiting.outcome.send(outcome);
    }

    /// Hands a delivery on. The window is the channel's size, so it is full only when the application kept messages of
    /// an earlier connection in it: then this one is left unacknowledged, and comes again on the next connection.
    fn on_publish(&self, publish: Publish) {
        let connection = self.link.lock().connection;
        let mut properties = publish
            .properties
            .map(|properties| properties.user_properties)
            .unwrap_or_default();
        let mut take = |name: &str| {
            let at = properties.iter().position(|(key, _)| key == name)?;
            Some(properties.swap_remove(at).1)
        };
        let (id, seq, from, at) = (take("id"), take("seq"), take("from"), take("at"));
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let (Some(id), Some(seq), Some(from), Some(at)) = (id, number(seq), from, number(at)) else {
            // QoS 0 (contract rule 9), or another broker.
            debug!("a message without id, seq, from or at is left alone");
            return;
        };
        let ack = Acknowledgement {
            link: self.acknowledger(),
            connection,
            packet_id: publish.pkid,
        };
        let message = Message {
            id,
            seq,
            from,
            at,
            payload: publish.payload,
            ack,
        };
        if let Err(error) = self.messages.try_send(message) {
            debug!("a message stays in the inbox: {error}");
        }
    }

    fn acknowledger(&self) -> Weak<dyn Acknowledge> {
        let link: Arc<dyn Acknowledge> = self.link.clone();
        Arc::downgrade(&link)
    }

    fn on_error(&mut self, error: ConnectionError) {
        debug!("the connection is lost: {error}");
        self.first_outcome(Err(ConnectError::Unreachable(Unreachable(Arc::new(error)))));
        self.give_up(SendError::ConnectionLost);
    }

    /// Ends the connection for everything that waits on it.
    fn give_up(&mut self, why: SendError) {
        let mut state = self.link.lock();
        state.connected = false;
        // Requests that came in between are dropped under the lock, so that none of them goes out later.
        self.events.clean();
        self.events.pending.clear();
        let unsent = mem::take(&mut state.unsent);
        let unanswered = mem::take(&mut state.unanswered);
        drop(state);
        for waiting in unsent.into_iter().chain(unanswered.into_values()) {
            // Nobody may be waiting any more.
            let _ = waiting.outcome.send(Err(why.clone()));
        }
    }

    /// Only the first outcome counts.
    fn first_outcome(&self, outcome: Result<(), ConnectError>) {
        self.first.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                *first = Some(outcome);
            }
            is_first
        });
    }
}

fn refusal(reason: PubAckReason) -> Refusal {
    match reason {
        PubAckReason::QuotaExceeded => Refusal::NoRoom,
        PubAckReason::ImplementationSpecificError => Refusal::StoreFails,
        PubAckReason::NotAuthorized => Refusal::NotAuthorized,
        PubAckReason::TopicNameInvalid => Refusal::NoInbox,
        _ => Refusal::Other,
    }
}
