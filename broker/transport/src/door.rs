//! The way to MQTT from a port that speaks HTTP, too: an HTTP server has read the request, and asks here what to answer.

use std::net::SocketAddr;
use std::sync::Arc;

use access::Origin;
use inbox_types::Now;
use mqtt_session::Counted;
use tokio::sync::mpsc;

use crate::accept::{place, turn_away};
use crate::connection::{Broker, Connection};
use crate::entrance::{Arrival, NotEntered};
use crate::listener::Io;
use crate::websocket::{IDLE_BYTES, UpgradeError, UpgradeRequest, WebSocket, WebSocketRules, grant};

/// See the module's documentation.
pub struct Door {
    /// What operators call the listener.
    pub name: Arc<str>,
    /// Where MQTT is spoken, and to whom.
    pub rules: WebSocketRules,
    /// What all connections share.
    pub broker: Arc<Broker>,
    /// Connections hold what comes of this while they live.
    pub alive: mpsc::WeakSender<()>,
}

/// Why a request is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// It is not what it should be.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// There are too many connections.
    #[error("there are too many connections; try again later")]
    Full,
    /// The broker shuts down.
    #[error("the broker shuts down; try again later")]
    Closing,
}

impl NotAdmitted {
    /// The status code of the answer to the client.
    pub fn status(self) -> u16 {
        match self {
            NotAdmitted::Upgrade(error) => error.status(),
            NotAdmitted::Full | NotAdmitted::Closing => 503,
        }
    }
}

/// A client whose request is granted. It has its place among the connections.
pub struct Admitted {
    /// The header `Sec-WebSocket-Accept` of the answer, whose `Sec-WebSocket-Protocol` is `mqtt`.
    pub accept: String,
    arrival: Arrival,
    broker: Arc<Broker>,
    _held: (Counted, mpsc::Sender<()>),
}

impl Door {
    /// Whether `peer` may speak MQTT. A request that is not granted is counted and told about here.
    ///
    /// # Errors
    /// See [`NotAdmitted`].
    pub fn ask(&self, request: &UpgradeRequest<'_>, peer: SocketAddr) -> Result<Admitted, NotAdmitted> {
        let accepted = self.broker.shared.node.now();
        let mut origin = Origin {
            listener: Some(self.name.clone()),
            ..Origin::from(peer)
        };
        let alive = self.alive.upgrade().filter(|_| !*self.broker.closing.borrow());
        let alive = alive.ok_or(NotAdmitted::Closing)?;
        let granted = grant(request, &self.rules, peer.ip());
        let granted = granted.inspect_err(|error| self.tell(&origin, *error, accepted))?;
        let slot = place(&self.broker, &self.name, &origin).ok_or(NotAdmitted::Full)?;
        origin.token = granted.token;
        Ok(Admitted {
            accept: granted.accept,
            arrival: Arrival {
                origin,
                accepted,
                idle_bytes: IDLE_BYTES,
            },
            broker: self.broker.clone(),
            _held: (slot, alive),
        })
    }

    fn tell(&self, origin: &Origin, error: UpgradeError, now: Now) {
        turn_away(&self.broker, &self.name, origin, &NotEntered::from(error), now);
    }
}

impl Admitted {
    /// Speaks MQTT over `io`, on which the request was answered, until that ends.
    pub async fn serve<T: Io>(self, io: T) {
        let mut connection = Connection::new(WebSocket::new(io), self.arrival, self.broker);
        connection.serve().await;
    }
}
