//! Accepting HTTP connections, and what each may take.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mqtt_session::Counted;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use transport::{Listener, Tcp, is_loopback};

use super::patient::Patient;
use super::peer::Peer;
use super::routes::{Part, router};
use super::site::Site;
use super::{api, headers};

/// How long a client may take for the head of a request, and between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may be worked on.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take nothing of its answer.
const READER_PATIENCE: Duration = Duration::from_secs(30);
/// The head of a request is at most so long.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// How long to wait after the system had no file descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// An open socket, and what is to be found there.
#[derive(Debug)]
pub struct HttpPort {
    /// What listens.
    pub socket: Tcp,
    /// What is there.
    pub parts: Vec<Part>,
}

/// The tasks that speak HTTP.
#[derive(Debug)]
pub struct Server {
    closing: watch::Sender<bool>,
    all_gone: mpsc::Receiver<()>,
}

/// What the connections of a port share.
#[derive(Clone)]
struct Port {
    site: Arc<Site>,
    router: Router,
    closing: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl Server {
    /// Accepts connections on all of `ports`.
    pub fn start(ports: Vec<HttpPort>, site: &Arc<Site>) -> Self {
        let (closing, told) = watch::channel(false);
        let (alive, all_gone) = mpsc::channel(1);
        for HttpPort { socket, parts } in ports {
            let port = Port {
                site: site.clone(),
                router: router(site, &parts),
                closing: told.clone(),
                alive: alive.clone(),
            };
            tokio::spawn(port.accept_all(socket));
        }
        Server { closing, all_gone }
    }

    /// Accepts no more, answers what was asked, and ends every connection within `patience`.
    pub async fn stop(mut self, patience: Duration) {
        self.closing.send_replace(true);
        // Those that are still there then end with the process.
        let _ended = timeout(patience, self.all_gone.recv()).await;
    }
}

impl Port {
    async fn accept_all(self, socket: Tcp) {
        let mut closing = self.closing.clone();
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = closing.wait_for(|closing| *closing) => return,
            };
            match accepted {
                Ok((stream, peer)) => self.begin(stream, peer),
                Err(error) => {
                    tracing::debug!(%error, "an HTTP connection was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn begin(&self, mut stream: TcpStream, peer: SocketAddr) {
        // Some places are for this machine alone: others must not keep health checks out.
        let all = self.site.settings.connections_max as u64;
        let most = match is_loopback(peer.ip()) {
            true => all,
            false => (all - all / 8).max(1),
        };
        match self.site.connections.enter(most) {
            Some(slot) => {
                tokio::spawn(self.clone().serve(stream, peer, slot));
            }
            None => {
                self.site.refused.fetch_add(1, Relaxed);
                tracing::debug!(%peer, most, "an HTTP connection was refused: http.connections_max are open");
                // The system has room for so little; nobody is waited for.
                tokio::spawn(async move { timeout(ACCEPT_PAUSE, stream.write_all(TOO_MANY)).await });
            }
        }
    }

    /// Serves one connection until it ends, or becomes a WebSocket.
    async fn serve(self, stream: TcpStream, peer: SocketAddr, _slot: Counted) {
        let Port {
            site,
            router,
            mut closing,
            alive: _held,
        } = self;
        let router = TowerToHyperService::new(router);
        let service = service_fn(move |request| answer(site.clone(), router.clone(), peer, request));
        let io = TokioIo::new(Patient::new(stream, READER_PATIENCE));
        let connection = Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(io, service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let closed = async move {
            let _closing = closing.wait_for(|closing| *closing).await;
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = closed => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "an HTTP connection ended");
        }
    }
}

/// Answers one request.
async fn answer(
    site: Arc<Site>,
    router: TowerToHyperService<Router>,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    let is_api = request.uri().path().starts_with(api::ROOT);
    let answered = timeout(ANSWER_TIMEOUT, router.call(request)).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_elapsed) => (StatusCode::SERVICE_UNAVAILABLE, "the answer took too long\n").into_response(),
    };
    if is_api {
        response = api::in_its_form(response);
    }
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        headers::complete(&site, &mut response);
    }
    site.count(response.status().as_u16());
    Ok(response)
}
