//! What a connection counts against quotas, and among those who are there.

use std::net::SocketAddr;
use std::time::Duration;

use access::{Held, Identity, OverQuota, Quotas};

use crate::presences::{Presence, Presences, Present};

/// For so long a client whose address has too many connections may take to say CONNECT, so that it can be told why it is not let in.
const TOO_MANY_PATIENCE: Duration = Duration::from_secs(1);

/// See the module's documentation. It is given back when this is dropped.
pub(super) struct Counted {
    /// It counts as a connection of its address, or is one too many.
    of_address: Result<Option<Box<Held>>, OverQuota>,
    /// It counts as one of its user.
    of_user: Option<Box<Held>>,
    /// It is one of those who are there.
    present: Option<Present>,
}

impl Counted {
    pub(super) fn of_address(quotas: &Quotas, peer: SocketAddr, now: Duration) -> Self {
        Counted {
            of_address: quotas.address(peer.ip(), now),
            of_user: None,
            present: None,
        }
    }

    /// How long it may take until its CONNECT is complete, if others have `patience`. One too many is here only to be told.
    pub(super) fn patience(&self, patience: Duration) -> Duration {
        match self.of_address {
            Ok(_) => patience,
            Err(_) => patience.min(TOO_MANY_PATIENCE),
        }
    }

    /// Whether it is one too many of its address.
    pub(super) fn is_over(&self) -> Option<OverQuota> {
        self.of_address.as_ref().err().copied()
    }

    /// It was found out whose it is.
    pub(super) fn identified(&mut self, quotas: &Quotas, who: &Identity, now: Duration) -> Result<(), OverQuota> {
        self.of_user = quotas.user(who, now)?;
        Ok(())
    }

    /// It was let in.
    pub(super) fn enters(&mut self, presences: &Presences, presence: Presence) {
        self.present = Some(presences.enter(presence));
    }

    /// It has ended, and only its goodbye is left.
    pub(super) fn leaves(&mut self) {
        self.present = None;
    }
}
