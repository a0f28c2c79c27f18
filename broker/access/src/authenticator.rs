//! How it is found out who a client is.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use bytes::Bytes;
use inbox_types::ClientId;

use crate::denied::Denied;
use crate::identity::Identity;
use crate::origin::Origin;

/// What a client says about itself in CONNECT and before it.
#[derive(Clone)]
pub struct Credentials {
    /// The client ID that it asked for, or was given.
    pub client_id: ClientId,
    /// The broker made the client ID up: nobody else can have it.
    pub id_is_assigned: bool,
    /// Where it comes from, and what it showed before CONNECT.
    pub origin: Origin,
    /// The user name.
    pub user: Option<Box<str>>,
    /// The password: any bytes (MQTT 5, section 3.1.3.6).
    pub password: Option<Bytes>,
}

impl fmt::Debug for Credentials {
    /// Without the password, so that no log record can hold it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .field("id_is_assigned", &self.id_is_assigned)
            .field("origin", &self.origin)
            .field("user", &self.user)
            .field("has_password", &self.password.is_some())
            .finish()
    }
}

/// The answer of an [`Authenticator`], when it has one.
pub type Authenticating<'a> = Pin<Box<dyn Future<Output = Result<Identity, Denied>> + Send + 'a>>;

/// Finds out who a client is, between its CONNECT and its session.
pub trait Authenticator: Send + Sync + 'static {
    /// Who the client with these credentials is, or why it is not let in. It may take its time: the client has until the end of
    /// `mqtt.connect_timeout`.
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_>;

    /// Whether clients can show tokens.
    fn takes_tokens(&self) -> bool {
        false
    }

    /// Who a connected client is by a fresh token. It is quick, and does no I/O.
    fn renew(&self, who: &Identity, token: &str) -> Result<Identity, Denied> {
        let _nobody_can = (who, token);
        Err(Denied::Credentials)
    }
}

/// Every client is who it says it is; user names and passwords are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anonymous {
    /// Whether that holds for other machines, too (`mqtt.allow_anonymous`).
    pub is_everywhere: bool,
}

impl Anonymous {
    /// Whether clients of `address` are served, and whether that address may be listened on: without authentication, anyone who
    /// reaches the broker can read every inbox, so it is this machine's alone unless the operator says otherwise.
    pub fn serves(&self, address: IpAddr) -> bool {
        self.is_everywhere || address.to_canonical().is_loopback()
    }
}

impl Authenticator for Anonymous {
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_> {
        let served = self.serves(credentials.origin.peer.ip());
        let identity = match served {
            true => Ok(Identity::anonymous(credentials.client_id)),
            false => Err(Denied::Anonymous),
        };
        Box::pin(std::future::ready(identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::task::{Context, Poll, Waker};

    fn ask(anonymous: Anonymous, peer: &str) -> Result<Identity, Denied> {
        let credentials = Credentials {
            client_id: ClientId::new("bob").unwrap(),
            id_is_assigned: false,
            origin: peer.parse::<SocketAddr>().unwrap().into(),
            user: Some("somebody".into()),
            password: Some(Bytes::from_static(b"hush")),
        };
        let mut answer = anonymous.authenticate(credentials);
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(identity) => identity,
            Poll::Pending => panic!("it waits for nothing"),
        }
    }

    #[test]
    fn anonymous_clients_come_from_this_machine_unless_more_is_meant() {
        // Goal: without mqtt.allow_anonymous only this machine is served, in whichever way its address is written; with it, all are.
        let (here, everywhere) = (Anonymous { is_everywhere: false }, Anonymous { is_everywhere: true });
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(ask(here, peer).is_ok() && ask(everywhere, peer).is_ok(), "{peer}");
        }
        for peer in ["192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1"] {
            assert_eq!(ask(here, peer), Err(Denied::Anonymous), "{peer}");
            let let_in = ask(everywhere, peer).unwrap();
            assert_eq!((let_in.client_id().as_str(), let_in.user()), ("bob", None));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        // Goal: credentials can be logged without giving the password away.
        let credentials = Credentials {
            client_id: ClientId::new("bob").unwrap(),
            id_is_assigned: false,
            origin: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            user: None,
            password: Some(Bytes::from_static(b"hush")),
        };
        let shown = format!("{credentials:?}");
        assert!(
            shown.contains("has_password: true") && !shown.contains("hush"),
            "{shown}"
        );
    }
}
