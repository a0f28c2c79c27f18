//! Why connections end.

use std::io;

use inbox_test_support::websocket::NoMore;

use crate::packet::FrameError;

/// Why a connection ended that this program did not end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The broker closed it.
    #[error("the broker closed the connection")]
    Closed,
    /// The operating system ended it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The broker did not send MQTT.
    #[error("{0}")]
    Frame(#[from] FrameError),
}

impl From<NoMore> for LinkError {
    fn from(why: NoMore) -> Self {
        match why {
            NoMore::Closed => LinkError::Closed,
            NoMore::Refused => io::Error::other("the broker did not agree to WebSocket; look at its log").into(),
        }
    }
}
