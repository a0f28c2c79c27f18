//! From the inbox to the application's acknowledgement.

use std::collections::HashSet;
use std::time::Duration;

use inbox_client::{Event, Heartbeats, Inbox};
use inbox_tests::{Broker, Kind, Props, PublishPacket, RawClient, Relay, Trick, Version, Way, wait_until};
use tempfile::tempdir;

use crate::{connect, numbers, on_disk, options, take, take_texts, within};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_comes_again_and_what_was_acknowledged_does_not() {
    // Goal: a delivery that was dropped unacknowledged comes again on the next connection; one whose PUBACK was lost is acknowledged again without the
    // application, also by the next life of the program.
    let broker = Broker::start();
    let relay = Relay::to(broker.port());
    let folder = tempdir().unwrap();
    let alice = connect(&broker, "alice").await;
    for number in numbers(3) {
        within(within(alice.send("bob", number)).await.unwrap().stored())
            .await
            .unwrap();
    }
    let bob = within(Inbox::connect(on_disk(relay.port(), "bob", &folder)))
        .await
        .unwrap();
    let first = within(bob.recv()).await.unwrap();
    let dropped = within(bob.recv()).await.unwrap();
    let kept = within(bob.recv()).await.unwrap();
    assert_eq!((first.text(), dropped.text(), kept.text()), (Ok("0"), Ok("1"), Ok("2")));
    drop(dropped);
    relay.trick(Way::ToBroker, Kind::PubAck, Trick::CutInstead);
    within(first.ack()).await.unwrap();
    wait_until("the PUBACK is lost, and bob comes again", || relay.connections() == 2);
    let again = within(bob.recv()).await.unwrap();
    assert_eq!(again.text(), Ok("1"));
    // It was in the application's hands over the reconnection, and its answer goes out on the new connection.
    within(kept.ack()).await.unwrap();
    within(again.reject()).await.unwrap();
    within(within(alice.send("bob", "3")).await.unwrap().stored())
        .await
        .unwrap();
    relay.refuse(true);
    let last = within(bob.recv()).await.unwrap();
    relay.cut();
    within(last.ack()).await.unwrap();
    within(bob.close(Duration::ZERO)).await.unwrap();
    relay.refuse(false);
    let bob = within(Inbox::connect(on_disk(relay.port(), "bob", &folder)))
        .await
        .unwrap();
    within(within(alice.send("bob", "4")).await.unwrap().stored())
        .await
        .unwrap();
    assert_eq!(take(&bob).await.text(), Ok("4"));
    within(bob.close(Duration::ZERO)).await.unwrap();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.expect_nothing();
}

#[tokio::test]
async fn repeats_of_a_sender_are_dropped_also_after_a_restart() {
    // Goal: messages of one sender with one id are handed over once; the id of another sender is another message.
    let broker = Broker::start();
    let folder = tempdir().unwrap();
    let publish = |from: &str, text: &str| {
        let mut client = RawClient::clean(&broker, Version::V5, from);
        let packet = PublishPacket::new("bob", text, 1, 0).props(Props::new().user("id", "same"));
        client.publish_packet(packet);
    };
    let bob = within(Inbox::connect(on_disk(broker.port(), "bob", &folder)))
        .await
        .unwrap();
    publish("alice", "hello");
    assert_eq!(take(&bob).await.text(), Ok("hello"));
    publish("alice", "hello");
    publish("carol", "hello");
    assert_eq!(take(&bob).await.from, "carol");
    within(bob.close(Duration::ZERO)).await.unwrap();
    publish("alice", "hello");
    let bob = within(Inbox::connect(on_disk(broker.port(), "bob", &folder)))
        .await
        .unwrap();
    publish("dave", "hello");
    assert_eq!(take(&bob).await.from, "dave");
}

#[tokio::test]
async fn a_half_dead_link_is_found_and_replaced() {
    // Goal: a link that passes nothing on is found by the heartbeat, without traffic and with traffic under way; then everything goes on.
    let broker = Broker::start();
    let relay = Relay::to(broker.port());
    let mut bob = options(relay.port(), "bob");
    let short = Duration::from_millis(300);
    (bob.heartbeat.first, bob.heartbeat.shortest) = (short, short);
    let bob = within(Inbox::connect(bob)).await.unwrap();
    let mut events = bob.events();
    let alice = connect(&broker, "alice").await;
    for round in 1..=2 {
        relay.go_silent(true);
        if round == 2 {
            let _sent = within(bob.send("alice", "from bob")).await.unwrap();
        }
        let lost = within(async {
            loop {
                if let Some(Event::Disconnected { why, .. }) = events.next().await {
                    return why;
                }
            }
        });
        assert_eq!(lost.await.why, inbox_client::LostWhy::Silent);
        relay.go_silent(false);
        relay.cut();
        within(alice.send("bob", format!("round {round}"))).await.unwrap().id();
        assert_eq!(take(&bob).await.text(), Ok(format!("round {round}").as_str()));
    }
    assert_eq!(take(&alice).await.text(), Ok("from bob"));
    assert!(Heartbeats::default().shortest > short);
}

#[tokio::test]
async fn everything_comes_once_and_in_order_over_many_cuts_and_kills() {
    // Goal: the oracle of the contract with SDKs on both sides, over cuts, swallowed packets and kill -9: nothing lost, doubled or out of order.
    const MESSAGES: usize = 150;
    let mut broker = Broker::start();
    let (to_alice, to_bob) = (Relay::to(broker.port()), Relay::to(broker.port()));
    let folder = tempdir().unwrap();
    let alice = within(Inbox::connect(on_disk(to_alice.port(), "alice", &folder)))
        .await
        .unwrap();
    let bob = within(Inbox::connect(on_disk(to_bob.port(), "bob", &folder)))
        .await
        .unwrap();
    let sender = alice.clone();
    let sending = tokio::spawn(async move {
        for number in numbers(MESSAGES) {
            sender.send("bob", number).await.unwrap().id();
        }
    });
    let mut texts = Vec::new();
    let mut ids = HashSet::new();
    let mut plays = [
        (&to_alice, Way::ToBroker, Kind::Publish),
        (&to_alice, Way::ToClient, Kind::PubAck),
        (&to_bob, Way::ToClient, Kind::Publish),
        (&to_bob, Way::ToBroker, Kind::PubAck),
    ]
    .into_iter()
    .flat_map(|(relay, way, kind)| [Trick::CutInstead, Trick::CutAfter].map(|trick| (relay, way, kind, trick)))
    .cycle();
    while texts.len() < MESSAGES {
        let delivery = take(&bob).await;
        assert!(ids.insert(delivery.id.clone()), "{} came twice", delivery.id);
        texts.push(delivery.text().unwrap().to_owned());
        if texts.len() % 8 == 0 {
            let (relay, way, kind, trick) = plays.next().unwrap();
            relay.trick(way, kind, trick);
        }
        if texts.len() % 50 == 0 {
            broker.crash_and_restart();
            to_alice.lead_to(broker.port());
            to_bob.lead_to(broker.port());
        }
    }
    assert_eq!(texts, numbers(MESSAGES));
    within(sending).await.unwrap();
    assert!(within(alice.flushed()).await);
    assert!(to_alice.connections() + to_bob.connections() > 10);
}

#[tokio::test]
async fn a_stream_a_callback_and_the_blocking_twin_do_the_same() {
    // Goal: three other ways to the same inbox.
    let broker = Broker::start();
    let alice = connect(&broker, "alice").await;
    let bob = connect(&broker, "bob").await;
    let (told, mut tells) = tokio::sync::mpsc::channel(10);
    bob.on_message(move |delivery| {
        let told = told.clone();
        async move {
            delivery.ack().await.unwrap();
            told.send(delivery.text().unwrap().to_owned()).await.unwrap();
        }
    });
    within(alice.send("bob", "to a callback")).await.unwrap().id();
    assert_eq!(within(tells.recv()).await.unwrap(), "to a callback");
    let options = options(broker.port(), "carol");
    let blocking = std::thread::spawn(move || {
        let carol = inbox_client::blocking::Inbox::connect(options).unwrap();
        let sent = carol.send("carol", "to myself").unwrap();
        sent.stored_within(inbox_tests::DEADLINE).unwrap().unwrap();
        let delivery = carol.recv_within(inbox_tests::DEADLINE).unwrap();
        assert_eq!(delivery.text(), Ok("to myself"));
        delivery.ack().unwrap();
        let (told, tells) = std::sync::mpsc::channel();
        let listening = carol.on_message(move |delivery| {
            delivery.ack().unwrap();
            told.send(delivery.text().unwrap().to_owned()).unwrap();
        });
        carol.send("carol", "again").unwrap().stored().unwrap();
        assert_eq!(tells.recv_timeout(inbox_tests::DEADLINE).unwrap(), "again");
        carol.close(Duration::from_secs(10)).unwrap();
        listening.join().unwrap();
    });
    tokio::task::spawn_blocking(|| blocking.join().unwrap()).await.unwrap();
    assert!(take_texts(&alice, 0).await.is_empty());
}
