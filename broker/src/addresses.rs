//! Addresses to listen on: which of them exclude each other, and which the system does not give.

use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Whether the system lets only one of two addresses be listened on: they are one, or one of them is all addresses of the machine. All
/// of IPv6 are those of IPv4, too.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_all = |all: SocketAddr, of: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || of.is_ipv4());
    // Port 0 is another one each time.
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || is_all(one, other) || is_all(other, one))
}

/// Why the system does not let this process listen there, but for that somebody does.
pub(crate) fn refused(address: SocketAddr) -> Option<io::Error> {
    // UDP, so that no client of a broker that is about to start can meet this socket. The rules for addresses and ports are the same.
    let why = UdpSocket::bind(address).err()?;
    (why.kind() != io::ErrorKind::AddrInUse).then_some(why)
}

/// Whether other machines may reach it.
pub(crate) fn is_reachable(address: SocketAddr) -> bool {
    !transport::is_loopback(address.ip())
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_that_cannot_both_be_listened_on_are_known() {
        // Goal: one address twice, all addresses beside one of them, all of IPv6 beside those of IPv4; but not other ports, port 0, other
        // addresses, or all of IPv4 beside one of IPv6.
        let overlap = |one: &str, other: &str| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            let both = [super::overlap(one, other), super::overlap(other, one)];
            assert_eq!(both[0], both[1], "{one} {other}");
            both[0]
        };
        for (one, other) in [
            ("127.0.0.1:1883", "127.0.0.1:1883"),
            ("0.0.0.0:1883", "127.0.0.1:1883"),
            ("[::]:1883", "127.0.0.1:1883"),
            ("[::]:1883", "0.0.0.0:1883"),
            ("[::]:1883", "[::1]:1883"),
        ] {
            assert!(overlap(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("127.0.0.1:1883", "127.0.0.1:1884"),
            ("127.0.0.1:1883", "127.0.0.2:1883"),
            ("0.0.0.0:1883", "[::1]:1883"),
            ("0.0.0.0:0", "127.0.0.1:0"),
        ] {
            assert!(!overlap(one, other), "{one} {other}");
        }
    }
}
