//! A way into the broker over TLS and WebSocket for clients that speak TCP alone: what they send to a port of this process goes on over
//! another transport.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

const UPGRADE: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
/// Frames of clients are masked (RFC 6455, section 5.3).
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

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

async fn carry(client: TcpStream, to: u16, tls: Option<Arc<ClientConfig>>, websocket: bool) -> std::io::Result<()> {
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
) -> std::io::Result<()> {
    if !websocket {
        copy_bidirectional(&mut client, &mut broker).await?;
        return Ok(());
    }
    broker.write_all(UPGRADE).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(broker.read_u8().await?);
    }
    let (mut from_client, mut to_client) = split(client);
    let (mut from_broker, mut to_broker) = split(broker);
    tokio::select! {
        sent = frame(&mut from_client, &mut to_broker) => sent,
        received = unframe(&mut from_broker, &mut to_client) => received,
    }
}

/// What the client sends, in frames.
async fn frame(client: &mut (impl AsyncRead + Unpin), broker: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let length = client.read(&mut bytes).await?;
        if length == 0 {
            return Ok(());
        }
        let mut frame = vec![BINARY];
        match u8::try_from(length).ok().filter(|length| *length < 126) {
            Some(length) => frame.push(0x80 | length),
            None => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(MASK);
        let masked = bytes.iter().take(length).zip(MASK.iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        broker.write_all(&frame).await?;
        broker.flush().await?;
    }
}

/// What is in the frames of the broker, to the one that says that it was the last.
async fn unframe(broker: &mut (impl AsyncRead + Unpin), client: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    loop {
        let kind = broker.read_u8().await?;
        let length = match broker.read_u8().await? {
            126 => u64::from(broker.read_u16().await?),
            127 => broker.read_u64().await?,
            length => u64::from(length),
        };
        let mut payload = vec![0; length as usize];
        broker.read_exact(&mut payload).await?;
        if kind == CLOSE {
            return client.shutdown().await;
        }
        client.write_all(&payload).await?;
    }
}
