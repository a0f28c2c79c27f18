//! What a client says before its first MQTT packet.
//!
//! A listener gives a connection as the system does, at once. Whatever has to be said on it before MQTT is said in the connection's own
//! task: a slow client keeps nobody else waiting. An entrance stands on another one, down to the socket itself, and each adds to the
//! [`Origin`] what it finds out:
//!
//! ```text
//! socket ── PROXY header? ──┬─────────────────────┬── MQTT
//!                           ├── TLS ──────────────┤
//!                           ├── WebSocket ────────┤
//!                           └── TLS ── WebSocket ─┘
//! ```

use std::error::Error;
use std::future::Future;
use std::io;

use access::Origin;
use inbox_types::Now;
use mqtt_session::Cause;

use crate::listener::Io;

/// From what a listener gives to what a connection reads and writes.
pub trait Entrance<R>: Send + Sync + 'static {
    /// What a connection reads and writes.
    type Io: Io;
    /// Bytes that an idle connection takes for it, beside those of plain TCP.
    const IDLE_BYTES: usize;

    /// Hears what the client has to say before MQTT. The caller sees to the time that this may take.
    fn enter(&self, raw: R, origin: &mut Origin) -> impl Future<Output = Result<Self::Io, NotEntered>> + Send;
}

/// A client that came as far as its first MQTT packet.
#[derive(Debug)]
pub struct Arrival {
    /// Where it comes from.
    pub origin: Origin,
    /// When its connection was accepted: the time for its CONNECT began then.
    pub accepted: Now,
    /// [`Entrance::IDLE_BYTES`] of how it came.
    pub idle_bytes: usize,
}

/// Why a client did not come as far as its first MQTT packet.
#[derive(Debug, thiserror::Error)]
pub enum NotEntered {
    /// It went away.
    #[error("the connection ended before its first MQTT packet")]
    Lost,
    /// It took too long.
    #[error("what comes before MQTT (PROXY header, TLS, WebSocket) was not complete within mqtt.connect_timeout")]
    Late,
    /// A layer does not let it in.
    #[error("{why}")]
    Refused {
        /// What it counts as.
        cause: Cause,
        /// What that layer says.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
}

impl From<io::Error> for NotEntered {
    /// Any error of a socket means that the connection is gone.
    fn from(_: io::Error) -> Self {
        NotEntered::Lost
    }
}

impl NotEntered {
    /// A layer does not let the client in, which counts as this.
    pub(crate) fn refused(cause: Cause, why: impl Error + Send + Sync + 'static) -> Self {
        let why = Box::new(why);
        NotEntered::Refused { cause, why }
    }

    /// What it counts as; `None` when it was the client that went away.
    pub(crate) fn cause(&self) -> Option<Cause> {
        match self {
            NotEntered::Lost => None,
            NotEntered::Late => Some(Cause::ConnectTimeout),
            NotEntered::Refused { cause, .. } => Some(*cause),
        }
    }
}
