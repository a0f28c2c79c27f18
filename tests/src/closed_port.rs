//! A port at which nobody answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// A port of the loopback address that is bound and not listened on: connections are refused, and nobody else is given it meanwhile.
pub struct ClosedPort {
    port: u16,
    _bound: OwnedFd,
}

impl ClosedPort {
    /// Another one each time.
    #[allow(clippy::new_without_default, reason = "it takes something of the system")]
    pub fn new() -> Self {
        let bound = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&bound, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = SocketAddr::try_from(getsockname(&bound).unwrap()).unwrap();
        ClosedPort {
            port: address.port(),
            _bound: bound,
        }
    }

    /// Its address, with the scheme of HTTP.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
