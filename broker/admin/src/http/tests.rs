//! The port as a whole, over sockets: before there is a broker, with one, and at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Access, Anonymous};
use hdrhistogram::Histogram;
use inbox_bridge::{Hub, MemoryStore, Unobserved};
use inbox_types::{Limits, SystemClock};
use intake::InboxNames;
use mqtt_session::{Metrics, MqttLimits, Shared};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use transport::{Bind, TcpAddress};

use super::*;
use crate::error::Code;
use crate::prometheus::{Measure, Measured};

struct Fake;

impl Measured for Fake {
    fn numbers(&self) -> Vec<(&'static str, u64)> {
        vec![("connections", 1_234_567), ("accepted", 8)]
    }

    fn histograms(&self) -> Vec<(Measure, Histogram<u64>)> {
        Vec::new()
    }
}

/// Has three messages in each inbox, and no client.
#[derive(Default)]
struct Three(Mutex<Vec<Request>>);

impl Operations for Three {
    fn answer(&self, request: Request) -> Wanted<'_, Value> {
        let after = request.parameters["after"].as_u64().unwrap_or_default();
        let limit = request.parameters["limit"].as_u64().unwrap_or(20).min(2);
        let result = match request.command {
            "inbox/export" => {
                let seqs = (after + 1..=3).take(limit as usize);
                let messages: Vec<Value> = seqs.map(|seq| json!({"seq": seq})).collect();
                let last = after + messages.len() as u64;
                match last < 3 {
                    true => Ok(json!({"messages": messages, "next": last})),
                    false => Ok(json!({"messages": messages})),
                }
            }
            "client/disconnect" => Err(ApiError::new(Code::NotFound, "there is no such client")),
            other => Ok(json!({"asked": other})),
        };
        self.0.lock().push(request);
        Box::pin(std::future::ready(result))
    }

    fn stream(&self, request: Request) -> Wanted<'_, mpsc::Receiver<Value>> {
        let (events, taken) = mpsc::channel(4);
        for n in 0..2 {
            let _fits = events.try_send(json!({"trace": n}));
        }
        self.0.lock().push(request);
        Box::pin(std::future::ready(Ok(taken)))
    }

    fn backup(&self, request: Request) -> Wanted<'_, Pieces> {
        let (pieces, taken) = mpsc::channel(4);
        let _fits = pieces.try_send(Ok("all of it".into()));
        self.0.lock().push(request);
        Box::pin(std::future::ready(Ok(Pieces::of(taken))))
    }
}

fn shared() -> Arc<Shared> {
    let (store, clock) = (MemoryStore::new(), Arc::new(SystemClock::default()));
    let hub = Hub::open(&store, Limits::default(), clock, Arc::new(Unobserved))
        .unwrap()
        .0;
    let node = Arc::new(hub).node();
    let mqtt = MqttLimits::default();
    Arc::new(Shared {
        names: InboxNames::new(""),
        access: Access::new(Arc::new(Anonymous { is_everywhere: false })),
        packet_bytes_max: mqtt.packet_bytes_max(),
        mqtt,
        quotas: access::Quotas::default(),
        retains: true,
        operators: mqtt_session::Operators::default(),
        metrics: Metrics::telling(&node.events),
        node: Arc::new(node),
    })
}

struct Started {
    site: Arc<Site>,
    health: Arc<Health>,
    server: Server,
    address: SocketAddr,
    audited: Arc<Mutex<Vec<String>>>,
}

/// A port with everything, of a broker that does not serve yet.
fn started() -> Started {
    let health = Arc::new(Health::default());
    let settings = Settings {
        version: "1.2.3",
        data_dir: ".".into(),
        inbox_prefix: "to/".to_owned(),
        anonymous: true,
        knows_users: false,
        origins: Vec::new(),
        websocket: Some(None),
        has_api: true,
        connections_max: 8,
    };
    let site = Arc::new(Site::new(settings, health.clone(), Token::random().unwrap(), None));
    let bound = TcpAddress(SocketAddr::from(([127, 0, 0, 1], 0))).bind().unwrap();
    let parts = vec![Part::Dashboard, Part::Api, Part::Metrics, Part::WebSocket];
    let server = Server::start(
        vec![HttpPort {
            socket: bound.listener,
            parts,
        }],
        &site,
    );
    Started {
        site,
        health,
        server,
        address: bound.address,
        audited: Arc::default(),
    }
}

impl Started {
    fn serve(&self, operations: Arc<dyn Operations>) {
        let audited = self.audited.clone();
        self.site.serve(Live {
            shared: shared(),
            door: None,
            figures: Arc::new(Fake),
            operations: Some(operations),
            audit: Box::new(move |performed| {
                let error = performed.error.code.as_str();
                audited
                    .lock()
                    .push(format!("{} {} {error}", performed.command, performed.parameters));
            }),
        });
        self.health.enter(State::Serving);
    }

    /// Status and body of the answer.
    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

#[tokio::test]
async fn while_the_store_is_read_the_port_tells_so() {
    // Goal: before there is a broker the process is alive and not ready, with a reason; the page, the metrics and the API say the same; and it
    // does not become ready again after it began to shut down.
    let port = started();
    assert_eq!(port.ask("GET", "/healthz").await.0, 200);
    let (status, body) = port.ask("GET", "/readyz").await;
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &told["ready"], &told["reason"]),
        (503, &json!(false), &json!("recovering"))
    );
    let (status, page) = port.ask("GET", "/figures").await;
    assert!(status == 200 && page.contains("Not ready"), "{page}");
    let (status, metrics) = port.ask("GET", "/metrics").await;
    assert!(status == 200 && metrics.contains("\ninboxd_ready 0\n"), "{metrics}");
    let (status, api) = port.ask("GET", "/api/v1/overview").await;
    assert!(status == 503 && api.contains("\"busy\""), "{api}");
    assert_eq!(port.ask("GET", "/mqtt").await.0, 503);

    port.serve(Arc::<Three>::default());
    assert_eq!(port.ask("GET", "/readyz").await, (200, "{\"ready\":true}".to_owned()));
    let (_, page) = port.ask("GET", "/figures").await;
    assert!(
        page.contains("1\u{2009}234\u{2009}567") && !page.contains("<script") && !page.contains("style="),
        "{page}"
    );
    for (set, reason) in [(true, Some("disk-full")), (false, None)] {
        port.health.set_disk_full(set);
        let (status, body) = port.ask("GET", "/readyz").await;
        assert_eq!((status == 503, reason.is_some()), (reason.is_some(), status == 503));
        assert!(body.contains(reason.unwrap_or("true")), "{body}");
    }
    port.health.enter(State::Closing);
    port.health.enter(State::Serving);
    let (status, body) = port.ask("GET", "/readyz").await;
    assert!(status == 503 && body.contains("shutting-down"), "{body}");
    let address = port.address;
    port.server.stop(Duration::from_secs(5)).await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody is accepted any more"
    );
}

#[tokio::test]
async fn requests_reach_whoever_carries_them_out() {
    // Goal: command and parameters come through; results and errors have their form and status; an export is every page of it, line by line, and
    // not more than was asked for; a trace is a line each; what would have changed something and was refused is audited.
    let port = started();
    let three = Arc::new(Three::default());
    port.serve(three.clone());
    assert_eq!(
        port.ask("GET", "/api/v1/inboxes?limit=5").await,
        (200, r#"{"ok":true,"result":{"asked":"inbox/list"}}"#.to_owned())
    );
    let lines = |body: String| {
        body.lines()
            .filter(|line| line.starts_with('{'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (status, body) = port.ask("GET", "/api/v1/inboxes/bob/export").await;
    assert_eq!(
        (status, lines(body)),
        (200, [1, 2, 3].map(|seq| format!("{{\"seq\":{seq}}}")).into())
    );
    let (_, body) = port.ask("GET", "/api/v1/inboxes/bob/export?limit=1").await;
    assert_eq!(lines(body), ["{\"seq\":1}"]);
    let (status, body) = port.ask("POST", "/api/v1/trace").await;
    assert_eq!(
        (status, lines(body)),
        (200, vec!["{\"trace\":0}".to_owned(), "{\"trace\":1}".to_owned()])
    );
    let (status, body) = port.ask("DELETE", "/api/v1/clients/b%20b/connection").await;
    assert!(status == 404 && body.contains("there is no such client"), "{body}");
    assert_eq!(port.ask("DELETE", "/api/v1/inboxes/bob/messages?up_to=7").await.0, 200);
    assert_eq!(
        *port.audited.lock(),
        [r#"client/disconnect {"client":"b b"} not-found"#]
    );
    let asked = three.0.lock();
    assert_eq!(asked[0].parameters, json!({"limit": 5}));
    assert!(
        asked
            .iter()
            .all(|request| request.who.starts_with("a program on this machine at 127.0.0.1:")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn paths_that_are_none_are_told_in_the_form_of_their_place() {
    // Goal: below /api errors are JSON; methods that a path does not have are named; nothing outside the list of files is served.
    let port = started();
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/inboxes", 405),
        ("DELETE", "/api/v1/inboxes", 405),
        ("OPTIONS", "/api/v1/inboxes", 405),
        ("GET", "/api/v1/inboxes/%FF", 400),
    ] {
        let (told, body) = port.ask(method, path).await;
        assert_eq!(told, status, "{method} {path}: {body}");
        let value: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["ok"], false, "{body}");
    }
    for path in [
        "/../Cargo.toml",
        "/assets/..%2f..%2fCargo.toml",
        "//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
    ] {
        let (_, body) = port.ask("GET", path).await;
        assert!(!body.contains("[package]") && !body.contains("root:"), "{path}: {body}");
    }
    assert_eq!(port.ask("GET", "/nothing.js").await.0, 404);
    assert_eq!(port.ask("POST", "/").await.0, 405);
    let (status, body) = port.ask("HEAD", "/readyz").await;
    assert_eq!((status, body.as_str()), (503, ""));
}
