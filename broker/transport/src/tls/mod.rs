//! MQTT over TLS 1.2 and 1.3, by rustls.

mod certificate;
mod files;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::available_parallelism;
use std::time::SystemTime;

use access::Origin;
use mqtt_session::Cause;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::entrance::{Entrance, NotEntered};
use crate::listener::Io;
use files::Loaded;
pub use files::{ClientCertificates, Remark, TlsError, TlsFiles};

/// Why TLS was not agreed on.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Something that is not TLS, or TLS that has nothing in common with ours.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[source] rustls::Error),
    /// The client shows no certificate, or none that is valid.
    #[error("the client certificate is not accepted: {0}")]
    ClientCertificate(#[source] rustls::Error),
}

impl From<HandshakeError> for NotEntered {
    fn from(error: HandshakeError) -> Self {
        let cause = match error {
            HandshakeError::ClientCertificate(_) => Cause::ClientCertificate,
            HandshakeError::Failed(_) => Cause::TlsHandshake,
        };
        NotEntered::refused(cause, error)
    }
}

/// How many handshakes may compute at a time, on all listeners. The signature of an RSA key takes a millisecond: with more of these
/// in the queue, clients that are connected would wait behind a storm of those that come.
#[derive(Debug, Clone)]
pub struct Handshakes(Arc<Semaphore>);

impl Default for Handshakes {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Handshakes(Arc::new(Semaphore::new(2 * cores)))
    }
}

/// The certificate and the key of a listener, as they were last read.
#[derive(Debug)]
pub struct TlsKeys {
    files: TlsFiles,
    alpn: &'static [u8],
    current: RwLock<Loaded>,
}

impl TlsKeys {
    /// For what is spoken over TLS by the name `alpn`: `mqtt`, or `http/1.1`.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: TlsFiles, alpn: &'static [u8]) -> Result<Self, TlsError> {
        let current = RwLock::new(load(&files, alpn)?);
        Ok(TlsKeys { files, alpn, current })
    }

    /// Reads and checks the files again; what was read comes into force by [`Fresh::enforce`].
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn read_again(&self) -> Result<Fresh<'_>, TlsError> {
        let loaded = load(&self.files, self.alpn)?;
        Ok(Fresh { keys: self, loaded })
    }

    /// What an operator should know at this time of the certificate that is in force.
    pub fn remark(&self, now: SystemTime) -> Option<Remark> {
        self.current.read().remark(&self.files.certificate, now)
    }

    fn current(&self) -> Arc<ServerConfig> {
        self.current.read().config.clone()
    }
}

/// What was read again, and is not in force yet.
#[derive(Debug)]
pub struct Fresh<'k> {
    keys: &'k TlsKeys,
    loaded: Loaded,
}

impl Fresh<'_> {
    /// Clients that come from now on meet this. Those that are there go on with what they have. A client that comes back must not rest on
    /// what the old files said of it: sessions to resume belong to the old configuration, and end with it.
    pub fn enforce(self) {
        *self.keys.current.write() = self.loaded;
    }
}

fn load(files: &TlsFiles, alpn: &[u8]) -> Result<Loaded, TlsError> {
    files.load(&Arc::new(rustls::crypto::ring::default_provider()), alpn)
}

/// Lets clients in that come by TLS, over what is below.
#[derive(Debug)]
pub struct OverTls<E> {
    /// What comes before the handshake.
    pub below: E,
    /// Certificate and key.
    pub keys: Arc<TlsKeys>,
    /// How many handshakes may compute at a time.
    pub handshakes: Handshakes,
}

impl<R: Send + 'static, E: Entrance<R>> Entrance<R> for OverTls<E> {
    // Boxed, so that it need not be moved about, and the tasks of other connections do not keep room for it.
    type Io = Box<TlsStream<E::Io>>;
    // Measured: keys, the names of the session, and a buffer of 4 KiB for what comes next.
    const IDLE_BYTES: usize = 8 * 1024 + E::IDLE_BYTES;

    async fn enter(&self, raw: R, origin: &mut Origin) -> Result<Self::Io, NotEntered> {
        let io = self.below.enter(raw, origin).await?;
        let stream = Box::pin(self.shake_hands(io)).await?;
        if let Some(first) = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()) {
            let unreadable = || HandshakeError::ClientCertificate(rustls::CertificateError::BadEncoding.into());
            let names = certificate::names(first).ok_or_else(unreadable)?;
            origin.certificate = Some(Arc::new(names));
        }
        Ok(stream)
    }
}

impl<E> OverTls<E> {
    async fn shake_hands<T: Io>(&self, io: T) -> Result<Box<TlsStream<T>>, NotEntered> {
        // Nothing is computed until the client has said what it wants.
        let start = LazyConfigAcceptor::new(Acceptor::default(), io).await.map_err(failed)?;
        let mut handshake = start.into_stream(self.keys.current());
        // All that is expensive happens before the first answer is written. Then the client is waited for, and others may compute.
        let computing = self.handshakes.0.acquire().await;
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut handshake).poll(cx))).await;
        drop(computing);
        let stream = match first {
            Poll::Ready(done) => done,
            Poll::Pending => handshake.await,
        };
        Ok(Box::new(stream.map_err(failed)?))
    }
}

fn failed(error: io::Error) -> NotEntered {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return NotEntered::Lost;
    };
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            HandshakeError::ClientCertificate(error.clone()).into()
        }
        _ => HandshakeError::Failed(error.clone()).into(),
    }
}
