//! inbox-client against the broker.

use inbox_client::{AckError, ConnectError, InboxClient, InboxClientOptions, Refusal, SendError};
use inbox_tests::{Broker, DEADLINE};

fn options(broker: &Broker, client_id: &str) -> InboxClientOptions {
    InboxClientOptions::new("127.0.0.1", broker.port(), client_id)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it happens within the deadline")
}

#[tokio::test]
async fn a_message_sent_with_the_sdk_waits_for_its_recipient() {
    // Goal: receipts resolve on PUBACK (rule 3), messages carry id, seq, from and at (rule 7), and what is not
    // acknowledged comes again (rule 4).
    let broker = Broker::start();
    let (alice, _mail) = within(InboxClient::connect(options(&broker, "alice"))).await.unwrap();
    for i in 0..150 {
        let receipt = within(alice.send("bob", i.to_string())).await.unwrap();
        within(receipt.accepted()).await.unwrap();
    }
    let receipt = within(alice.send_with_id("bob", "order-17", "last")).await.unwrap();
    within(receipt.accepted()).await.unwrap();

    let (bob, mut messages) = within(InboxClient::connect(options(&broker, "bob"))).await.unwrap();
    let mut last_seq = 0;
    for i in 0..150 {
        let message = within(messages.next()).await.unwrap();
        assert_eq!(
            (message.payload.as_ref(), message.from.as_str()),
            (i.to_string().as_bytes(), "alice")
        );
        assert!(message.seq > last_seq && message.at > 0);
        last_seq = message.seq;
        message.acknowledge().unwrap();
    }
    let kept = within(messages.next()).await.unwrap();
    assert_eq!(kept.id, "order-17");
    within(bob.close()).await;

    let (_bob, mut second_life) = within(InboxClient::connect(options(&broker, "bob"))).await.unwrap();
    let again = within(second_life.next()).await.unwrap();
    assert_eq!((again.id.as_str(), again.seq), ("order-17", kept.seq));
    assert!(
        within(messages.next()).await.is_none(),
        "a closed client has no more messages"
    );
    assert_eq!(
        kept.acknowledge(),
        Err(AckError::ConnectionLost),
        "the connection that delivered it is gone"
    );
    again.acknowledge().unwrap();
}

#[tokio::test]
async fn refusals_reach_the_sdk() {
    // Goal: a full inbox refuses with the broker's reason (rule 3), a name without an inbox is refused before sending,
    // and a lost connection is told.
    let mut broker = Broker::with_config("[inbox]\nmessages_max = 1\n");
    let (alice, _mail) = within(InboxClient::connect(options(&broker, "alice"))).await.unwrap();
    let first = within(alice.send("bob", "fits")).await.unwrap();
    let second = within(alice.send("bob", "too much")).await.unwrap();
    assert_eq!(within(first.accepted()).await, Ok(()));
    assert!(matches!(
        within(second.accepted()).await,
        Err(SendError::Refused(why)) if why.reason == Refusal::NoRoom && why.told.is_some()
    ));
    let error = within(InboxClient::connect(options(&broker, "a/b"))).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::ClientId { id } if id == "a/b"),
        "{error}"
    );
    broker.kill9();
    let error = within(InboxClient::connect(options(&broker, "carol")))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error}");
    // The loss may be noticed by sending, or before.
    let outcome = match within(alice.send("dave", "x")).await {
        Ok(receipt) => within(receipt.accepted()).await,
        Err(error) => Err(error),
    };
    assert_eq!(outcome, Err(SendError::ConnectionLost));
}
