//! Where a client comes from, and what it showed before its first MQTT packet.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// What the transport knows of a client when its CONNECT comes.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The other end of the network connection; behind a load balancer that says so, the client's own address.
    pub peer: SocketAddr,
    /// The name of the listener that it came through, where there is one.
    pub listener: Option<Arc<str>>,
    /// The client certificate that TLS verified.
    pub certificate: Option<Arc<Certificate>>,
    /// The token that came with the WebSocket upgrade. A secret.
    pub token: Option<Box<str>>,
}

/// The names in a client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    /// The common name of its subject.
    pub common_name: Option<Box<str>>,
    /// Its subject alternative names that are DNS names, e-mail addresses or URIs (RFC 5280, section 4.2.1.6).
    pub alternative_names: Vec<Box<str>>,
}

/// Who is behind an address, as far as that can be told: an IPv4 address however it is written, or an IPv6 network of 64 bits, of which a
/// customer has one or more (RFC 6177).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = u128::MAX << 64;
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & NETWORK).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Origin {
    /// Gives away what the client showed, which is needed once; the address and the listener stay.
    pub fn hand_over(&mut self) -> Origin {
        Origin {
            peer: self.peer,
            listener: self.listener.clone(),
            certificate: self.certificate.take(),
            token: self.token.take(),
        }
    }
}

impl From<SocketAddr> for Origin {
    /// A client of which nothing is known but its address.
    fn from(peer: SocketAddr) -> Self {
        Origin {
            peer,
            listener: None,
            certificate: None,
            token: None,
        }
    }
}

impl fmt::Debug for Origin {
    /// Without the token, so that no log record can hold it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("peer", &self.peer)
            .field("listener", &self.listener)
            .field("certificate", &self.certificate)
            .field("has_token", &self.token.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown_and_what_was_shown_is_handed_over_once() {
        // Goal: an origin can be logged without giving the token away; after it was handed over, the address alone is kept.
        let mut origin = Origin {
            certificate: Some(Arc::new(Certificate::default())),
            token: Some("hush".into()),
            ..Origin::from(SocketAddr::from(([192, 0, 2, 1], 7)))
        };
        let shown = format!("{origin:?}");
        assert!(shown.contains("has_token: true") && !shown.contains("hush"), "{shown}");
        let handed = origin.hand_over();
        assert!(handed.certificate.is_some() && handed.token.as_deref() == Some("hush"));
        assert_eq!(origin, Origin::from(handed.peer));
    }
}
