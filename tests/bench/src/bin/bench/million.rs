//! A million inboxes: filling them with ten messages each, and starting on what is there. Once per engine of inboxd, not per round.

use std::time::Duration;

use super::Bench;
use super::generator::{Label, say};
use super::launch::Launch;
use super::process::Broker;
use super::results::Measurement;

/// The first million messages, one for each inbox.
pub(crate) const ACCEPT: &str = "million";
/// The messages after those; `x` is how many there are then.
pub(crate) const FILL: &str = "million-fill";
/// Starting on all of them.
pub(crate) const RESTART: &str = "million-restart";

/// Messages per inbox after each step.
const STEPS: [u64; 5] = [1, 2, 4, 7, 10];
/// No step takes longer, in seconds.
const TIMEOUT_S: u64 = 900;
/// Memory is looked at so long after the broker is ready.
const LATER: Duration = Duration::from_secs(1);

/// Runs it with `inboxes` inboxes for every engine.
pub(crate) fn run(bench: &Bench, inboxes: u64) -> Vec<Measurement> {
    let mut done = Vec::new();
    for launch in bench.launches.iter().filter(|it| it.variant.peer == "inboxd") {
        eprintln!("\n==> {inboxes} inboxes, {}", launch.variant.name());
        fill_and_restart(bench, launch, inboxes, &mut done);
    }
    done
}

fn fill_and_restart(bench: &Bench, launch: &Launch, inboxes: u64, done: &mut Vec<Measurement>) {
    let label = |workload: &str, x| Label {
        workload: workload.to_owned(),
        variant: launch.variant.name(),
        round: 1,
        x,
    };
    let broker = match Broker::start(launch, &bench.scratch, None) {
        Ok(broker) => broker,
        Err(error) => return done.push(label(ACCEPT, None).failed(format!("{error:#}"))),
    };
    let mut stored = 0;
    for per_inbox in STEPS {
        let messages = per_inbox * inboxes - stored;
        stored += messages;
        let arguments = format!(
            "offline --clients {inboxes} --messages {messages} --publishers 16 --window 64 --bytes 256 --store-only --prefix million"
        );
        let arguments: Vec<String> = arguments.split_ascii_whitespace().map(str::to_owned).collect();
        let measurement =
            bench
                .generator
                .measure(&label(FILL, Some(stored as f64)), &broker, &arguments, TIMEOUT_S, None);
        let has_failed = measurement.failure.is_some();
        if per_inbox == 1 {
            done.push(Measurement {
                workload: ACCEPT.to_owned(),
                ..measurement.clone()
            });
        }
        done.push(measurement);
        if has_failed {
            return;
        }
    }
    let label = label(RESTART, Some(stored as f64));
    let measurement = restart(&label, launch, bench, broker).unwrap_or_else(|error| label.failed(format!("{error:#}")));
    say(&measurement);
    done.push(measurement);
}

/// Ends the broker in order and starts it, then kills it and starts it.
fn restart(label: &Label, launch: &Launch, bench: &Bench, broker: Broker) -> anyhow::Result<Measurement> {
    let mut measurement = label.begin();
    let mut note = |name: &str, value: f64| measurement.figures.insert(name.to_owned(), value.into());
    broker.terminate()?;
    let (broker, took) = Broker::restart_inboxd(launch, &bench.scratch)?;
    note("orderly_ready_s", took.as_secs_f64());
    std::thread::sleep(LATER);
    note("orderly_rss_kib", broker.rss_kib().map_or(f64::NAN, |kib| kib as f64));
    drop(broker);
    let (broker, took) = Broker::restart_inboxd(launch, &bench.scratch)?;
    note("killed_ready_s", took.as_secs_f64());
    std::thread::sleep(LATER);
    note("killed_rss_kib", broker.rss_kib().map_or(f64::NAN, |kib| kib as f64));
    measurement.is_clean = true;
    Ok(measurement)
}
