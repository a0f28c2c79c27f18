//! The connection to the broker: the only file that names rumqttc.
//!
//! **Promise:** a [`Receipt`] is resolved with the PUBACK of its own publish and no other, and an acknowledgement never
//! goes out on another connection than the one that delivered its message. What can be lost: a message whose receipt said
//! [`SendError::ConnectionLost`], and only then.
//!
//! rumqttc answers a publish with a packet identifier later, in an event, in the order of the requests: [`Unsent`] keeps
//! that order. At the end of a connection everything that is not answered is given up, on both sides: rumqttc's own
//! resending is cleared, because nobody would be told its outcome.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, Packet, PubAck, PubAckReason, Publish, PublishProperties, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time;
use tracing::{debug, warn};

use crate::message::{AckError, Acknowledgement, Message, Messages};
use crate::receipt::{Receipt, SendError};

/// Publishes without their PUBACK, and deliveries without our acknowledgement: each at most this many.
const IN_FLIGHT_MAX: u16 = 100;
/// Room for every request that can wait at once: publishes, acknowledgements, one subscription and one disconnection.
const REQUESTS_MAX: usize = 2 * IN_FLIGHT_MAX as usize + 2;
/// The pause before connecting again doubles from the first of these to the second.
const RECONNECT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Where and as whom to connect.
#[derive(Debug, Clone)]
pub struct InboxClientOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The client ID, which is also the name of the inbox.
    pub client_id: String,
    /// Keep alive, in whole seconds, at least 1 s.
    pub keep_alive: Duration,
    /// The largest packet to take, in bytes.
    pub packet_bytes_max: u32,
}

impl InboxClientOptions {
    /// `client_id` at `host:port`, with a keep alive of 30 s and packets of up to 2 MiB.
    pub fn new(host: &str, port: u16, client_id: &str) -> Self {
        InboxClientOptions {
            host: host.to_owned(),
            port,
            client_id: client_id.to_owned(),
            keep_alive: Duration::from_secs(30),
            packet_bytes_max: 2 * 1024 * 1024,
        }
    }
}

/// Why the first connection was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is no inbox of that name.
    #[error("the client ID {0:?} cannot have an inbox; take one without '/', '+' and '#' that is not empty")]
    ClientId(String),
    /// No connection, or the broker refused it.
    #[error("no connection to the broker ({0})")]
    Unreachable(String),
    /// The broker did not grant the subscription to the own inbox.
    #[error("the broker does not let {0:?} read its inbox; is it inboxd, and has it an inbox prefix?")]
    InboxRefused(String),
}

/// A connected client. It connects again by itself.
///
/// Dropping it ends the connection at once: acknowledgements that have not been sent yet are not sent, and their messages
/// come again. [`InboxClient::close`] sends them first.
#[derive(Debug)]
pub struct InboxClient {
    link: Arc<Link>,
    /// A permit for each publish without an answer.
    window: Arc<Semaphore>,
    task: JoinHandle<()>,
    /// Dropping it ends the task.
    _alive: oneshot::Sender<()>,
}

/// What sending and acknowledging share with the task that drives the connection.
#[derive(Debug)]
pub(crate) struct Link {
    client: AsyncClient,
    /// A plain lock: held for a few instructions, never across an await, and it keeps the order of the requests the
    /// order of [`State::unsent`].
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Which connection this is; 0 before the first.
    connection: u64,
    connected: bool,
    /// The application closes the client: there is to be no other connection.
    closing: bool,
    /// Publishes that have no packet identifier yet, in the order of their requests.
    unsent: VecDeque<Waiting>,
    /// Publishes on their way, by packet identifier.
    unanswered: HashMap<u16, Waiting>,
}

/// A publish that waits for its answer.
#[derive(Debug)]
struct Waiting {
    outcome: oneshot::Sender<Result<(), SendError>>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

/// How the first attempt went.
type FirstOutcome = Option<Result<(), ConnectError>>;

impl InboxClient {
    /// Connects, subscribes to the own inbox, and waits until the broker has granted it.
    ///
    /// # Errors
    /// See [`ConnectError`]. After the first connection the client connects again by itself.
    pub async fn connect(options: InboxClientOptions) -> Result<(Self, Messages), ConnectError> {
        let id = options.client_id.clone();
        if id.is_empty() || id.starts_with('$') || id.contains(['/', '+', '#', '\0']) {
            return Err(ConnectError::ClientId(id));
        }
        let mut mqtt = MqttOptions::new(id.clone(), options.host, options.port);
        mqtt.set_keep_alive(options.keep_alive.max(Duration::from_secs(1)))
            .set_clean_start(true)
            .set_manual_acks(true)
            .set_receive_maximum(Some(IN_FLIGHT_MAX))
            // Room for the window and a subscription among its packet identifiers; rumqttc keeps a slot for each.
            .set_outgoing_inflight_upper_limit(2 * IN_FLIGHT_MAX)
            .set_max_packet_size(Some(options.packet_bytes_max));
        let (client, events) = AsyncClient::new(mqtt, REQUESTS_MAX);
        let link = Arc::new(Link {
            client,
            state: Mutex::default(),
        });
        // The window of deliveries bounds it as well: what is in here is not acknowledged.
        let (messages, receiver) = mpsc::channel(usize::from(IN_FLIGHT_MAX));
        let (first, mut outcome) = watch::channel(None);
        let (alive, ended) = oneshot::channel();
        let driver = Driver {
            link: link.clone(),
            events,
            client_id: id,
            messages,
            first,
        };
        let task = tokio::spawn(driver.run(ended));
        let connected = outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        match connected {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => return Err(error),
            Ok(None) | Err(_) => return Err(ConnectError::Unreachable("the connection's task ended".into())),
        }
        let window = Arc::new(Semaphore::new(usize::from(IN_FLIGHT_MAX)));
        Ok((
            InboxClient {
                link,
                window,
                task,
                _alive: alive,
            },
            Messages(receiver),
        ))
    }

    /// Sends `payload` to the inbox of client `to` with QoS 1; waits while too many publishes have no answer yet.
    ///
    /// # Errors
    /// [`SendError::ConnectionLost`] while there is no connection. Everything later is told by the [`Receipt`].
    pub async fn send(&self, to: &str, payload: impl Into<Bytes>) -> Result<Receipt, SendError> {
        self.publish(to, payload.into(), None).await
    }

    /// The same with an `id` that the recipient sees, to drop duplicates by (contract rule 7).
    ///
    /// # Errors
    /// As for [`InboxClient::send`].
    pub async fn send_with_id(&self, to: &str, id: &str, payload: impl Into<Bytes>) -> Result<Receipt, SendError> {
        let user_properties = vec![("id".to_owned(), id.to_owned())];
        let properties = PublishProperties {
            user_properties,
            ..PublishProperties::default()
        };
        self.publish(to, payload.into(), Some(properties)).await
    }

    /// Sends what waits, acknowledgements among it, then DISCONNECT, and closes. Receipts without an answer by then are told
    /// [`SendError::Closed`].
    pub async fn close(self) {
        let disconnecting = {
            let mut state = self.link.lock();
            state.closing = true;
            // There is room for it, and without a connection there is nothing to say.
            state.connected && self.link.client.try_disconnect().is_ok()
        };
        if disconnecting && self.task.await.is_err() {
            warn!("the connection's task panicked");
        }
    }

    async fn publish(
        &self,
        to: &str,
        payload: Bytes,
        properties: Option<PublishProperties>,
    ) -> Result<Receipt, SendError> {
        let permit = self
            .window
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| SendError::Closed)?;
        let (outcome, receipt) = oneshot::channel();
        let mut state = self.link.lock();
        if !state.connected {
            return Err(SendError::ConnectionLost);
        }
        // The channel has room for the whole window, so that "full" cannot happen.
        let request = match properties {
            None => self.link.client.try_publish(to, QoS::AtLeastOnce, false, payload),
            Some(properties) => {
                self.link
                    .client
                    .try_publish_with_properties(to, QoS::AtLeastOnce, false, payload, properties)
            }
        };
        request.map_err(|_| SendError::Closed)?;
        state.unsent.push_back(Waiting {
            outcome,
            _permit: permit,
        });
        Ok(Receipt(receipt))
    }
}

impl Link {
    /// Acknowledges a delivery, if its connection is the present one.
    pub(crate) fn acknowledge(&self, connection: u64, packet_id: u16) -> Result<(), AckError> {
        let state = self.lock();
        if !state.connected || state.connection != connection {
            return Err(AckError::ConnectionLost);
        }
        // Only the identifier goes into a PUBACK.
        let delivery = Publish {
            pkid: packet_id,
            qos: QoS::AtLeastOnce,
            ..Publish::default()
        };
        self.client.try_ack(&delivery).map_err(|_| AckError::ConnectionLost)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that drives the connection.
struct Driver {
    link: Arc<Link>,
    events: EventLoop,
    client_id: String,
    messages: mpsc::Sender<Message>,
    first: watch::Sender<FirstOutcome>,
}

impl Driver {
    async fn run(mut self, mut ended: oneshot::Receiver<()>) {
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
                    self.on_error(&error);
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
                    Err(ConnectError::InboxRefused(self.client_id.clone()))
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
                    .and_then(|properties| properties.reason_string.clone());
                Err(SendError::Refused {
                    reason: told.unwrap_or_else(|| format!("{reason:?}")),
                })
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
            link: Arc::downgrade(&self.link),
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

    fn on_error(&mut self, error: &ConnectionError) {
        debug!("the connection is lost: {error}");
        self.first_outcome(Err(ConnectError::Unreachable(error.to_string())));
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
