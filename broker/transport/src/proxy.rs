//! The PROXY protocol, versions 1 and 2: a load balancer says whose connection it is that it passes on
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! **Promise:** only addresses that the operator listed are believed, and of these the header is required, so that nobody can leave it out
//! or make it up.

use std::net::{IpAddr, SocketAddr};

use access::Origin;
use ipnet::IpNet;
use mqtt_session::Cause;
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use crate::entrance::{Entrance, NotEntered};
use crate::websocket::is_loopback;

/// What a header of version 2 begins with.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The same, and version, family and length.
const V2_BYTES: usize = 16;
/// What a header of version 1 begins with.
const V1: &[u8] = b"PROXY ";
/// The shortest header of version 1: `PROXY UNKNOWN` and the end of the line.
const V1_BYTES_MIN: usize = 15;
/// The longest, with the end of the line (section 2.1).
const V1_BYTES_MAX: usize = 107;
/// The longest header of version 2 that is taken. Load balancers add some hundred bytes to the addresses.
const V2_BYTES_MAX: usize = 4096;

/// Why a connection is not believed to be whose it says it is, or was not passed on as agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// One of the listed addresses sent something else.
    #[error("this address is in proxy_protocol_from, and its connection does not begin with a PROXY header")]
    Missing,
    /// The header cannot be read.
    #[error("the PROXY header cannot be read")]
    Malformed,
    /// The header is too long.
    #[error("the PROXY header is longer than 107 bytes (version 1) or 4,096 bytes (version 2)")]
    TooLong,
    /// Another address sent a header.
    #[error("a PROXY header came from an address that is not in proxy_protocol_from, so it is not believed")]
    Stranger,
}

impl From<ProxyError> for NotEntered {
    fn from(error: ProxyError) -> Self {
        let cause = match error {
            ProxyError::Stranger => Cause::ProxyStranger,
            ProxyError::Missing | ProxyError::Malformed | ProxyError::TooLong => Cause::ProxyHeader,
        };
        NotEntered::refused(cause, error)
    }
}

/// TCP, where load balancers at these addresses say who the client is.
#[derive(Debug, Clone, Default)]
pub struct OverTcp {
    /// The addresses of load balancers. None: every connection is a client's own.
    pub proxies: Vec<IpNet>,
}

impl Entrance<TcpStream> for OverTcp {
    type Io = TcpStream;
    const IDLE_BYTES: usize = 0;

    async fn enter(&self, mut stream: TcpStream, origin: &mut Origin) -> Result<TcpStream, NotEntered> {
        if !self.proxies.is_empty() {
            // Boxed, so that the task of a connection does not keep room for it.
            Box::pin(self.look_for_header(&mut stream, origin)).await?;
        }
        Ok(stream)
    }
}

impl OverTcp {
    async fn look_for_header(&self, stream: &mut TcpStream, origin: &mut Origin) -> Result<(), NotEntered> {
        let proxy = origin.peer.ip().to_canonical();
        if self.proxies.iter().any(|net| net.contains(&proxy)) {
            if let Some(client) = read_header(stream).await? {
                origin.peer = believed(client, origin.peer);
            }
            return Ok(());
        }
        let mut first = [0; V2.len()];
        let n = stream.peek(&mut first).await?;
        let first = first.get(..n).unwrap_or_default();
        match first.starts_with(V1) || first.starts_with(V2) {
            true => Err(ProxyError::Stranger.into()),
            false => Ok(()),
        }
    }
}

/// A load balancer on another machine whose client was on that same machine names an address that means this machine here.
fn believed(client: SocketAddr, proxy: SocketAddr) -> SocketAddr {
    match is_loopback(client.ip()) && !is_loopback(proxy.ip()) {
        true => proxy,
        false => client,
    }
}

/// Reads a header and nothing behind it. Gives the client's address; `None`: the load balancer speaks for itself, or does not know.
async fn read_header<T: AsyncRead + Unpin>(io: &mut T) -> Result<Option<SocketAddr>, NotEntered> {
    let mut header = Vec::with_capacity(V1_BYTES_MAX);
    let mut chunk = [0; V1_BYTES_MAX];
    loop {
        let missing = missing(&header)?;
        if missing == 0 {
            return Ok(client(&header)?);
        }
        let room = chunk.get_mut(..missing.min(V1_BYTES_MAX)).unwrap_or_default();
        let n = io.read(room).await?;
        if n == 0 {
            return Err(NotEntered::Lost);
        }
        header.extend_from_slice(chunk.get(..n).unwrap_or_default());
    }
}

/// How many bytes can be read at least without taking what follows the header that begins with `read`; 0 when it is whole.
///
/// # Errors
/// This is no header.
pub(crate) fn missing(read: &[u8]) -> Result<usize, ProxyError> {
    let begins = |with: &[u8]| read.iter().zip(with).all(|(one, other)| one == other);
    if begins(V1) {
        // The shortest header is read at once, so a line may end before that: it is none, and what follows it is not looked at.
        let before = read.get(..read.len().saturating_sub(2)).unwrap_or_default();
        if before.windows(2).any(|pair| pair == b"\r\n") {
            return Err(ProxyError::Malformed);
        }
        return match read {
            [.., b'\r', b'\n'] => Ok(0),
            _ if read.len() >= V1_BYTES_MAX => Err(ProxyError::TooLong),
            _ if read.len() < V1_BYTES_MIN => Ok(V1_BYTES_MIN - read.len()),
            [.., b'\r'] => Ok(1),
            // Both bytes of the end of the line are still to come, and may be the next ones.
            _ => Ok(2.min(V1_BYTES_MAX - read.len())),
        };
    }
    if !begins(V2) {
        return Err(ProxyError::Missing);
    }
    let Some([high, low]) = read.get(V2_BYTES - 2..V2_BYTES) else {
        return Ok(V2_BYTES - read.len());
    };
    let whole = V2_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
    match whole > V2_BYTES_MAX {
        true => Err(ProxyError::TooLong),
        false => Ok(whole.saturating_sub(read.len())),
    }
}

/// The address of the client that a whole header names; `None` when it names none.
///
/// # Errors
/// It cannot be read.
pub(crate) fn client(header: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    if header.starts_with(V1) {
        // Of other letters behind a CR, ppp 2.3 makes a panic. The line is US-ASCII (section 2.1).
        let text = std::str::from_utf8(header).ok().filter(|text| text.is_ascii());
        let text = text.ok_or(ProxyError::Malformed)?;
        let header = v1::Header::try_from(text).map_err(|_| ProxyError::Malformed)?;
        return Ok(match header.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(tcp) => Some(at(tcp.source_address, tcp.source_port)),
            v1::Addresses::Tcp6(tcp) => Some(at(tcp.source_address, tcp.source_port)),
        });
    }
    let header = v2::Header::try_from(header).map_err(|_| ProxyError::Malformed)?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Local, _) => None,
        (_, v2::Addresses::IPv4(ip)) => Some(at(ip.source_address, ip.source_port)),
        (_, v2::Addresses::IPv6(ip)) => Some(at(ip.source_address, ip.source_port)),
        (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
    })
}

fn at(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2, &[0x20 | command, family], &length, rest].concat()
    }

    const IPV4: &[u8] = &[192, 0, 2, 9, 10, 0, 0, 1, 0x12, 0x34, 7, 0x5B];

    #[test]
    fn a_line_that_ends_before_a_header_can_is_none() {
        // Goal: a line shorter than any header is refused, and not taken together with what follows it.
        for line in [
            "PROXY TCP2 \r\n\r\n",
            "PROXY \r\nUNKNOWN\r\n",
            "PROXY TCP4\r\n\x10\x10\0",
        ] {
            assert_eq!(missing(line.as_bytes()), Err(ProxyError::Malformed), "{line:?}");
        }
        assert_eq!(missing(b"PROXY UNKNOWN\r\n"), Ok(0));
    }

    #[test]
    fn a_line_that_is_not_ascii_is_refused() {
        // Goal: section 2.1: the line is US-ASCII; a letter of several bytes behind a CR is refused as any other mistake is.
        let line = "PROXY TCP4 192.0.2.9 10.0.0.1 1\r\u{6AD} 1883\r\n";
        assert_eq!(missing(line.as_bytes()), Ok(0));
        assert_eq!(client(line.as_bytes()), Err(ProxyError::Malformed));
    }

    #[tokio::test]
    async fn a_header_says_who_the_client_is_and_nothing_behind_it_is_read() {
        // Goal: sections 2.1 and 2.2 of the protocol: the addresses of both versions; what the load balancer says of itself is no client's; a
        // header is read to its end and no further, however it comes.
        let ipv6 = [
            &[0x20, 1, 0x0D, 0xB8][..],
            &[0; 11],
            &[9],
            &[0; 16],
            &[0x12, 0x34, 7, 0x5B],
        ]
        .concat();
        let with_more = [IPV4, &[4, 0, 2, 0, 0]].concat();
        for (header, client) in [
            (
                b"PROXY TCP4 192.0.2.9 10.0.0.1 4660 1883\r\n".to_vec(),
                Some("192.0.2.9:4660"),
            ),
            (
                b"PROXY TCP6 2001:db8::9 ::1 4660 1883\r\n".to_vec(),
                Some("[2001:db8::9]:4660"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN 2001:db8::9 ::1 4660 1883\r\n".to_vec(), None),
            (v2(1, 0x11, IPV4), Some("192.0.2.9:4660")),
            (v2(1, 0x21, &ipv6), Some("[2001:db8::9]:4660")),
            (v2(1, 0x11, &with_more), Some("192.0.2.9:4660")),
            (v2(0, 0x11, IPV4), None),
            (v2(0, 0, b""), None),
            (v2(1, 0, b""), None),
            (v2(1, 0x31, &[0; 216]), None),
        ] {
            for chunk in [1, 5, 1000] {
                let (mut from, mut to) = tokio::io::duplex(chunk);
                let bytes = [&header[..], b"MQTT"].concat();
                let task = tokio::spawn(async move { from.write_all(&bytes).await });
                let read = read_header(&mut to).await.unwrap();
                assert_eq!(read, client.map(|client| client.parse().unwrap()), "{header:?}");
                let mut behind = [0; 4];
                to.read_exact(&mut behind).await.unwrap();
                assert_eq!(&behind, b"MQTT", "{header:?}");
                task.await.unwrap().unwrap();
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_shows() {
        // Goal: something else, headers that cannot be read, and those that are too long: nothing is waited for in vain.
        assert_eq!(missing(b"\x10"), Err(ProxyError::Missing));
        assert_eq!(missing(b"PROXZ"), Err(ProxyError::Missing));
        assert_eq!(missing(b"\r\n\r\n\0\r\nQUIZ"), Err(ProxyError::Missing));
        assert_eq!(
            missing(&[b"PROXY ", &[b'a'; 101][..]].concat()),
            Err(ProxyError::TooLong)
        );
        assert_eq!(
            missing(&[V2, &[0x21, 0x11, 0xFF, 0xFF]].concat()),
            Err(ProxyError::TooLong)
        );
        for header in [
            b"PROXY TCP4 1.2.3 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 1.2.3.4 10.0.0.1 1 99999\r\n".to_vec(),
            b"PROXY SCTP 1.2.3.4 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 \xFF.2.3.4 10.0.0.1 1 2\r\n".to_vec(),
            v2(1, 0x11, &IPV4[..11]),
            v2(2, 0x11, IPV4),
            v2(1, 0x44, IPV4),
        ] {
            assert_eq!(missing(&header), Ok(0), "{header:?}");
            assert_eq!(client(&header), Err(ProxyError::Malformed), "{header:?}");
        }
    }

    #[test]
    fn the_own_machine_of_a_load_balancer_is_not_this_one() {
        // Goal: clients of this machine may do more; an address that means the machine of a load balancer far away does not count as this one.
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(believed(at("192.0.2.9:1"), at("10.0.0.1:2")), at("192.0.2.9:1"));
        assert_eq!(believed(at("127.0.0.1:1"), at("10.0.0.1:2")), at("10.0.0.1:2"));
        assert_eq!(believed(at("[::ffff:127.0.0.1]:1"), at("10.0.0.1:2")), at("10.0.0.1:2"));
        assert_eq!(believed(at("127.0.0.1:1"), at("[::1]:2")), at("127.0.0.1:1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_refused(start in prop_oneof![Just(V1), Just(V2), Just(&[][..])], bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            // Goal: nothing panics, and no byte behind a header is read.
            crate::fuzzing::proxy(&[start, &bytes].concat());
        }
    }
}
