//! Who listens to events, and has the spans sent that come of them.

use std::env;
use std::time::Duration;

use inbox_bridge::{EventKind, Heard, Node};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::Client;
use super::spans::Spans;

/// These name the service.
const NAMES: [&str; 2] = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
/// Events that wait to be looked at.
const EVENTS_MAX: usize = 8192;
/// How often it is looked for spans that are open for too long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the last spans may take to be sent.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends spans, until it is told to stop.
pub(super) struct Exporting {
    provider: SdkTracerProvider,
    follower: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Exporting {
    /// Begins, as the environment says; `endpoint` is another one. To be called in the runtime that sends.
    pub(super) fn start(node: &Node, endpoint: Option<String>) -> Result<Self, ExporterBuildError> {
        let client = Client::new(tokio::runtime::Handle::current());
        let mut exporter = SpanExporter::builder().with_http().with_http_client(client);
        if let Some(endpoint) = endpoint {
            exporter = exporter.with_endpoint(endpoint);
        }
        let exporter = exporter.build()?;
        let mut resource = Resource::builder();
        if NAMES
            .iter()
            .all(|name| !env::var(name).is_ok_and(|value| is_name(name, &value)))
        {
            resource = resource.with_service_name("inboxd");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let (stop, stopped) = oneshot::channel();
        let spans = Spans::new(provider.tracer("inboxd"));
        let follower = tokio::spawn(follow(node.clone(), spans, stopped));
        Ok(Exporting {
            provider,
            follower,
            stop,
        })
    }

    /// Sends what there is, for a moment, and ends.
    pub(super) async fn stop(self) {
        // One that has panicked hears nothing.
        let _told = self.stop.send(());
        let _ended = self.follower.await;
        let provider = self.provider;
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(PATIENCE));
        if let Ok(Err(error)) = stopped.await {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

fn is_name(variable: &str, value: &str) -> bool {
    variable == "OTEL_SERVICE_NAME" && !value.is_empty() || value.contains("service.name=")
}

async fn follow(node: Node, mut spans: Spans, mut stopped: oneshot::Receiver<()>) {
    let listener = node.events.listen(&EventKind::OF_MESSAGES, EVENTS_MAX);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let hear = |spans: &mut Spans, heard| match heard {
        Heard::Event(event) => spans.hears(&event, node.now()),
        Heard::Missed(events) => {
            tracing::warn!(events, "spans could not keep up, and miss some of what happened");
        }
    };
    loop {
        tokio::select! {
            heard = listener.next() => hear(&mut spans, heard),
            _ = looks.tick() => spans.give_up(node.now()),
            _ = &mut stopped => break,
        }
    }
    while let Some(heard) = listener.try_next() {
        hear(&mut spans, heard);
    }
    spans.give_up_all(node.now());
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;

    use inbox_bridge::{ClientId, Event, Hub, Limits, MemoryStore, Seq, SystemClock, Unobserved};

    use super::*;

    fn is_whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request).to_lowercase();
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let length = length.and_then(|length| length.trim().parse::<usize>().ok());
        let head = request.windows(4).position(|four| four == b"\r\n\r\n");
        matches!((head, length), (Some(head), Some(length)) if request.len() >= head + 4 + length)
    }

    /// Takes one request, answers it, and gives what it was.
    fn collect(listener: &TcpListener) -> Vec<u8> {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).unwrap();
            assert!(read > 0, "the request is cut off");
            request.extend(&some[..read]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
        request
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_come_to_a_collector_as_otlp_over_http() {
        // Goal: what was accepted and acknowledged is with the collector when the broker has stopped, also when it stops at once.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let collected = tokio::task::spawn_blocking(move || collect(&listener));
        let opened = Hub::open(
            &MemoryStore::new(),
            Limits::default(),
            Arc::new(SystemClock::default()),
            Arc::new(Unobserved),
        );
        let node = Arc::new(opened.unwrap().0).node();
        let exporting = Exporting::start(&node, Some(endpoint)).unwrap();
        while !node.events.is_wanted(EventKind::Accepted) {
            tokio::task::yield_now().await;
        }
        let id = |name| ClientId::new(name).unwrap();
        node.events.tell(EventKind::Accepted, || Event::Accepted {
            inbox: id("bob"),
            seq: Seq(1),
            from: id("alice"),
            id: Some("m1".into()),
            traceparent: None,
        });
        node.events.tell(EventKind::Acknowledged, || Event::Acknowledged {
            inbox: id("bob"),
            seq: Seq(1),
            is_cancelled: true,
        });
        exporting.stop().await;
        let request = collected.await.unwrap();
        let text = String::from_utf8_lossy(&request);
        assert!(text.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{text}");
        for said in ["application/x-protobuf", "inboxd", "bob", "alice", "m1", "cancelled"] {
            assert!(text.contains(said), "{said} is not in {text}");
        }
    }
}
