//! The connection to the broker: the only folder that names rumqttc.
//!
//! **Promise:** a [`Receipt`] is resolved with the PUBACK of its own publish and no other, and an acknowledgement never
//! goes out on another connection than the one that delivered its message. What can be lost: a message whose receipt said
//! [`SendError::ConnectionLost`], and only then.
//!
//! rumqttc answers a publish with a packet identifier later, in an event, in the order of the requests: `State::unsent`
//! keeps that order. At the end of a connection everything that is not answered is given up, on both sides: rumqttc's own
//! resending is cleared, because nobody would be told its outcome.

mod driver;
mod link;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rumqttc::v5::{AsyncClient, MqttOptions};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::message::Messages;
use crate::receipt::{Receipt, SendError};
use driver::Driver;
pub use driver::{ConnectError, Unreachable};
use link::{Line, Waiting};

/// Publishes without their PUBACK, and deliveries without our acknowledgement: each at most this many.
const IN_FLIGHT_MAX: u16 = 100;
/// Room for every request that can wait at once: publishes, acknowledgements, one subscription and one disconnection.
const REQUESTS_MAX: usize = 2 * IN_FLIGHT_MAX as usize + 2;

/// A user name and its password.
#[derive(Clone)]
pub struct Login {
    /// Who.
    pub user: String,
    /// It travels as it is: over plain TCP, everybody on the way can read it.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Where and as whom to connect.
#[derive(Debug, Clone)]
pub struct InboxClientOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The client ID, which is also the name of the inbox.
    pub client_id: String,
    /// The user, where the broker knows users.
    pub login: Option<Login>,
    /// Keep alive, in whole seconds, at least 1 s.
    pub keep_alive: Duration,
    /// The largest packet to take, in bytes.
    pub packet_bytes_max: u32,
}

impl InboxClientOptions {
    /// `client_id` at `host:port`, without a user, with a keep alive of 30 s and packets of up to 2 MiB.
    pub fn new(host: &str, port: u16, client_id: &str) -> Self {
        InboxClientOptions {
            host: host.to_owned(),
            port,
            client_id: client_id.to_owned(),
            login: None,
            keep_alive: Duration::from_secs(30),
            packet_bytes_max: 2 * 1024 * 1024,
        }
    }
}

/// A connected client. It connects again by itself.
///
/// Dropping it ends the connection at once: acknowledgements that have not been sent yet are not sent, and their messages
/// come again. [`InboxClient::close`] sends them first.
#[derive(Debug)]
pub struct InboxClient {
    link: Arc<Line>,
    /// A permit for each publish without an answer.
    window: Arc<Semaphore>,
    task: JoinHandle<()>,
    /// Dropping it ends the task.
    _alive: oneshot::Sender<()>,
}

impl InboxClient {
    /// Connects, subscribes to the own inbox, and waits until the broker has granted it.
    ///
    /// # Errors
    /// See [`ConnectError`]. After the first connection the client connects again by itself.
    pub async fn connect(options: InboxClientOptions) -> Result<(Self, Messages), ConnectError> {
        let id = options.client_id.clone();
        if id.is_empty() || id.starts_with('$') || id.contains(['/', '+', '#', '\0']) {
            return Err(ConnectError::ClientId { id });
        }
        let mut mqtt = MqttOptions::new(id.clone(), options.host, options.port);
        mqtt.set_keep_alive(options.keep_alive.max(Duration::from_secs(1)))
            .set_clean_start(true)
            .set_manual_acks(true)
            .set_receive_maximum(Some(IN_FLIGHT_MAX))
            // Room for the window and a subscription among its packet identifiers; rumqttc keeps a slot for each.
            .set_outgoing_inflight_upper_limit(2 * IN_FLIGHT_MAX)
            .set_max_packet_size(Some(options.packet_bytes_max));
        if let Some(login) = options.login {
            mqtt.set_credentials(login.user, login.password);
        }
        let (client, events) = AsyncClient::new(mqtt, REQUESTS_MAX);
        let link = Arc::new(Line::new(client));
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
            Ok(None) | Err(_) => return Err(ConnectError::Ended),
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
