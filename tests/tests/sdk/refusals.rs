//! What does not pass stops, with its reason; what passes is tried again.

use inbox_client::{ConnectError, Inbox, InboxOptions, Message, MustAct, SendError, StopReason, StoreError};
use inbox_tests::{Broker, ClosedPort, Relay};
use tempfile::tempdir;

use crate::{connect, on_disk, options, within};

#[tokio::test]
async fn names_urls_and_ports_that_cannot_be_are_told_apart() {
    // Goal: each mistake has an error of its own, and says who must act.
    let error = within(Inbox::connect(options(1, "a/b"))).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::ClientId { id } if id == "a/b"),
        "{error}"
    );
    let error = within(Inbox::connect(InboxOptions::new("http://h", "a")))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectError::Url(_)) && error.must_act() == MustAct::Caller,
        "{error}"
    );
    let closed = ClosedPort::new();
    let url = closed.url().replace("http", "mqtt");
    let error = within(Inbox::connect(InboxOptions::new(url, "a"))).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Lost(_)) && error.must_act() == MustAct::Nobody,
        "{error}"
    );
}

#[tokio::test]
async fn a_client_that_is_taken_over_stops_and_keeps_its_outbox() {
    // Goal: DISCONNECT 0x8E does not begin an endless fight over the client ID: who had it first stops. Who waits is told, and what was not sent is there
    // for the next life.
    let broker = Broker::start();
    let relay = Relay::to(broker.port());
    let folder = tempdir().unwrap();
    let first = within(Inbox::connect(on_disk(relay.port(), "alice", &folder)))
        .await
        .unwrap();
    let error = within(Inbox::connect(on_disk(relay.port(), "alice", &folder)))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Outbox(StoreError::InUse { .. })),
        "{error}"
    );
    let second = connect(&broker, "alice").await;
    assert!(within(first.recv()).await.is_none(), "it has stopped");
    let error = within(first.send("bob", "x")).await.unwrap_err();
    assert!(error.to_string().contains("another connection"), "{error}");
    drop(second);
    drop(first);
    let third = within(Inbox::connect(on_disk(relay.port(), "alice", &folder)))
        .await
        .unwrap();
    within(within(third.send("bob", "x")).await.unwrap().stored())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_wrong_prefix_is_told_as_an_inbox_that_cannot_be_read() {
    // Goal: a broker whose inboxes are elsewhere does not let this client read what it thinks is its inbox; with the prefix everything works.
    let broker = Broker::with_config("[inbox]\nprefix = \"inbox/\"\n");
    let right = options(broker.port(), "alice").inbox_prefix("inbox/");
    let alice = within(Inbox::connect(right)).await.unwrap();
    within(within(alice.send("alice", "x")).await.unwrap().stored())
        .await
        .unwrap();
    assert_eq!(crate::take(&alice).await.text(), Ok("x"));
    let wrong = Inbox::connect(options(broker.port(), "bob").inbox_prefix("$inbox/"));
    let error = within(wrong).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Stopped(StopReason::InboxRefused)),
        "{error}"
    );
}

#[tokio::test]
async fn what_mqtt_cannot_carry_is_refused_before_it_is_taken() {
    // Goal: names without an inbox, ids and texts beyond MQTT: each would end the connection, again and again.
    let alice = within(Inbox::open(options(1, "alice"))).await.unwrap();
    for to in ["", "a/b", "+", "#", "$SYS", "a\0b", &"x".repeat(1025)] {
        let error = within(alice.send(to, "x")).await.unwrap_err();
        assert!(matches!(error, SendError::Recipient { .. }), "{to:?}: {error}");
    }
    for id in [String::new(), "x".repeat(257)] {
        let error = within(alice.send("bob", Message::text("x").id(id))).await.unwrap_err();
        assert_eq!(error, SendError::Id);
    }
    let long = "x".repeat(65_536);
    for message in [
        Message::text("x").property("a\0", "b"),
        Message::text("x").property("a", &long),
        Message::text("x").collapse("\0"),
        Message::text("x").content_type(&long),
    ] {
        let error = within(alice.send("bob", message)).await.unwrap_err();
        assert_eq!((&error, error.must_act()), (&SendError::Text, MustAct::Caller));
    }
    assert!(alice.outbox().is_empty());
}
