//! What a store costs: commits of one record with 1, 16 and 512 messages, and publishes to absent inboxes that hold mail.
//!
//! ```text
//! cargo bench -p inbox-store --bench store -- [DIR] [--engine sled|fjall] [--seconds N] [--inboxes N]
//! ```
//!
//! DIR is on the disk that is to be measured (the system's temporary directory without it); what is made there is removed. In the
//! second part two ways take turns, round by round: what an inbox holds is looked up, as stores of format 3 do, or its blocks are
//! read for it, as those of format 2 did.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that measures and prints"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inbox_store::{Batch, CheckpointOptions, Engine, Store, StoreOptions, open_store};
use inbox_types::{Age, ClientId, Entry, Expiry, Message, Micros, Qos, Seq};

const PAYLOAD_BYTES: usize = 256;
const PER_COMMIT: [u64; 3] = [1, 16, 512];
/// Messages that each absent inbox holds before it is published to.
const HELD: u64 = 10;
const ROUNDS: usize = 6;

struct Arguments {
    dir: PathBuf,
    engine: Engine,
    seconds: u64,
    inboxes: u64,
}

impl Arguments {
    fn parse() -> Self {
        let mut arguments = Arguments {
            dir: std::env::temp_dir(),
            engine: Engine::Sled,
            seconds: 3,
            inboxes: 20_000,
        };
        let mut given = std::env::args().skip(1);
        while let Some(argument) = given.next() {
            let mut value = || given.next().unwrap_or_else(|| panic!("{argument} wants a value"));
            match argument.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--engine" => arguments.engine = Engine::from_name(&value()).expect("sled or fjall"),
                "--seconds" => arguments.seconds = value().parse().expect("a number of seconds"),
                "--inboxes" => arguments.inboxes = value().parse().expect("a number of inboxes"),
                other if other.starts_with('-') => panic!("there is no option {other}"),
                dir => arguments.dir = dir.into(),
            }
        }
        arguments
    }
}

fn main() {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir_in(&arguments.dir).unwrap();
    println!(
        "engine {}, payloads of {PAYLOAD_BYTES} bytes, in {}",
        arguments.engine.name(),
        arguments.dir.display()
    );
    let mut writer = Writer::default();
    for messages in PER_COMMIT {
        let store = open(
            &dir.path().join(format!("commits-{messages}")),
            &arguments,
            CheckpointOptions::default(),
        );
        commits(&*store, &mut writer, messages, Duration::from_secs(arguments.seconds));
        store.close().unwrap();
    }
    absent(&dir.path().join("absent"), &arguments, &mut writer);
}

fn open(dir: &std::path::Path, arguments: &Arguments, checkpoint: CheckpointOptions) -> Arc<dyn Store> {
    let options = StoreOptions {
        engine: arguments.engine,
        checkpoint,
        ..StoreOptions::default()
    };
    open_store(dir, &options).unwrap()
}

/// Makes messages, each with the next seq.
#[derive(Default)]
struct Writer {
    last: u64,
}

impl Writer {
    fn batch(&mut self, inboxes: impl Iterator<Item = u64>) -> Batch {
        let puts = inboxes.map(|inbox| (name(inbox), self.entry())).collect();
        Batch {
            puts,
            ..Batch::default()
        }
    }

    fn entry(&mut self) -> Entry {
        self.last += 1;
        let message = Message {
            qos: Qos::AtLeastOnce,
            payload: vec![b'x'; PAYLOAD_BYTES].into(),
            ..message()
        };
        Entry {
            seq: Seq(self.last),
            message: message.into(),
        }
    }
}

fn message() -> Message {
    Message {
        from: name(0),
        id: None,
        at: Micros(1_700_000_000_000_000),
        expiry: Expiry::of(Age(0), u64::MAX, None),
        qos: Qos::AtLeastOnce,
        payload: Default::default(),
        properties: None,
    }
}

fn name(inbox: u64) -> ClientId {
    ClientId::new(&format!("client-{inbox:08}")).unwrap()
}

/// Commits of so many messages to as many inboxes, one after the other, each durable before the next.
fn commits(store: &dyn Store, writer: &mut Writer, messages: u64, time: Duration) {
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < time {
        let first = times.len() as u64 * messages;
        let batch = writer.batch((first..first + messages).map(|n| n % 1000));
        let before = Instant::now();
        store.commit(&batch).unwrap();
        times.push(before.elapsed());
    }
    let rate = times.len() as f64 / begin.elapsed().as_secs_f64();
    times.sort_unstable();
    println!(
        "{messages:>4} messages a commit: {rate:>8.0} commits/s, {:>9.0} messages/s, commit p50 {:>6.0?}, p99 {:>6.0?}",
        rate * messages as f64,
        times[times.len() / 2],
        times[times.len() * 99 / 100],
    );
}

/// Publishes to inboxes that rest: what each holds must be known first.
fn absent(dir: &std::path::Path, arguments: &Arguments, writer: &mut Writer) {
    let fill = CheckpointOptions {
        after: Duration::ZERO,
        ..CheckpointOptions::default()
    };
    let store = open(dir, arguments, fill);
    for _ in 0..HELD {
        for part in 0..arguments.inboxes.div_ceil(512) {
            let inboxes = part * 512..((part + 1) * 512).min(arguments.inboxes);
            store.commit(&writer.batch(inboxes)).unwrap();
        }
    }
    while store.memory_bytes() > 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    store.close().unwrap();
    drop(store);
    let store = open(dir, arguments, CheckpointOptions::default());
    let look_up = |inbox: &ClientId| store.inbox(inbox).unwrap().map_or(0, |record| record.messages);
    let read = |inbox: &ClientId| store.seqs(inbox, Seq::ZERO, usize::MAX).unwrap().len() as u64;
    let mut rates = [Vec::new(), Vec::new()];
    let mut next = 0;
    for round in 0..2 * ROUNDS {
        let way = round % 2;
        let begin = Instant::now();
        let mut published = 0;
        while begin.elapsed() < Duration::from_secs(1) {
            // Far apart, so that one does not bring the next one into a cache.
            let inboxes: Vec<u64> = (0..512).map(|n| (next + n) * 7919 % arguments.inboxes).collect();
            next += 512;
            for inbox in &inboxes {
                let held = if way == 0 {
                    look_up(&name(*inbox))
                } else {
                    read(&name(*inbox))
                };
                assert!(held >= HELD, "it holds mail");
            }
            store.commit(&writer.batch(inboxes.into_iter())).unwrap();
            published += 512;
        }
        rates[way].push(f64::from(published) / begin.elapsed().as_secs_f64());
    }
    for (way, rates) in ["totals are looked up", "blocks are read"].into_iter().zip(&mut rates) {
        rates.sort_unstable_by(f64::total_cmp);
        println!(
            "{} absent inboxes with {HELD} messages each, {way}: {:.0} publishes/s (median of {ROUNDS} rounds, {:.0} to {:.0})",
            arguments.inboxes,
            (rates[ROUNDS / 2 - 1] + rates[ROUNDS / 2]) / 2.0,
            rates[0],
            rates[ROUNDS - 1],
        );
    }
    store.close().unwrap();
}
