//! How MQTT gets onto a socket: as it is, in TLS, in WebSocket frames, or in both. The only file that names rustls.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use inbox_test_support::websocket::{self, Frames};
use mio::net::TcpStream;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::ended::LinkError;

/// Encrypted bytes of one read.
const RAW_BYTES: usize = 64 * 1024;
/// Room for what one read may decrypt to: its bytes, and a record that had begun before.
const ROOM_BYTES: usize = RAW_BYTES + 32 * 1024;

/// What carries MQTT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// TCP alone
    #[default]
    Tcp,
    /// TLS
    Tls,
    /// WebSocket
    Ws,
    /// WebSocket over TLS
    Wss,
}

/// How clients reach the broker.
#[derive(Debug, Args)]
pub(crate) struct Way {
    /// What carries MQTT
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) transport: Transport,
    /// Certificate of who signed the broker's, in PEM, for tls and wss
    #[arg(long, global = true)]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate of all clients, in PEM
    #[arg(long, global = true, requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its key
    #[arg(long, global = true, requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// Why it cannot be spoken TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// Nobody is trusted.
    #[error("give --ca, the certificate of who signed the broker's")]
    NoCa,
    /// A file cannot be used.
    #[error("{} cannot be used: {why}", path.display())]
    File { path: PathBuf, why: pem::Error },
    /// TLS refuses what is in the files.
    #[error("TLS cannot be spoken with these files: {0}")]
    Tls(#[from] rustls::Error),
}

/// What all connections of a run have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wiring {
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    is_websocket: bool,
}

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    frames: Option<Box<Frames>>,
    /// In frames, if there are any, and not yet in TLS or on the socket.
    framed: Vec<u8>,
    /// How much of `framed`, or of what the caller wants written, is on the socket.
    written: usize,
}

impl Wiring {
    /// This way to a broker of this machine.
    pub(crate) fn new(way: &Way, host: std::net::IpAddr) -> Result<Self, WireError> {
        let tls = match way.transport {
            Transport::Tls | Transport::Wss => Some((Arc::new(config(way)?), ServerName::IpAddress(host.into()))),
            Transport::Tcp | Transport::Ws => None,
        };
        let is_websocket = matches!(way.transport, Transport::Ws | Transport::Wss);
        Ok(Wiring { tls, is_websocket })
    }

    /// A connection over this socket.
    pub(crate) fn wire(&self, stream: TcpStream) -> io::Result<Wire> {
        let tls = match &self.tls {
            None => None,
            Some((config, name)) => {
                let mut tls = ClientConnection::new(config.clone(), name.clone()).map_err(io::Error::other)?;
                tls.set_buffer_limit(None);
                Some(Box::new(tls))
            }
        };
        let frames = self.is_websocket.then(Box::<Frames>::default);
        let framed = if self.is_websocket {
            websocket::REQUEST.into()
        } else {
            Vec::new()
        };
        Ok(Wire {
            stream,
            tls,
            frames,
            framed,
            written: 0,
        })
    }
}

impl Wire {
    /// Reads once into `room`, of which there must be 128 KiB. How many bytes of MQTT came, and whether the socket is empty; `None` if nothing came.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Result<Option<(usize, bool)>, LinkError> {
        let read = match &mut self.tls {
            None => read_plain(&mut self.stream, room)?,
            Some(tls) => read_tls(tls, &mut self.stream, room)?,
        };
        let (Some((bytes, is_short)), Some(frames)) = (read, &mut self.frames) else {
            return Ok(read);
        };
        let bytes = frames.open(room.get_mut(..bytes).unwrap_or_default())?;
        Ok(Some((bytes, is_short)))
    }

    /// Whether there is something to write after a read: for TLS itself, or what waited for the broker to agree to WebSocket.
    pub(crate) fn wants_write(&self, has_waiting: bool) -> bool {
        let may_write = self.frames.as_ref().is_some_and(|frames| frames.is_open());
        self.tls.as_ref().is_some_and(|tls| tls.wants_write()) || (has_waiting && may_write)
    }

    /// Writes until everything in `out` is written, which empties it, or the socket is full.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.tls.is_none() && self.frames.is_none() {
            if write_plain(&mut self.stream, out, &mut self.written)? {
                out.clear();
            }
            return Ok(());
        }
        match &mut self.frames {
            Some(frames) if frames.is_open() => frames.seal(out, &mut self.framed),
            // The broker takes nothing before it has answered the request.
            Some(_) => {}
            None => self.framed.append(out),
        }
        match &mut self.tls {
            None => {
                if write_plain(&mut self.stream, &self.framed, &mut self.written)? {
                    self.framed = Vec::new();
                }
                Ok(())
            }
            Some(tls) => {
                tls.writer().write_all(&self.framed)?;
                self.framed = Vec::new();
                while tls.wants_write() {
                    match tls.write_tls(&mut self.stream) {
                        Err(e) if is_later(&e) => return Ok(()),
                        Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
                        _ => {}
                    }
                }
                Ok(())
            }
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

fn read_plain(stream: &mut TcpStream, room: &mut [u8]) -> Result<Option<(usize, bool)>, LinkError> {
    loop {
        match stream.read(room) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if is_later(&e) => return Ok(None),
            Err(e) => return Err(e.into()),
            Ok(0) => return Err(LinkError::Closed),
            Ok(read) => return Ok(Some((read, read < room.len()))),
        }
    }
}

fn read_tls(
    tls: &mut ClientConnection,
    stream: &mut TcpStream,
    room: &mut [u8],
) -> Result<Option<(usize, bool)>, LinkError> {
    let mut raw = [0; RAW_BYTES];
    let mut filled = 0;
    while room.len() - filled >= ROOM_BYTES {
        let (mut rest, is_short) = match read_plain(stream, &mut raw) {
            Ok(Some((read, is_short))) => (raw.get(..read).unwrap_or_default(), is_short),
            Ok(None) => return Ok((filled > 0).then_some((filled, true))),
            // What came before the end counts; the next read meets the end again.
            Err(_) if filled > 0 => return Ok(Some((filled, false))),
            Err(error) => return Err(error),
        };
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            tls.process_new_packets().map_err(io::Error::other)?;
            loop {
                match tls.reader().read(room.get_mut(filled..).unwrap_or_default()) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                }
            }
        }
        if is_short {
            return Ok((filled > 0).then_some((filled, true)));
        }
    }
    Ok(Some((filled, false)))
}

/// Whether everything from `written` on is written now; then `written` is 0 again.
fn write_plain(stream: &mut TcpStream, bytes: &[u8], written: &mut usize) -> io::Result<bool> {
    while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(more) => *written += more,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if is_later(&e) => return Ok(false),
            Err(e) => return Err(e),
        }
    }
    *written = 0;
    Ok(true)
}

/// Every connection makes a whole handshake, as different clients do.
fn config(way: &Way) -> Result<ClientConfig, WireError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(way.ca.as_deref().ok_or(WireError::NoCa)?)? {
        roots.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match (&way.cert, &way.key) {
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|why| file(key, why))?;
            config.with_client_auth_cert(certificates(cert)?, key)?
        }
        _ => config.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WireError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|why| file(path, why))
}

fn file(path: &Path, why: pem::Error) -> WireError {
    WireError::File {
        path: path.to_owned(),
        why,
    }
}
