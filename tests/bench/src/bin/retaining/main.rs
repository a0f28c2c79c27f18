//! `retaining`: what retained messages take: publishing them until they are durable, memory, a start, and a subscriber that gets all.
//!
//! `cargo run --release -p inbox-bench --bin retaining -- --directory DIR`, twice: the first run fills the directory, which must not exist, and each
//! later one starts on it; `--warm` is for memory, and not for time. Store, commits and router are the broker's; there are no sockets.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use inbox_bridge::{
    Bridge, Left, Limits, Observer, Seq, StoreError, StoreOptions, SystemClock, Table, entries, open_store,
};
use inbox_types::{AttachmentId, ClientId, Delivery, Outcome, Port, Qos, Room, Ticket};
use inboxd::retained;
use pubsub::{OrdinaryDelivery, OrdinaryMessage, Router, RouterOptions, SessionKey, Sink};
use tokio::sync::Notify;

/// Measure retained messages.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the store is
    #[arg(long)]
    directory: PathBuf,
    /// Messages, each on a topic of its own
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    messages: u64,
    /// Bytes of each payload
    #[arg(long, default_value_t = 100)]
    bytes: usize,
    /// Publishes that may wait for their PUBACK
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    window: u64,
    /// Bytes of messages that stay in memory
    #[arg(long, default_value_t = 0)]
    cache: usize,
    /// Read all of them before anything is measured, so that what the engine caches counts for nobody
    #[arg(long)]
    warm: bool,
}

/// Counts the answers to publishes, and what a subscriber gets.
#[derive(Default)]
struct Counter {
    count: AtomicU64,
    refused: AtomicU64,
    changed: Notify,
}

impl Counter {
    fn add(&self, n: u64) {
        self.count.fetch_add(n, Ordering::Relaxed);
        self.changed.notify_one();
    }

    async fn reaches(&self, wanted: u64) {
        while self.count.load(Ordering::Relaxed) < wanted {
            self.changed.notified().await;
        }
    }
}

impl Port for Counter {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, outcome: Outcome) {
        self.refused
            .fetch_add(u64::from(matches!(outcome, Outcome::Refused(_))), Ordering::Relaxed);
        self.add(1);
    }
}

impl Sink for Counter {
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) {
        self.add(batch.drain(..).count() as u64);
    }

    fn lost(&self, messages: u64) {
        self.refused.fetch_add(messages, Ordering::Relaxed);
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    let is_new = !arguments.directory.exists();
    let began = Instant::now();
    let store = open_store(&arguments.directory, &StoreOptions::default())?;
    let bridge = Bridge::start(
        store,
        Limits::default(),
        Arc::new(SystemClock::default()),
        Arc::new(Watching),
    )?;
    let opening = began.elapsed();
    if arguments.warm {
        entries(bridge.store(), Table::RETAINED).try_for_each(|entry| entry.map(drop))?;
    }
    let (memory, began) = (memory_bytes()?, Instant::now());
    let node = bridge.hub().node();
    let age = node.clone();
    let router = retained::start(
        RouterOptions {
            retained_messages_max: usize::MAX,
            retained_cache_bytes: arguments.cache,
            ..RouterOptions::default()
        },
        Arc::new(move || age.inboxes.age(age.now())),
        &node,
        bridge.shared_store(),
    )?;
    if is_new {
        let took = fill(&router, &arguments).await?;
        let rate = arguments.messages as f64 / took.as_secs_f64();
        writeln!(out, "published and durable: {took:.1?}, {rate:.0} a second")?;
    } else {
        let (starting, memory) = (began.elapsed(), memory_bytes()?.saturating_sub(memory));
        let each = memory / router.retained().max(1);
        writeln!(
            out,
            "the store was open after {opening:.2?}, {} messages were back after {starting:.2?} more; {memory} bytes of memory, {each} each",
            router.retained(),
        )?;
    }
    let (subscriber, began) = (Arc::new(Counter::default()), Instant::now());
    router
        .subscribe(SessionKey(1), subscriber.clone(), 1, "#", None, true)
        .await?;
    subscriber.reaches(router.retained()).await;
    anyhow::ensure!(
        subscriber.refused.load(Ordering::Relaxed) == 0,
        "some could not be read"
    );
    writeln!(out, "a subscriber to # had all after {:.2?}", began.elapsed())?;
    router.shutdown().await;
    tokio::task::spawn_blocking(move || bridge.close()).await??;
    Ok(())
}

async fn fill(router: &Router, arguments: &Arguments) -> anyhow::Result<Duration> {
    let from = ClientId::new("bench").context("this is a client ID")?;
    let told = Arc::new(Counter::default());
    let port: Arc<dyn Port> = told.clone();
    let began = Instant::now();
    for n in 0..arguments.messages {
        told.reaches(n.saturating_sub(arguments.window)).await;
        let message = OrdinaryMessage {
            topic: format!("devices/{:03}/{n:07}/state", n % 1_000).into(),
            retain: true,
            qos: Qos::AtLeastOnce,
            from: from.clone(),
            expiry: None,
            payload: Bytes::from(vec![b'x'; arguments.bytes]),
            properties: None,
        };
        router.publish_for(message, &port, Ticket(n)).await?;
    }
    told.reaches(arguments.messages).await;
    anyhow::ensure!(told.refused.load(Ordering::Relaxed) == 0, "some were refused");
    Ok(began.elapsed())
}

/// Nothing is told of that would be measured.
struct Watching;

impl Observer for Watching {
    fn left(&self, _: &ClientId, _: Seq, _: &ClientId, _: Left) {}
    fn store_failed(&self, _: &StoreError) {}
    fn unreadable(&self, _: &ClientId, _: &StoreError) {}
    fn disk_is_full(&self, _: bool, _: u64) {}
}

/// What this process has in memory.
fn memory_bytes() -> anyhow::Result<u64> {
    let pages = procfs::process::Process::myself()?.statm()?.resident;
    Ok(pages * procfs::page_size())
}
