//! The simulator on the command line: `cargo xtask sim`.

#![allow(
    clippy::print_stdout,
    reason = "a report on standard output is what this program is for"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use inbox_tests::sim::{self, Outcome};

/// Runs the broker in simulated worlds and checks the delivery contract.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Options {
    /// How many seeds to run.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run only this seed, and show everything that happens if it breaks the contract.
    #[arg(long)]
    seed: Option<u64>,
    /// How many things happen in one run.
    #[arg(long, default_value_t = sim::STEPS)]
    steps: usize,
    /// How many runs at a time; the number of processors if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Makes this mistake in the broker on purpose; its name as in `inbox_bridge::Fault`.
    #[arg(long)]
    fault: Option<String>,
}

#[derive(Debug, Default)]
struct Total {
    promises: u64,
    deliveries: u64,
    repeats: u64,
    crashes: u64,
    failed: Vec<Outcome>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let fault = options.fault.as_ref().map(|name| {
        let found = inbox_bridge::Fault::ALL
            .iter()
            .find(|fault| format!("{fault:?}") == *name);
        *found.unwrap_or_else(|| panic!("no fault is called {name}"))
    });
    let (from, count) = options.seed.map_or((options.from, options.seeds), |seed| (seed, 1));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, total) = (AtomicU64::new(from), Mutex::new(Total::default()));
    let started = Instant::now();
    // A panic in the broker is a violation; it is reported with its seed, not by the hook.
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.unwrap_or(processors) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= from + count {
                        return;
                    }
                    let outcome = sim::run(seed, options.steps, fault);
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    total.promises += outcome.promises;
                    total.deliveries += outcome.deliveries;
                    total.repeats += outcome.repeats;
                    total.crashes += outcome.crashes;
                    if let Some(violation) = &outcome.violation {
                        eprintln!("seed {seed}: {}", violation.what);
                        total.failed.push(outcome);
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(first) = total.failed.iter().min_by_key(|outcome| outcome.seed) {
        if let Some(violation) = &first.violation {
            println!("{}\n\nseed {}: {}", violation.trace, first.seed, violation.what);
        }
        println!("again: cargo xtask sim --seed {} --steps {}", first.seed, options.steps);
    }
    println!(
        "{count} seeds of {} steps in {:.1} s: {} broke the contract; {} publishes acknowledged, {} deliveries, {} of them again, {} crashes",
        options.steps,
        started.elapsed().as_secs_f64(),
        total.failed.len(),
        total.promises,
        total.deliveries,
        total.repeats,
        total.crashes,
    );
    if total.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
