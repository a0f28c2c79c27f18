//! Where connections come from.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that the system may hold for us before we accept them.
pub const BACKLOG: u32 = 4096;

/// What a connection reads and writes.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// An address that can be listened on.
pub trait Bind {
    /// What listens on it.
    type Listener: Listener;

    /// Listens. Connections are held from here on.
    ///
    /// # Errors
    /// See [`BindError`].
    fn bind(&self) -> Result<Bound<Self::Listener>, BindError>;
}

/// A listener, and where it listens: port 0 was replaced by the one that the system chose.
#[derive(Debug)]
pub struct Bound<L> {
    /// What listens.
    pub listener: L,
    /// Where.
    pub address: SocketAddr,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {why}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub why: io::Error,
}

/// Gives connections one by one. It must not wait for a client: what a client has to say before its first MQTT packet is read in its
/// own task, when its connection is first read.
pub trait Listener: Send + Sync + 'static {
    /// What a connection reads and writes.
    type Io: Io;

    /// The next connection, and who is at its other end.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

/// MQTT over plain TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpAddress(pub SocketAddr);

/// A [`Listener`] for plain TCP.
#[derive(Debug)]
pub struct Tcp(TcpListener);

impl Bind for TcpAddress {
    type Listener = Tcp;

    fn bind(&self) -> Result<Bound<Tcp>, BindError> {
        let TcpAddress(address) = *self;
        let bound = || {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let listener = socket.listen(BACKLOG)?;
            let address = listener.local_addr()?;
            io::Result::Ok(Bound {
                listener: Tcp(listener),
                address,
            })
        };
        bound().map_err(|why| BindError { address, why })
    }
}

impl Listener for Tcp {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "a connection was gone at once");
        }
        Ok((stream, peer))
    }
}
