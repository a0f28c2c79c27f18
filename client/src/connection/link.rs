//! What the application's calls and the task of the connection share.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Publish;
use tokio::sync::oneshot;

use crate::message::{AckError, Acknowledge};
use crate::receipt::SendError;

/// What sending and acknowledging share with the task that drives the connection.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) client: AsyncClient,
    /// A plain lock: held for a few instructions, never across an await, and it keeps the order of the requests the
    /// order of [`State::unsent`].
    state: Mutex<State>,
}

/// Where the present connection is.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Which connection this is; 0 before the first.
    pub(super) connection: u64,
    pub(super) connected: bool,
    /// The application closes the client: there is to be no other connection.
    pub(super) closing: bool,
    /// Publishes that have no packet identifier yet, in the order of their requests.
    pub(super) unsent: VecDeque<Waiting>,
    /// Publishes on their way, by packet identifier.
    pub(super) unanswered: HashMap<u16, Waiting>,
}

/// A publish that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) outcome: oneshot::Sender<Result<(), SendError>>,
    pub(super) _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Line {
    pub(super) fn new(client: AsyncClient) -> Self {
        Line {
            client,
            state: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acknowledge for Line {
    fn acknowledge(&self, connection: u64, packet_id: u16) -> Result<(), AckError> {
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
}
