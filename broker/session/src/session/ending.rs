//! Why a connection ends.

use crate::closed::Closed;

/// Why a connection ends. The text is for logs and events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The client said DISCONNECT.
    #[error("the client said DISCONNECT")]
    Left {
        /// It wants its will published nevertheless (reason code 0x04).
        with_will: bool,
    },
    /// The broker ends it. MQTT 5 clients are told by DISCONNECT.
    #[error("{0}")]
    Closed(Closed),
    /// The network connection is gone.
    #[error("the network connection was lost")]
    Lost,
}

impl Ending {
    /// The reason code, if the broker ends it.
    pub fn reason_code(&self) -> Option<u8> {
        match self {
            Ending::Closed(closed) => Some(closed.reason_code()),
            Ending::Left { .. } | Ending::Lost => None,
        }
    }
}

impl<C: Into<Closed>> From<C> for Ending {
    fn from(closed: C) -> Self {
        Ending::Closed(closed.into())
    }
}
