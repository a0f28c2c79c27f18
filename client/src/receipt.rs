//! What becomes of a message that was sent.

use tokio::sync::oneshot;

/// Why a message was not accepted, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The broker refused it (contract rule 3); it is not stored.
    #[error("the broker refused the message ({reason}); it is not stored")]
    Refused {
        /// The broker's reason string, or the name of its reason code.
        reason: String,
    },
    /// The connection was lost before the PUBACK. The message may have been stored or not: send it again with the same
    /// id if a duplicate is better than a loss.
    #[error("the connection was lost before the acknowledgement; send the message again, with the same id")]
    ConnectionLost,
    /// The client was closed.
    #[error("the client is closed; connect a new one")]
    Closed,
}

/// Resolves when the broker has answered: `Ok` means that the message is on disk, or that its recipient has it
/// (contract rule 3).
#[derive(Debug)]
#[must_use = "without waiting for the receipt nobody knows whether the message is safe"]
pub struct Receipt(pub(crate) oneshot::Receiver<Result<(), SendError>>);

impl Receipt {
    /// Waits for the PUBACK. Cancel safe; dropping it gives the knowledge up, not the message.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn accepted(self) -> Result<(), SendError> {
        self.0.await.unwrap_or(Err(SendError::Closed))
    }
}
