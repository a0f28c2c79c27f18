//! `matching`: what it takes the native engine of ordinary topics to find the subscriptions of a topic, as filters become more.
//!
//! `cargo run --release -p inbox-bench --bin matching`. One thread asks who is subscribed to topics in a random order; everything else rests. The sum over all topics is
//! checked, so that nothing is measured that does not happen.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use inbox_types::{Age, ClientId, Qos};
use pubsub::{Engine, OrdinaryDelivery, OrdinaryMessage, Reach, Router, RouterOptions, SessionKey, Sink};

/// Measure how the native engine of ordinary topics finds subscriptions.
#[derive(Debug, Parser)]
struct Arguments {
    /// Filters at most
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    filters: u64,
    /// Topics that are asked about
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    topics: u64,
}

/// Kinds of filters, with N for their number, and how many sessions have each. Of the topics that are asked about each is matched by one of them.
const KINDS: [(&str, u64); 4] = [
    ("devices/N/cmd", 1),
    ("devices/N/cmd", 2),
    ("devices/N/+", 1),
    ("+/N/cmd/#", 1),
];
/// Filters of one session.
const EACH: u64 = 1_000;

/// Takes everything, and keeps nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) {
        batch.clear();
    }

    fn lost(&self, _: u64) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| filters | of them | sessions with each | ns to subscribe | bytes of memory each | ns to match | ns to publish |\n|---|---|---|---|---|---|---|"
    )?;
    for (kind, sessions) in KINDS {
        let mut filters = 1_000;
        while filters <= arguments.filters {
            let row = measure(kind, sessions, filters, arguments.topics).await?;
            writeln!(out, "{row}")?;
            filters *= 10;
        }
    }
    Ok(())
}

/// One row of the table.
async fn measure(kind: &str, sessions: u64, filters: u64, topics: u64) -> anyhow::Result<String> {
    let options = RouterOptions {
        engine: Engine::Native,
        filters_max: usize::MAX,
        ..RouterOptions::default()
    };
    let router = Router::start(options, Arc::new(Age::default))?;
    let names: Vec<String> = (0..filters).map(|n| kind.replace('N', &n.to_string())).collect();
    let sink: Arc<dyn Sink> = Arc::new(Nowhere);
    let (memory, began) = (memory_bytes()?, Instant::now());
    for which in 0..sessions {
        for (n, name) in (0..).zip(&names) {
            let session = SessionKey(n / EACH * sessions + which);
            let number = u32::try_from(n % EACH)?;
            let subscribed = router.subscribe(session, Arc::clone(&sink), number, name.as_str(), None, false);
            subscribed.await?;
        }
    }
    let (subscribing, memory) = (began.elapsed(), memory_bytes()?.saturating_sub(memory));
    drop(names);

    // An odd factor goes through all numbers in an order that no cache foresees.
    let order = (0..topics).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % filters);
    let asked: Vec<Arc<str>> = order.map(|n| format!("devices/{n}/cmd").into()).collect();
    let began = Instant::now();
    let found = asked
        .iter()
        .filter(|topic| router.reach(black_box(topic)) == Reach::Somebody);
    anyhow::ensure!(found.count() as u64 == topics, "a topic was not matched");
    let matching = began.elapsed();

    let from = ClientId::new("bench").context("this is a client ID")?;
    let began = Instant::now();
    for topic in &asked {
        let message = OrdinaryMessage {
            topic: Arc::clone(topic),
            retain: false,
            qos: Qos::AtMostOnce,
            from: from.clone(),
            expiry: None,
            payload: bytes::Bytes::new(),
            properties: None,
        };
        anyhow::ensure!(
            router.publish(message).await? == Reach::Somebody,
            "{topic} reached nobody"
        );
    }
    let publishing = began.elapsed();
    Ok(format!(
        "| {filters} | {kind} | {sessions} | {} | {} | {} | {} |",
        subscribing.as_nanos() / u128::from(filters * sessions),
        memory / filters,
        matching.as_nanos() / u128::from(topics),
        publishing.as_nanos() / u128::from(topics),
    ))
}

/// What this process has in memory.
fn memory_bytes() -> anyhow::Result<u64> {
    let pages = procfs::process::Process::myself()?.statm()?.resident;
    Ok(pages * procfs::page_size())
}
