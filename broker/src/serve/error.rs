//! Why the broker could not start, or ended otherwise than it was asked to.

use std::io;
use std::time::Duration;

use access::RulesError;
use admin::TokenError;
use inbox_bridge::{OpenError, StartError, StoreError};
use transport::BindError;

use crate::authentication::AuthenticationError;
use crate::exit::Exit;
use crate::http_ports::HttpError;
use crate::listening::{ListenerError, NotListening};

/// Why the broker could not start, or ended otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The inboxes did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address cannot be listened on.
    #[error("cannot listen on {} ({}); {}", .0.address, .0.why, listen_advice(.0.why.kind()))]
    Listen(#[from] BindError),
    /// A listener is not what it should be.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// It cannot be found out who clients are.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// It is not known what clients may do.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The system gave no thread, no signal handler, or no standard output.
    #[error("the system does not let the broker start ({0})")]
    System(io::Error),
    /// The token of the API cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store failed while the broker ran.
    #[error("the store failed; what was acknowledged is safe. Check the disk, then start again")]
    StoreFailed,
    /// The store failed at the very end.
    #[error(transparent)]
    Close(StoreError),
    /// It took too long.
    #[error("the shutdown took longer than shutdown_timeout ({0:?}); what was acknowledged is safe")]
    Timeout(Duration),
}

impl ServeError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            ServeError::Open(error) => open_exit(error),
            ServeError::Listen(_) | ServeError::Listener(ListenerError::SameAddress { .. }) => Exit::CannotListen,
            ServeError::Listener(ListenerError::Tls { .. })
            | ServeError::Authentication(_)
            | ServeError::Token(TokenError::Unreadable { .. } | TokenError::NoToken { .. })
            | ServeError::Rules(_) => Exit::BadConfiguration,
            ServeError::StoreFailed | ServeError::Close(_) | ServeError::Start(StartError::Store(_)) => {
                Exit::StoreFailed
            }
            ServeError::Start(StartError::Thread(_))
            | ServeError::System(_)
            | ServeError::Token(TokenError::NoRandomness)
            | ServeError::Timeout(_) => Exit::Failed,
        }
    }
}

impl From<NotListening> for ServeError {
    fn from(why: NotListening) -> Self {
        match why {
            NotListening::Listener(error) => error.into(),
            NotListening::Bind(error) => error.into(),
        }
    }
}

impl From<HttpError> for ServeError {
    fn from(why: HttpError) -> Self {
        match why {
            HttpError::Listen(error) => error.into(),
            HttpError::Token(error) => error.into(),
        }
    }
}

/// What to do when the system does not let us listen.
fn listen_advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => {
            "is another broker running there? Choose another address, with --listen or in its [[listener]]"
        }
        io::ErrorKind::AddrNotAvailable => {
            "it is not an address of this machine: choose one that is, with --listen or in its [[listener]]"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a permission: choose a higher one with --port, or give it with AmbientCapabilities=CAP_NET_BIND_SERVICE \
             in the systemd unit, or with `setcap cap_net_bind_service=+ep` on the binary"
        }
        _ => "choose another address, with --listen or in its [[listener]]",
    }
}

/// How the process ends when the data directory cannot be opened.
pub fn open_exit(error: &OpenError) -> Exit {
    match error {
        OpenError::Locked { .. } => Exit::DataLocked,
        // It may pass: a service manager is to try again.
        OpenError::Unwritable { why, .. } | OpenError::Io { why, .. } if is_lack(why) => Exit::StoreFailed,
        OpenError::Unwritable { .. } | OpenError::Io { .. } | OpenError::NotADirectory { .. } => Exit::NotPermitted,
        _ => Exit::DataUnusable,
    }
}

/// Whether there is none of something for now, so that the same may work later.
pub(crate) fn is_lack(why: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
    matches!(why.kind(), FileTooLarge | OutOfMemory | QuotaExceeded | StorageFull)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn what_keeps_it_from_listening_is_told_by_its_cause() {
        // Goal: a port that needs a permission is no reason to look for another broker.
        let said = |kind: io::ErrorKind| {
            let address = SocketAddr::from(([127, 0, 0, 1], 883));
            let why = kind.into();
            ServeError::from(BindError { address, why }).to_string()
        };
        let forbidden = said(io::ErrorKind::PermissionDenied);
        assert!(
            forbidden.contains("below 1024") && forbidden.contains("setcap"),
            "{forbidden}"
        );
        assert!(!forbidden.contains("another broker"), "{forbidden}");
        assert!(said(io::ErrorKind::AddrInUse).contains("another broker"));
        assert!(said(io::ErrorKind::AddrNotAvailable).contains("not an address of this machine"));
    }
}
