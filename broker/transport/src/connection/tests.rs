//! Tests of the task of a connection over pipes in memory: no sockets, real inboxes, a real router.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use access::{Access, Account, Anonymous, Authenticating, Authenticator, ClientIds, Credentials, Identity};
use inbox_bridge::{Hub, MemoryStore, Unobserved};
use inbox_types::{Age, ClientId, Event, EventKind, Heard, Limits, SystemClock};
use intake::InboxNames;
use mqtt_session::{Metrics, MqttLimits};
use pubsub::RouterOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(60);

fn broker(set: impl FnOnce(&mut MqttLimits)) -> (Arc<Broker>, watch::Sender<bool>) {
    broker_that_asks(Arc::new(Anonymous { is_everywhere: false }), set)
}

fn broker_that_asks(
    authenticator: Arc<dyn Authenticator>,
    set: impl FnOnce(&mut MqttLimits),
) -> (Arc<Broker>, watch::Sender<bool>) {
    let (store, clock) = (MemoryStore::new(), Arc::new(SystemClock::default()));
    let hub = Hub::open(&store, Limits::default(), clock, Arc::new(Unobserved))
        .unwrap()
        .0;
    // Nobody commits here.
    let mut mqtt = MqttLimits {
        durable_sessions: false,
        will_after_restart: None,
        ..MqttLimits::default()
    };
    set(&mut mqtt);
    let node = Arc::new(hub).node();
    let shared = Arc::new(Shared {
        node: Arc::new(node.clone()),
        names: InboxNames::new(""),
        access: Access::new(authenticator),
        packet_bytes_max: mqtt.packet_bytes_max(),
        mqtt,
        quotas: access::Quotas::default(),
        retains: true,
        operators: mqtt_session::Operators::default(),
        metrics: Metrics::telling(&node.events),
    });
    let router = Router::start(RouterOptions::default(), Arc::new(Age::default)).unwrap();
    let (close, closing) = watch::channel(false);
    let broker = Broker {
        table: Arc::new(SessionTable::new(shared.clone(), router.clone())),
        shared,
        router,
        connections_max: 10,
        connections_with_descriptors: 10,
        closing,
    };
    (Arc::new(broker), close)
}

/// One end of a pipe that panics when it is read after it was told to: a defect in a connection's task.
struct Panics {
    pipe: DuplexStream,
    now: Arc<AtomicBool>,
}

impl AsyncRead for Panics {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        assert!(!self.now.load(Ordering::Relaxed), "on purpose");
        Pin::new(&mut self.pipe).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Panics {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// A client on this machine is served.
async fn serve<T: Io>(io: T, peer: SocketAddr, broker: Arc<Broker>) {
    let arrival = Arrival {
        origin: peer.into(),
        accepted: broker.shared.node.now(),
        idle_bytes: 0,
    };
    Connection::new(io, arrival, broker).serve().await;
}

fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// CONNECT of `bob` with MQTT 5, keep alive 0, and a session that is kept for a minute.
const CONNECT: &[u8] = b"\x10\x15\0\x04MQTT\x05\0\0\0\x05\x11\0\0\0\x3c\0\x03bob";
/// SUBSCRIBE to `bob`, `$share/g/t/#` and `t/#`, all with QoS 1.
const SUBSCRIBE: &[u8] = b"\x82\x1e\0\x01\0\0\x03bob\x01\0\x0c$share/g/t/#\x01\0\x03t/#\x01";

/// Reads one packet with fewer than 128 bytes behind its header.
async fn packet(client: &mut DuplexStream) -> Vec<u8> {
    let mut packet = vec![0; 2];
    client.read_exact(&mut packet).await.unwrap();
    packet.resize(2 + usize::from(packet[1]), 0);
    client.read_exact(&mut packet[2..]).await.unwrap();
    packet
}

#[tokio::test]
async fn connections_and_refusals_are_events() {
    // Goal: whoever listens hears who came, what was refused to whom and why, and how it ended; and of one that was not let in, that.
    let (broker, _close) = broker(|_| {});
    let kinds = [EventKind::Connected, EventKind::Refused, EventKind::Disconnected];
    let listener = broker.shared.node.events.listen(&kinds, 10);
    let (mut client, pipe) = duplex(4096);
    let task = tokio::spawn(serve(pipe, peer(), broker.clone()));
    client.write_all(CONNECT).await.unwrap();
    packet(&mut client).await;
    // SUBSCRIBE to somebody else's inbox, then PUBREC, out of nowhere and with the wrong flags.
    client.write_all(b"\x82\x0b\0\x01\0\0\x05alice\x01").await.unwrap();
    client.write_all(&[0x5f, 2, 0, 1]).await.unwrap();
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).await.unwrap();
    drop(client);
    timeout(SOON, task).await.unwrap().unwrap();
    let (mut stranger, pipe) = duplex(4096);
    let task = tokio::spawn(serve(pipe, peer(), broker.clone()));
    stranger.write_all(&[0xC0, 0]).await.unwrap();
    drop(stranger);
    timeout(SOON, task).await.unwrap().unwrap();

    let bob = ClientId::new("bob").unwrap();
    let heard: Vec<_> = std::iter::from_fn(|| listener.try_next()).collect();
    let Heard::Event(Event::Connected { client, peer: from, .. }) = &heard[0] else {
        panic!("{heard:?}")
    };
    assert_eq!((client, *from), (&bob, peer()));
    let refusals: Vec<_> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Event(Event::Refused { who, what, cause, .. }) => Some((&**who, &**what, *cause)),
            _ => None,
        })
        .collect();
    assert_eq!(
        refusals,
        [
            ("bob", "alice", "subscribe_inbox_of_other"),
            ("bob", "", "packet_malformed"),
            ("127.0.0.1", "", "connect_missing"),
        ]
    );
    let ended = heard.iter().find_map(|heard| match heard {
        Heard::Event(Event::Disconnected { client, reason, .. }) => Some((client.clone(), *reason)),
        _ => None,
    });
    assert_eq!(ended, Some((bob, Some(0x81))));
    broker.router.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_panics_leaks_nothing() {
    // Goal: after a panic in a connection's task its client connects again at once, finds no session, and reads its inbox; nothing of
    // the connection before is left with the broker.
    let (broker, _close) = broker(|_| {});
    let (mut client, pipe) = duplex(4096);
    let now = Arc::new(AtomicBool::new(false));
    let slot = broker.shared.metrics.connections.enter(1);
    let task = tokio::spawn({
        let (broker, now) = (broker.clone(), now.clone());
        async move {
            let _held = slot;
            serve(Panics { pipe, now }, peer(), broker).await;
        }
    });
    client.write_all(CONNECT).await.unwrap();
    let connack = packet(&mut client).await;
    assert_eq!((connack[0], connack[2], connack[3]), (0x20, 0, 0));
    client.write_all(SUBSCRIBE).await.unwrap();
    assert_eq!(packet(&mut client).await, [0x90, 6, 0, 1, 0, 1, 1, 1]);
    now.store(true, Ordering::Relaxed);
    client.write_all(&[0xC0, 0]).await.unwrap();
    assert!(timeout(SOON, task).await.unwrap().unwrap_err().is_panic());
    assert_eq!(broker.shared.metrics.connections.get(), 0);

    let (mut again, pipe) = duplex(4096);
    let task = tokio::spawn(serve(pipe, peer(), broker.clone()));
    again.write_all(CONNECT).await.unwrap();
    let connack = timeout(SOON, packet(&mut again)).await.expect("bob is let in again");
    assert_eq!(connack[2..4], [0, 0], "the session went with the panic");
    again.write_all(&[0xE0, 0]).await.unwrap();
    timeout(SOON, task).await.unwrap().unwrap();
    broker.table.reap_due().await;
    broker.router.shutdown().await;
}

#[tokio::test]
async fn mqtt_4_8_2_a_member_that_panics_leaves_its_messages_to_another() {
    // Goal: section 4.8.2: what a member of a shared subscription has not acknowledged when its connection's task panics, and what came for
    // it meanwhile, goes to another member.
    const SHARE: &[u8] = b"\x82\x12\0\x01\0\0\x0c$share/g/t/#\x01";
    let (broker, _close) = broker(|_| {});
    let (mut bob, pipe) = duplex(4096);
    let now = Arc::new(AtomicBool::new(false));
    let panics = Panics { pipe, now: now.clone() };
    let task = tokio::spawn(serve(panics, peer(), broker.clone()));
    bob.write_all(CONNECT).await.unwrap();
    packet(&mut bob).await;
    bob.write_all(SHARE).await.unwrap();
    packet(&mut bob).await;

    let (mut ann, pipe) = duplex(4096);
    let other = tokio::spawn(serve(pipe, peer(), broker.clone()));
    ann.write_all(&[&CONNECT[..CONNECT.len() - 3], b"ann"].concat())
        .await
        .unwrap();
    packet(&mut ann).await;
    for (id, payload) in [(1, b'a'), (2, b'b')] {
        let publish = [0x32, 9, 0, 3, b't', b'/', b'x', 0, id, 0, payload];
        ann.write_all(&publish).await.unwrap();
        assert_eq!(packet(&mut ann).await[0], 0x40);
        assert_eq!(packet(&mut bob).await.last(), Some(&payload));
    }
    ann.write_all(SHARE).await.unwrap();
    packet(&mut ann).await;
    now.store(true, Ordering::Relaxed);
    bob.write_all(&[0xC0, 0]).await.unwrap();
    assert!(timeout(SOON, task).await.unwrap().unwrap_err().is_panic());
    broker.table.reap_due().await;
    for payload in [b'a', b'b'] {
        let publish = timeout(SOON, packet(&mut ann)).await.expect("ann gets what bob had");
        assert_eq!((publish[0] & 0xf0, publish.last()), (0x30, Some(&payload)));
    }
    ann.write_all(&[0xE0, 0]).await.unwrap();
    timeout(SOON, other).await.unwrap().unwrap();
    assert_eq!(broker.router.orphans_lost(), 0);
    broker.router.shutdown().await;
}

#[tokio::test]
async fn a_connection_without_connect_ends_in_time() {
    // Goal: mqtt.connect_timeout, whether nothing comes or a packet that never ends.
    let (broker, _close) = broker(|mqtt| mqtt.connect_timeout = Duration::from_millis(300));
    for said in [&[][..], &CONNECT[..5]] {
        let (mut client, pipe) = duplex(4096);
        let task = tokio::spawn(serve(pipe, peer(), broker.clone()));
        client.write_all(said).await.unwrap();
        timeout(SOON, task).await.expect("it ended").unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0, "nothing is said");
    }
    assert_eq!(broker.shared.metrics.connections.get(), 0);
}

#[tokio::test]
async fn a_refused_client_is_told_why() {
    // Goal: MQTT-3.1.4-2: CONNACK with a reason, and then the connection is closed although the client says no more.
    let (broker, _close) = broker(|_| {});
    let (mut client, pipe) = duplex(4096);
    let task = tokio::spawn(serve(pipe, peer(), broker));
    client.write_all(b"\x10\x0d\0\x04MQTT\x09\0\0\0\0\0\0").await.unwrap();
    let mut said = Vec::new();
    client.read_to_end(&mut said).await.unwrap();
    // The reason string may make the length of the packet two bytes long.
    let body = 2 + usize::from(said[1] >= 0x80);
    assert_eq!((said[0], said[body + 1]), (0x20, 0x84));
    timeout(SOON, task).await.expect("it does not wait for ever").unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_who_has_not_said_connect() {
    // Goal: a connection that is opening does not hold a shutdown up.
    let (broker, close) = broker(|_| {});
    let (_client, pipe) = duplex(64);
    let task = tokio::spawn(serve(pipe, peer(), broker));
    close.send_replace(true);
    timeout(SOON, task).await.expect("it ended").unwrap();
}

/// Knows alice by her password, after a while; never answers about `slow`.
struct Users;

impl Authenticator for Users {
    fn authenticate(&self, said: Credentials) -> Authenticating<'_> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            match (said.user.as_deref(), said.password.as_deref()) {
                (Some("alice"), Some(b"hush")) => {
                    let user = "alice".into();
                    let account = Account {
                        user,
                        client_ids: ClientIds::Listed(vec!["bob".into()]),
                        ..Account::default()
                    };
                    Ok(Identity::of(said.client_id, Arc::new(account)))
                }
                (Some("slow"), _) => std::future::pending().await,
                _ => Err(Denied::Anonymous),
            }
        })
    }
}

/// CONNECT of `bob` with MQTT 5 as this user.
fn connect_as(user: &str, password: &str) -> Vec<u8> {
    let mut body = b"\0\x04MQTT\x05\xC2\0\0\0\0\x03bob".to_vec();
    for text in [user, password] {
        body.extend([0, u8::try_from(text.len()).unwrap()]);
        body.extend(text.as_bytes());
    }
    [&[0x10, u8::try_from(body.len()).unwrap()], &*body].concat()
}

#[tokio::test]
async fn a_client_gets_its_session_when_it_is_known_who_it_is() {
    // Goal: the authenticator is asked between CONNECT and the session, may take its time, and what the client sent meanwhile is
    // acted on afterwards; whoever it does not know is told 0x87, and 0x88 when it does not answer within mqtt.connect_timeout.
    let (broker, _close) = broker_that_asks(Arc::new(Users), |_| {});
    let (mut alice, pipe) = duplex(4096);
    let task = tokio::spawn(serve(pipe, peer(), broker.clone()));
    let said = [&*connect_as("alice", "hush"), SUBSCRIBE, &[0xE0, 0]].concat();
    alice.write_all(&said).await.unwrap();
    let connack = timeout(SOON, packet(&mut alice)).await.unwrap();
    assert_eq!((connack[0], connack[3]), (0x20, 0));
    assert_eq!(packet(&mut alice).await[0], 0x90, "the SUBSCRIBE came after it");
    timeout(SOON, task).await.unwrap().unwrap();

    let (impatient, _close) = broker_that_asks(Arc::new(Users), |mqtt| {
        mqtt.connect_timeout = Duration::from_millis(500);
    });
    for (user, reason, broker) in [("mallory", 0x87, &broker), ("slow", 0x88, &impatient)] {
        let (mut client, pipe) = duplex(4096);
        let task = tokio::spawn(serve(pipe, peer(), broker.clone()));
        client.write_all(&connect_as(user, "guess")).await.unwrap();
        let mut told = Vec::new();
        timeout(SOON, client.read_to_end(&mut told)).await.unwrap().unwrap();
        // The reason string may make the length of the packet two bytes long.
        let body = 2 + usize::from(told[1] >= 0x80);
        assert_eq!((told[0], told[body + 1]), (0x20, reason), "{user}");
        timeout(SOON, task).await.unwrap().unwrap();
    }
    for (broker, accepted) in [(broker, 1), (impatient, 0)] {
        assert_eq!(broker.shared.metrics.connects_refused.get(), 1);
        assert_eq!(broker.shared.metrics.connects_accepted.get(), accepted);
    }
}
