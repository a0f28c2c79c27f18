//! The exporter's HTTP: our own client, so that there is one TLS and one set of roots.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use access::{Endpoint, UrlError};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// Longer answers are no answers of a collector.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// OpenTelemetry's default for an export.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module's documentation.
pub(super) struct Client {
    runtime: Handle,
    /// The exporter knows one URL.
    endpoint: OnceLock<Result<std::sync::Arc<Endpoint>, UrlError>>,
    /// The last export went wrong, and that was told.
    is_failing: AtomicBool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(runtime: Handle) -> Self {
        Client {
            runtime,
            endpoint: OnceLock::new(),
            is_failing: AtomicBool::new(false),
        }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let url = request.uri().to_string();
        let endpoint = self.endpoint.get_or_init(|| Endpoint::parse(&url).map(Into::into));
        let endpoint = endpoint.clone()?;
        let request = request.map(Full::new);
        // The exporter has a thread of its own, and no runtime.
        let sent = self
            .runtime
            .spawn(async move { tokio::time::timeout(PATIENCE, endpoint.send(request, ANSWER_BYTES_MAX)).await });
        let (status, body) = sent.await???;
        Ok(Response::builder().status(status).body(body)?)
    }

    /// Says when it begins to go wrong, and when it does no more.
    fn tell(&self, why: Option<String>) {
        let was_failing = self.is_failing.swap(why.is_some(), Relaxed);
        match why {
            Some(why) if !was_failing => {
                tracing::warn!(
                    why,
                    "spans cannot be sent to the collector; this is tried again with the next ones"
                );
            }
            None if was_failing => tracing::info!("spans are sent again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request).await;
        self.tell(match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        sent
    }
}
