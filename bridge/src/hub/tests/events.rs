//! What the stream of events says of inboxes.

use std::sync::Arc;
use std::time::Duration;

use super::kit::{FAR, TestClock, TestObserver, TestPort, id, message};
use crate::hub::Hub;
use inbox_store::MemoryStore;
use inbox_types::{Age, Event, EventKind, Heard, Left, Limits, Port, Qos, Seq, Ticket};

#[test]
fn each_thing_that_happens_to_a_message_is_told_once() {
    // Goal: accepted; committed; stored, for a reader that is away only; delivered; acknowledged; left unread, with the rule. In that order.
    let (store, clock) = (MemoryStore::new(), Arc::new(TestClock::default()));
    let (hub, requests) = Hub::open(
        &store,
        Limits::default(),
        clock.clone(),
        Arc::new(TestObserver::default()),
    )
    .unwrap();
    let hub = Arc::new(hub);
    let listener = hub.node().events.listen(&EventKind::ALL, 100);
    let test_port = Arc::new(TestPort::default());
    let port: Arc<dyn Port> = test_port.clone();
    let publish = |ticket, expires_at| {
        let message = message(ticket, 8, Qos::AtLeastOnce, expires_at);
        hub.publish(&id("bob"), message, &port, Ticket(ticket));
    };
    let commit = || while hub.commit_round(&store, true).unwrap().wrote {};

    publish(1, FAR);
    commit();
    publish(2, Age(1_000_000));
    commit();
    clock.advance(Duration::from_secs(9));
    hub.attach(&id("bob"), port.clone(), 10);
    requests.try_iter().for_each(|request| _ = hub.read(&store, &request));
    let delivered: Vec<Seq> = test_port
        .take_delivered()
        .iter()
        .map(|(_, delivery)| delivery.seq)
        .collect();
    hub.acknowledge(&id("bob"), &delivered);
    hub.acknowledge(&id("bob"), &delivered);
    commit();
    publish(3, FAR);
    commit();

    let heard: Vec<_> = std::iter::from_fn(|| listener.try_next())
        .map(|heard| match heard {
            Heard::Event(Event::Accepted { inbox, from, .. }) if (&inbox, &from) == (&id("bob"), &id("alice")) => {
                "accepted"
            }
            Heard::Event(Event::Stored { .. }) => "stored",
            Heard::Event(Event::Committed { .. }) => "committed",
            Heard::Event(Event::Delivered { dup: false, .. }) => "delivered",
            Heard::Event(Event::Acknowledged { seq, .. }) if delivered == [seq] => "acknowledged",
            Heard::Event(Event::Left { why: Left::Expired, .. }) => "expired",
            heard => panic!("{heard:?}"),
        })
        .collect();
    let expected = [
        "accepted",
        "committed",
        "stored",
        "accepted",
        "committed",
        "stored",
        "delivered",
        "expired",
        "acknowledged",
        "accepted",
        "delivered",
        "committed",
    ];
    assert_eq!(heard, expected);
}
