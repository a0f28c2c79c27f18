//! A way into the broker over TLS and WebSocket for clients that speak TCP alone: what they send to a port of this process goes on over
//! another transport.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use inbox_test_support::websocket::{Frames, REQUEST};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

/// See the module's documentation. It ends when it is dropped.
pub struct Tunnel {
    port: u16,
    _runtime: Runtime,
}

impl Tunnel {
    /// Leads to the port `to` of this machine: with TLS if there is a configuration for it, and in WebSocket frames if they are wanted.
    pub fn start(to: u16, tls: Option<Arc<ClientConfig>>, websocket: bool) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let tls = tls.clone();
                // Either side may go away in the middle of it.
                tokio::spawn(async move { carry(client, to, tls, websocket).await.unwrap_or_default() });
            }
        });
        Tunnel {
            port,
            _runtime: runtime,
        }
    }

    /// Where clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn carry(client: TcpStream, to: u16, tls: Option<Arc<ClientConfig>>, websocket: bool) -> io::Result<()> {
    let broker = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    broker.set_nodelay(true)?;
    client.set_nodelay(true)?;
    match tls {
        None => carry_over(client, broker, websocket).await,
        Some(tls) => {
            let name = ServerName::try_from("localhost").expect("a name");
            let broker = TlsConnector::from(tls).connect(name, broker).await?;
            carry_over(client, broker, websocket).await
        }
    }
}

async fn carry_over(
    mut client: TcpStream,
    mut broker: impl AsyncRead + AsyncWrite + Unpin,
    websocket: bool,
) -> io::Result<()> {
    if !websocket {
        copy_bidirectional(&mut client, &mut broker).await?;
        return Ok(());
    }
    broker.write_all(REQUEST.as_bytes()).await?;
    let mut frames = Frames::default();
    while !frames.is_open() {
        pass_on(&mut broker, &mut frames, &mut client).await?;
    }
    let (mut from_client, mut to_client) = split(client);
    let (mut from_broker, mut to_broker) = split(broker);
    tokio::select! {
        sent = seal(&mut from_client, &mut to_broker) => sent,
        received = async { loop { pass_on(&mut from_broker, &mut frames, &mut to_client).await?; } } => received,
    }
}

/// What the client sends, in frames.
async fn seal(client: &mut (impl AsyncRead + Unpin), broker: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let (mut bytes, mut framed) = (Vec::with_capacity(16 * 1024), Vec::new());
    while client.read_buf(&mut bytes).await? > 0 {
        framed.clear();
        Frames::default().seal(&mut bytes, &mut framed);
        broker.write_all(&framed).await?;
        broker.flush().await?;
    }
    Ok(())
}

/// What is in the next frames of the broker, for the client. The last one is an error.
async fn pass_on(
    broker: &mut (impl AsyncRead + Unpin),
    frames: &mut Frames,
    client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut bytes = [0; 4096];
    let read = broker.read(&mut bytes).await?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let is_mqtt = frames
        .open(&mut bytes[..read])
        .map_err(|why| io::Error::other(format!("{why:?}")))?;
    client.write_all(&bytes[..is_mqtt]).await?;
    match frames.is_closed() {
        true => Err(io::ErrorKind::ConnectionReset.into()),
        false => Ok(()),
    }
}
