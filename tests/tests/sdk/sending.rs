//! From `send` to the broker's acknowledgement, and the outbox in between.

use std::time::Duration;

use inbox_client::{Inbox, Message, NotToldWhy, Refusal, SendError, SentState, Undelivered};
use inbox_tests::{Broker, Kind, Relay, Trick, Way};
use tempfile::tempdir;

use crate::{connect, numbers, on_disk, options, take, take_texts, within};

#[tokio::test]
async fn what_was_sent_is_stored_and_comes_in_order_to_who_was_away() {
    // Goal: `stored` resolves with the PUBACK (rule 3), several times; mail comes in order with what the broker says of it.
    let broker = Broker::start();
    let alice = connect(&broker, "alice").await;
    let mut all = Vec::new();
    for number in numbers(150) {
        all.push(within(alice.send("bob", number)).await.unwrap());
    }
    for sent in &all {
        within(sent.stored()).await.unwrap();
        within(sent.stored()).await.unwrap();
    }
    assert!(within(alice.flushed()).await);
    let json = Message::json(&vec![1, 2, 3]).unwrap().id("order-17").property("x", "y");
    within(within(alice.send("bob", json)).await.unwrap().stored())
        .await
        .unwrap();
    let bob = connect(&broker, "bob").await;
    assert_eq!(take_texts(&bob, 150).await, numbers(150));
    let last = take(&bob).await;
    assert_eq!((last.id.as_str(), last.from.as_str()), ("order-17", "alice"));
    assert_eq!(last.json::<Vec<u8>>().unwrap(), [1, 2, 3]);
    assert_eq!(last.content_type.as_deref(), Some("application/json"));
    assert!(last.properties.contains(&("x".to_owned(), "y".to_owned())));
    assert!(last.seq.is_some() && last.at_us.is_some());
}

#[tokio::test]
async fn the_outbox_survives_the_process_and_a_broker_that_is_away() {
    // Goal: what `send` returned for is sent by the next life of the program, once and in order; a send during the absence of the broker returns.
    let broker = Broker::start();
    let relay = Relay::to(broker.port());
    relay.refuse(true);
    let folder = tempdir().unwrap();
    let first = within(Inbox::open(on_disk(relay.port(), "alice", &folder)))
        .await
        .unwrap();
    let mut all = Vec::new();
    for number in numbers(20) {
        all.push(within(first.send("bob", number)).await.unwrap());
    }
    assert_eq!(all[0].state(), SentState::Waiting);
    let unsent = within(first.close(Duration::ZERO)).await.unwrap_err();
    assert_eq!(unsent.messages, 20);
    assert_eq!(within(all[3].stored()).await, Err(Undelivered::Closed));
    relay.refuse(false);
    let second = within(Inbox::connect(on_disk(relay.port(), "alice", &folder)))
        .await
        .unwrap();
    let known: Vec<String> = second.outbox().iter().map(|sent| sent.id().to_owned()).collect();
    let ids: Vec<String> = all.iter().map(|sent| sent.id().to_owned()).collect();
    // Some may be out already, and those are the oldest.
    assert!(ids.ends_with(&known), "{known:?} of {ids:?}");
    within(second.close(Duration::from_secs(30))).await.unwrap();
    let bob = connect(&broker, "bob").await;
    assert_eq!(take_texts(&bob, 20).await, numbers(20));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_id() {
    // Goal: a PUBACK that never came, a PUBLISH that never came: the message is sent again over the next connection, with the same id; nothing
    // after it to the same recipient overtakes it.
    let broker = Broker::start();
    let relay = Relay::to(broker.port());
    let alice = within(Inbox::connect(options(relay.port(), "alice"))).await.unwrap();
    let bob = connect(&broker, "bob").await;
    let mut expected = 0;
    for (way, kind, trick) in [
        (Way::ToClient, Kind::PubAck, Trick::CutInstead),
        (Way::ToBroker, Kind::Publish, Trick::CutInstead),
        (Way::ToClient, Kind::PubAck, Trick::CutAfter),
    ] {
        relay.trick(way, kind, trick);
        let first = within(alice.send("bob", expected.to_string())).await.unwrap();
        let second = within(alice.send("bob", (expected + 1).to_string())).await.unwrap();
        within(second.stored()).await.unwrap();
        let seq = within(first.stored()).await.unwrap().seq;
        assert_eq!(relay.tricks_left(), 0);
        let delivery = take(&bob).await;
        assert_eq!(delivery.text(), Ok(expected.to_string().as_str()));
        assert_eq!(delivery.seq, seq, "the repeat is told the seq of the first (rule 8)");
        assert_eq!(take(&bob).await.text(), Ok((expected + 1).to_string().as_str()));
        expected += 2;
    }
}

#[tokio::test]
async fn a_full_outbox_refuses_and_a_full_inbox_holds_back_its_owner_alone() {
    // Goal: 0x97 passes: bob's messages wait and come in order when there is room, carol's are not held up; a full outbox says so.
    let broker = Broker::with_config("[inbox]\nmessages_max = 2\n");
    let alice = options(broker.port(), "alice").limits(|limits| limits.outbox_messages_max = 4);
    let alice = within(Inbox::connect(alice)).await.unwrap();
    let mut waiting = Vec::new();
    for number in numbers(5) {
        waiting.push(within(alice.send("bob", number)).await.unwrap());
        if waiting.len() <= 2 {
            within(waiting[waiting.len() - 1].stored()).await.unwrap();
        }
    }
    within(within(alice.send("carol", "hello")).await.unwrap().stored())
        .await
        .unwrap();
    within(alice.send("bob", "5")).await.unwrap().id();
    let error = within(alice.send("bob", "6")).await.unwrap_err();
    assert!(matches!(error, SendError::Full { messages: 4, .. }), "{error}");
    let bob = connect(&broker, "bob").await;
    assert_eq!(take_texts(&bob, 6).await, numbers(6));
    assert!(within(alice.flushed()).await);
}

#[tokio::test]
async fn what_is_too_large_or_over_ends_with_its_reason() {
    // Goal: a packet over the broker's Maximum Packet Size is not even sent, a payload over its limit ends the connection and is found out; neither
    // harms another message. A message whose time is over is not sent.
    let broker = Broker::with_config("[mqtt]\nmessage_bytes_max = 1000\n");
    let relay = Relay::to(broker.port());
    let alice = within(Inbox::connect(options(relay.port(), "alice"))).await.unwrap();
    let mut sent = Vec::new();
    for (to, bytes) in [
        ("bob", 10),
        ("carol", 1001),
        ("dave", 10),
        ("erin", 300_000),
        ("carol", 10),
    ] {
        sent.push(within(alice.send(to, vec![b'x'; bytes])).await.unwrap());
    }
    for (number, sent) in sent.iter().enumerate() {
        let stored = within(sent.stored()).await;
        match number {
            1 | 3 => assert!(
                matches!(&stored, Err(Undelivered::Refused(why)) if why.reason == Refusal::TooLarge),
                "{number}: {stored:?}"
            ),
            _ => assert!(stored.is_ok(), "{number}: {stored:?}"),
        }
    }
    relay.refuse(true);
    relay.cut();
    let soon_over = Message::text("late").expires_after(Duration::from_millis(50));
    let late = within(alice.send("bob", soon_over)).await.unwrap();
    assert_eq!(within(late.stored()).await, Err(Undelivered::Expired));
}

#[tokio::test]
async fn receipts_that_were_not_asked_for_do_not_come() {
    // Goal: a message without receipts does not wait for any.
    let broker = Broker::start();
    let alice = connect(&broker, "alice").await;
    let quiet = Message::text("x").receipts(inbox_client::Receipts::NONE);
    let sent = within(alice.send("bob", quiet)).await.unwrap();
    let why = NotToldWhy::NotAsked;
    assert_eq!(within(sent.delivered()).await, Err(Undelivered::NotTold { why }));
    assert_eq!(within(sent.read()).await, Err(Undelivered::NotTold { why }));
    assert!(alice.outbox().is_empty());
}
