//! `absent`: what sessions cost whose clients are away: memory, the start of the broker, and messages that many of them have to keep.
//!
//! `cargo build --release -p inboxd && cargo run --release -p inbox-bench --bin absent`. Everything is said over connections on loopback, to a broker of its own with an empty
//! directory. Every session has filters of its own, every other one of them with a wildcard (`--exact`: none), and is kept. Memory is what the broker made
//! itself (RssAnon), less what one without sessions has.

mod broker;
mod client;

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use broker::Broker;
use client::Client;

/// Measure what sessions cost whose clients are away.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// The broker
    #[arg(long, default_value = "target/release/inboxd")]
    inboxd: PathBuf,
    /// Where its data is, and stays: a directory that is made, or one of an earlier run, on which the broker is only started. By default a temporary one
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Sessions that are kept
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    sessions: u64,
    /// Subscriptions of each
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    subscriptions: u64,
    /// No filter has a wildcard
    #[arg(long)]
    exact: bool,
    /// Connections at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    connections: u64,
    /// How many absent sessions a message is for: each number is tried
    #[arg(long, value_delimiter = ',', default_value = "1,100,10000")]
    fan_out: Vec<u64>,
    /// Deliveries that are made for each of these numbers
    #[arg(long, default_value_t = 200_000)]
    deliveries: u64,
    /// Bytes of each payload
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    bytes: u64,
    /// Publishes that may wait for their PUBACK
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    window: u64,
}

/// How long the broker is left alone before its memory is looked at: what only a connection needs is gone then.
const REST: Duration = Duration::from_secs(3);

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let directory = arguments.directory.as_deref().unwrap_or(temporary.path());
    let is_new = arguments.directory.is_none() || !directory.exists();
    std::fs::create_dir_all(directory)?;
    let mut out = std::io::stdout();
    let empty = memory_when_empty(&arguments)?;
    if is_new {
        let mut broker = Broker::start(&arguments.inboxd, directory)?.0;
        let began = Instant::now();
        keep_sessions(&broker, &arguments)?;
        let took = began.elapsed();
        let memory = memory_each(&broker, empty, arguments.sessions)?;
        writeln!(
            out,
            "{} sessions with {} subscriptions each, made in {took:.1?}: {memory} bytes of memory each, with what the store has of them in its log",
            arguments.sessions, arguments.subscriptions,
        )?;
        broker.terminate()?;
    }
    let (mut broker, ready) = Broker::start(&arguments.inboxd, directory)?;
    let memory = memory_each(&broker, empty, arguments.sessions)?;
    writeln!(
        out,
        "after a restart: ready after {ready:.2?}, {memory} bytes of memory each"
    )?;
    if !is_new {
        return broker.terminate();
    }
    for sessions in &arguments.fan_out {
        fan_out(&mut broker, *sessions, &arguments, &mut out)?;
    }
    broker.terminate()
}

/// What a broker takes that has nothing.
fn memory_when_empty(arguments: &Arguments) -> anyhow::Result<u64> {
    let directory = tempfile::tempdir()?;
    let (mut broker, _) = Broker::start(&arguments.inboxd, directory.path())?;
    thread::sleep(REST);
    let memory = broker.memory_kib()?;
    broker.terminate()?;
    Ok(memory)
}

/// What it takes more than `empty` for each session.
fn memory_each(broker: &Broker, empty: u64, sessions: u64) -> anyhow::Result<u64> {
    thread::sleep(REST);
    Ok(broker.memory_kib()?.saturating_sub(empty) * 1024 / sessions)
}

/// Has every client come, subscribe and go.
fn keep_sessions(broker: &Broker, arguments: &Arguments) -> anyhow::Result<()> {
    let filters = |session: u64| {
        let one = move |n: u64| match n.is_multiple_of(2) || arguments.exact {
            true => format!("devices/{session:06}/state{n}"),
            false => format!("devices/{session:06}/alarm{n}/#"),
        };
        (0..arguments.subscriptions).map(one).collect()
    };
    visit(broker, arguments, arguments.sessions, "device", filters)
}

/// Has `sessions` clients come, subscribe to what `filters` says, and go, a few at a time.
fn visit(
    broker: &Broker,
    arguments: &Arguments,
    sessions: u64,
    name: &str,
    filters: impl Fn(u64) -> Vec<String> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let session = next.fetch_add(1, Ordering::Relaxed);
            if session >= sessions {
                return Ok(());
            }
            let mut client = Client::connect(broker.port, &format!("{name}{session:06}"), true)?;
            client.subscribe(&filters(session))?;
            client.leave()?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.connections).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
    })
}

/// Publishes messages that `sessions` absent sessions have to keep.
fn fan_out(broker: &mut Broker, sessions: u64, arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let topic = format!("fan/{sessions}");
    visit(broker, arguments, sessions, &format!("fan{sessions}-"), |_| {
        vec![topic.clone()]
    })?;
    // What a session keeps has a limit; nothing is to be dropped.
    let messages = (arguments.deliveries / sessions.max(1)).clamp(1, broker::QUEUE_MESSAGES_MAX);
    thread::sleep(REST);
    let (memory, written) = (broker.memory_kib()?, broker.written()?);
    let mut publisher = Client::connect(broker.port, "publisher", false)?;
    let began = Instant::now();
    publisher.publish(
        &topic,
        messages,
        arguments.window,
        &vec![b'x'; usize::try_from(arguments.bytes)?],
    )?;
    let took = began.elapsed().as_secs_f64();
    publisher.leave()?;
    thread::sleep(REST);
    let deliveries = messages * sessions;
    writeln!(
        out,
        "a message for {sessions} absent sessions: {:.0} messages/s acknowledged, {:.0} deliveries/s, {} bytes written for each, {} bytes of memory each",
        messages as f64 / took,
        deliveries as f64 / took,
        (broker.written()? - written) / deliveries,
        broker.memory_kib()?.saturating_sub(memory) * 1024 / deliveries,
    )?;
    Ok(())
}
