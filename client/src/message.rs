//! Messages out of the own inbox.

use std::fmt::Debug;
use std::sync::Weak;

use bytes::Bytes;
use tokio::sync::mpsc;

/// The messages of the own inbox, in order.
#[derive(Debug)]
pub struct Messages(pub(crate) mpsc::Receiver<Message>);

impl Messages {
    /// The next message; `None` after the client was closed. Cancel safe.
    ///
    /// After a lost connection whatever was not acknowledged comes again, first and in order (contract rule 4).
    pub async fn next(&mut self) -> Option<Message> {
        self.0.recv().await
    }
}

/// Why an acknowledgement was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The connection that delivered the message is gone. The message is in the inbox still and comes again.
    #[error("the connection that delivered the message is gone; the message will come again")]
    ConnectionLost,
}

/// A message, until it is acknowledged. One that is dropped stays in the inbox and comes again on the next connection.
#[derive(Debug)]
pub struct Message {
    /// The sender's id for it, or the broker's: what duplicates have in common (contract rule 7).
    pub id: String,
    /// Its place in the inbox (contract rule 6).
    pub seq: u64,
    /// The authenticated client ID of the sender.
    pub from: String,
    /// When the broker accepted it, in microseconds since the Unix epoch.
    pub at: u64,
    /// The application's bytes.
    pub payload: Bytes,
    pub(crate) ack: Acknowledgement,
}

/// Where acknowledgements go.
pub(crate) trait Acknowledge: Debug + Send + Sync {
    /// Acknowledges a delivery, if its connection is the present one.
    fn acknowledge(&self, connection: u64, packet_id: u16) -> Result<(), AckError>;
}

/// What an acknowledgement needs.
#[derive(Debug)]
pub(crate) struct Acknowledgement {
    pub(crate) link: Weak<dyn Acknowledge>,
    /// Packet identifiers mean something in the connection that used them only.
    pub(crate) connection: u64,
    pub(crate) packet_id: u16,
}

impl Message {
    /// Tells the broker to remove it from the inbox (contract rule 5).
    ///
    /// # Errors
    /// [`AckError::ConnectionLost`]: the message comes again.
    pub fn acknowledge(self) -> Result<(), AckError> {
        let link = self.ack.link.upgrade().ok_or(AckError::ConnectionLost)?;
        link.acknowledge(self.ack.connection, self.ack.packet_id)
    }
}
