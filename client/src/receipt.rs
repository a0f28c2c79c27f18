//! What becomes of a message that was sent.

use tokio::sync::oneshot;

/// Why a message was not accepted, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The broker refused it (contract rule 3); it is not stored.
    #[error("the broker refused the message ({0}); it is not stored")]
    Refused(#[source] Refused),
    /// The connection was lost before the PUBACK. The message may have been stored or not: send it again with the same
    /// id if a duplicate is better than a loss.
    #[error("the connection was lost before the acknowledgement; send the message again, with the same id")]
    ConnectionLost,
    /// The client was closed.
    #[error("the client is closed; connect a new one")]
    Closed,
}

/// A refusal, in the broker's words if it gave some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .told.as_deref().map_or_else(|| .reason.to_string(), str::to_owned))]
pub struct Refused {
    /// Why, by the reason code.
    pub reason: Refusal,
    /// The broker's reason string.
    pub told: Option<Box<str>>,
}

/// Why the broker refused a message: who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The recipient, who must read, or the broker's operator: the inbox or the disk is full (0x97). It passes.
    #[error("the inbox, or the broker's disk, is full; send again later")]
    NoRoom,
    /// The broker's operator: the store fails (0x83).
    #[error("the broker's store fails; send again after it was restarted")]
    StoreFails,
    /// The broker's operator: the access rules say no (0x87).
    #[error("this client may not send there")]
    NotAuthorized,
    /// The caller: nobody can have that inbox (0x90).
    #[error("there can be no such inbox")]
    NoInbox,
    /// Something else, which the broker's log tells.
    #[error("the broker's log says why")]
    Other,
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
