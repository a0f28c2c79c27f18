//! A disk without room under the outbox.

use std::time::Duration;

use inbox_client::{AckError, Inbox, SendError, StoreError};
use inbox_tests::{Broker, Relay, SmallDisk, fill};

use crate::{connect, on_disk, outbox, take, take_texts, within};

/// Of a message.
const BYTES: usize = 50_000;

fn text(number: usize) -> String {
    format!("{number} {:BYTES$}", "")
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_loses_nothing() {
    // Goal: `send` tells that the disk is full, and what it had taken is sent; with room again, everything goes on, also for the next life of the
    // program.
    let broker = Broker::start();
    let relay = Relay::to(broker.port());
    relay.refuse(true);
    let disk = SmallDisk::new(4 * 1024 * 1024);
    let options = crate::options(relay.port(), "alice").outbox(outbox(disk.path(), "alice"));
    let alice = within(Inbox::open(options.clone())).await.unwrap();
    let mut taken = Vec::new();
    let error = loop {
        match within(alice.send("bob", text(taken.len()))).await {
            Ok(_) => taken.push(text(taken.len())),
            Err(error) => break error,
        }
        assert!(taken.len() < 200, "the disk is never full");
    };
    assert!(
        matches!(&error, SendError::Store(StoreError::DiskFull { .. })),
        "{error}"
    );
    assert!(!taken.is_empty());
    // The next one finds it just as full, or with some room that a smaller one takes.
    if within(alice.send("bob", "small")).await.is_ok() {
        taken.push("small".to_owned());
    }
    within(alice.close(Duration::ZERO)).await.unwrap_err();
    drop(alice);
    relay.refuse(false);
    let alice = within(Inbox::connect(options)).await.unwrap();
    within(within(alice.send("carol", "with room again")).await.unwrap().stored())
        .await
        .unwrap();
    within(alice.close(Duration::from_secs(30))).await.unwrap();
    let bob = connect(&broker, "bob").await;
    assert_eq!(take_texts(&bob, taken.len()).await, taken);
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_not_given() {
    // Goal: on a full disk, `ack` fails, nothing is acknowledged, and with room again it can be asked for again.
    let broker = Broker::start();
    let disk = SmallDisk::new(4 * 1024 * 1024);
    let folder = tempfile::tempdir().unwrap();
    let alice = within(Inbox::connect(on_disk(broker.port(), "alice", &folder)))
        .await
        .unwrap();
    let options = crate::options(broker.port(), "bob").outbox(outbox(disk.path(), "bob"));
    let bob = within(Inbox::connect(options.clone())).await.unwrap();
    let filler = disk.path().join("filler");
    fill(&filler);
    // What has room in pages that the file has already is no trouble.
    let mut acknowledged = 0;
    let (held, error) = loop {
        within(
            within(alice.send("bob", acknowledged.to_string()))
                .await
                .unwrap()
                .stored(),
        )
        .await
        .unwrap();
        let delivery = within(bob.recv()).await.unwrap();
        assert_eq!(delivery.text(), Ok(acknowledged.to_string().as_str()));
        match within(delivery.ack()).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break (delivery, error),
        }
        assert!(acknowledged < 10_000, "the disk is never full");
    };
    assert!(matches!(error, AckError::Store(StoreError::DiskFull { .. })), "{error}");
    std::fs::remove_file(&filler).unwrap();
    within(held.ack()).await.unwrap();
    within(bob.close(Duration::from_secs(5))).await.unwrap();
    let bob = within(Inbox::connect(options)).await.unwrap();
    within(alice.send("bob", "the last")).await.unwrap().id();
    assert_eq!(take(&bob).await.text(), Ok("the last"));
}
