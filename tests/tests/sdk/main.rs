//! The SDK (`inbox-client`) against the broker, over good and bad networks and disks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is tests: a failed assumption is a failed test"
)]

mod changing;
mod crowd;
mod disk;
mod process;
mod receipts;
mod receiving;
mod refusals;
mod sending;
mod transports;

use std::path::Path;
use std::time::Duration;

use inbox_client::{Delivery, Inbox, InboxOptions, Pauses};
use inbox_tests::{Broker, DEADLINE};
use tempfile::TempDir;

/// Shorter pauses than an application would want.
const PAUSES: Pauses = Pauses {
    first: Duration::from_millis(20),
    longest: Duration::from_millis(500),
    stable: Duration::from_secs(60),
};

fn options(port: u16, client_id: &str) -> InboxOptions {
    let mut options = InboxOptions::new(format!("mqtt://127.0.0.1:{port}"), client_id);
    (options.reconnect, options.retry) = (PAUSES, PAUSES);
    options
}

async fn connect(broker: &Broker, client_id: &str) -> Inbox {
    within(Inbox::connect(options(broker.port(), client_id))).await.unwrap()
}

/// With an outbox of its own in this folder.
fn on_disk(port: u16, client_id: &str, folder: &TempDir) -> InboxOptions {
    options(port, client_id).outbox(outbox(folder.path(), client_id))
}

fn outbox(folder: &Path, client_id: &str) -> std::path::PathBuf {
    folder.join(format!("{client_id}.redb"))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it happens within the deadline")
}

/// The next message, acknowledged.
async fn take(inbox: &Inbox) -> Delivery {
    let delivery = within(inbox.recv()).await.expect("the inbox is open");
    within(delivery.ack()).await.unwrap();
    delivery
}

/// The texts of so many messages, which are acknowledged.
async fn take_texts(inbox: &Inbox, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(take(inbox).await.text().unwrap().to_owned());
    }
    texts
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}
