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
    let is_here = |address: SocketAddr| address.ip().to_canonical().is_loopback();
    match is_here(client) && !is_here(proxy) {
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
pub fn missing(read: &[u8]) -> Result<usize, ProxyError> {
    let begins = |with: &[u8]| read.iter().zip(with).all(|(one, other)| one == other);
    if begins(V1) {
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
pub fn client(header: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    if header.starts_with(V1) {
        let text = std::str::from_utf8(header).map_err(|_| ProxyError::Malformed)?;
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
