//! Why connections end.

use std::io;

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
