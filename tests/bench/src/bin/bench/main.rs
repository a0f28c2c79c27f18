//! `bench`, for `cargo xtask bench`: inboxd against the other brokers of this machine, and how its costs grow. Writes docs/benchmarks.md.
//!
//! The load generator measures ([`generator`]); this decides what is run against what, and when ([`rounds`], [`million`], [`growth`]),
//! keeps what was found ([`results`]) and makes a page of it ([`report`]).

mod chart;
mod discovery;
mod generator;
mod growth;
mod launch;
mod machine;
mod million;
mod model;
mod peers;
mod process;
mod report;
mod results;
mod rounds;
mod statistics;
mod suites;
mod targets;
mod watching;
mod ways;
mod workloads;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use inbox_test_support::process::raise_open_files;

use discovery::Named;
use generator::{Generator, unix_s};
use launch::{Launch, Scratch};
use machine::Machine;
use peers::PEERS;
use results::{Measurement, Part, Results};
use suites::{ASKED_FOR, ORDINARY, Suite, WAYS_IN};
use workloads::{Size, WORKLOADS, Workload};

/// Compare inboxd with other brokers on this machine, and write docs/benchmarks.md.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// One round of short runs, to try it out; docs/benchmarks.md stays as it is
    #[arg(long)]
    quick: bool,
    /// Rounds of the comparison
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(3..))]
    rounds: u32,
    /// These workloads only, and docs/benchmarks.md stays as it is: p2p, p2p-5000, offline, drain, fanin, idle, storm, million
    #[arg(long, value_delimiter = ',', value_parser = workload)]
    only: Vec<String>,
    /// These peers only, besides inboxd
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// NAME=COMMAND: another broker, or another build of a known one; COMMAND has {port}, and {dir} for an empty directory
    #[arg(long, value_name = "NAME=COMMAND")]
    peer: Vec<Named>,
    /// Only the growth of inboxd's costs. (Without it, growth comes after the comparison if it has never been measured here.)
    #[arg(long)]
    growth: bool,
    /// Only TLS, WebSocket and users, and their section of docs/benchmarks.md
    #[arg(long, group = "suite", conflicts_with_all = ["growth", "only", "peers", "peer"])]
    ways: bool,
    /// Only what `id`s and receipts cost, and their section of docs/benchmarks.md
    #[arg(long, group = "suite", conflicts_with_all = ["growth", "only", "peers", "peer"])]
    receipts: bool,
    /// Only ordinary topics, and their section of docs/benchmarks.md
    #[arg(long, group = "suite", conflicts_with_all = ["growth", "only", "peers", "peer"])]
    topics: bool,
    /// With --ways, --receipts or --topics: only this trial; docs/benchmarks.md stays as it is
    #[arg(long, value_name = "TRIAL", requires = "suite")]
    trial: Option<String>,
    /// Measure nothing: write docs/benchmarks.md again from what was measured last
    #[arg(long, conflicts_with_all = ["quick", "only", "peers", "peer", "growth", "suite"])]
    report: bool,
}

impl Arguments {
    /// The section of the page that is to be measured alone.
    fn suite(&self) -> Option<&'static Suite> {
        match () {
            () if self.ways => Some(&WAYS_IN),
            () if self.receipts => Some(&ASKED_FOR),
            () if self.topics => Some(&ORDINARY),
            () => None,
        }
    }
}

/// What every measurement needs.
#[derive(Debug)]
struct Bench {
    /// inboxd first, with its default engine.
    launches: Vec<Launch>,
    missing: Vec<(String, String)>,
    scratch: Scratch,
    generator: Generator,
    commit: String,
}

/// Inboxes of the `million` workload.
const MILLION: u64 = 1_000_000;
const MILLION_QUICK: u64 = 10_000;
const MILLION_NAME: &str = "million";

/// Where things are.
#[derive(Debug)]
struct Places {
    /// The directory of the workspace's `Cargo.toml`.
    root: PathBuf,
    /// Cargo's target directory.
    target: PathBuf,
    /// The programs that were built with this one.
    programs: PathBuf,
}

impl Places {
    fn find() -> anyhow::Result<Self> {
        let programs = std::env::current_exe()?.parent().map(Path::to_owned);
        let programs = programs.context("this program is in no directory")?;
        Ok(Places {
            root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?,
            target: programs
                .parent()
                .context("this program is in no target directory")?
                .to_owned(),
            programs,
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match Places::find().and_then(|places| run(&places, &arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, keeps the results, and reports.
fn run(places: &Places, arguments: &Arguments) -> anyhow::Result<()> {
    let directory = places.target.join("bench");
    std::fs::create_dir_all(&directory)?;
    let is_whole = !arguments.quick && arguments.only.is_empty() && arguments.trial.is_none();
    let file = directory.join(if is_whole { "results.json" } else { "results-tried.json" });
    if !arguments.report {
        measure(places, arguments, is_whole, &file)?;
    }
    if !is_whole {
        eprintln!(
            "\ndocs/benchmarks.md stays as it is, because this was not everything. The figures are in {}",
            file.display()
        );
        return Ok(());
    }
    let results = Results::load(&file)?;
    if let Some(suite) = arguments.suite() {
        return report::save_suite(suite, results.suites.get(suite.flag), &places.root.join("docs"));
    }
    if results.comparison.is_none() {
        eprintln!("\ndocs/benchmarks.md stays as it is until the comparison is measured, too: `cargo xtask bench`");
        return Ok(());
    }
    report::write(&results)?.save(&places.root.join("docs"))?;
    eprintln!("\ndocs/benchmarks.md is written; the figures are in {}", file.display());
    Ok(())
}

fn measure(places: &Places, arguments: &Arguments, is_whole: bool, file: &Path) -> anyhow::Result<()> {
    let bench = prepare(places, arguments)?;
    let mut results = if is_whole {
        Results::load(file)?
    } else {
        Results::default()
    };
    if let Some(suite) = arguments.suite() {
        let rounds = if arguments.quick { 1 } else { arguments.rounds };
        let mut trouble = Ok(());
        let part = part(&bench, rounds, || {
            ways::run(&bench, suite, rounds, arguments.trial.as_deref()).unwrap_or_else(|error| {
                trouble = Err(error);
                Vec::new()
            })
        });
        trouble?;
        print(&report::suite_tables(suite, &part))?;
        results.suites.insert(suite.flag.to_owned(), part);
        results.save(file)?;
        return bench.scratch.clear();
    }
    if !arguments.growth {
        let rounds = if arguments.quick { 1 } else { arguments.rounds };
        let part = part(&bench, rounds, || comparison(&bench, arguments, rounds));
        print(&report::tables(&part, !arguments.quick))?;
        results.comparison = Some(part);
        results.save(file)?;
    }
    if arguments.growth || (is_whole && results.growth.is_none()) {
        let part = part(&bench, 1, || growth::run(&bench, arguments.quick));
        print(&report::growth_tables(&part))?;
        results.growth = Some(part);
        results.save(file)?;
    }
    bench.scratch.clear()
}

fn comparison(bench: &Bench, arguments: &Arguments, rounds: u32) -> Vec<Measurement> {
    let size = if arguments.quick { Size::QUICK } else { Size::FULL };
    let only = &arguments.only;
    let mut measurements = rounds::run(bench, rounds, only, size);
    // A try without it takes a tenth of the time.
    if only.iter().any(|it| it == MILLION_NAME) || (only.is_empty() && !arguments.quick) {
        measurements.extend(million::run(
            bench,
            if arguments.quick { MILLION_QUICK } else { MILLION },
        ));
    }
    measurements
}

/// Looks for the programs and the peers.
fn prepare(places: &Places, arguments: &Arguments) -> anyhow::Result<Bench> {
    for name in &arguments.peers {
        let is_known = PEERS.iter().any(|peer| peer.name == name);
        let names: Vec<&str> = PEERS.iter().map(|peer| peer.name).collect();
        anyhow::ensure!(is_known, "there is no peer {name:?}; there are {}", names.join(", "));
    }
    let [inboxd, program] = ["inboxd", "load"].map(|name| places.programs.join(name));
    for program in [&inboxd, &program] {
        let is_built = program.is_file();
        anyhow::ensure!(
            is_built,
            "{} is missing: `cargo xtask bench` builds it",
            program.display()
        );
    }
    raise_open_files().context("the limit of open files could not be raised")?;
    let scratch = Scratch::new(places.target.join("bench/scratch"));
    let peers_bin = places.target.join("peers/bin");
    let found = discovery::discover(&inboxd, &peers_bin, &arguments.peer, &arguments.peers, &scratch)?;
    eprintln!("\n==> brokers");
    for launch in &found.launches {
        eprintln!("    {}: {}", launch.variant.name(), launch.variant.version);
    }
    for (name, get) in &found.missing {
        eprintln!("    {name}: not found ({get})");
    }
    Ok(Bench {
        launches: found.launches,
        missing: found.missing,
        scratch,
        generator: Generator { program },
        commit: commit(&places.root).unwrap_or_else(|| "not known".to_owned()),
    })
}

/// The commit of the working tree, as git describes it.
fn commit(root: &Path) -> Option<String> {
    let mut git = Command::new("git");
    let output = git
        .args(["describe", "--always", "--dirty"])
        .current_dir(root)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// What `measure` finds, with its circumstances.
fn part(bench: &Bench, rounds: u32, measure: impl FnOnce() -> Vec<Measurement>) -> Part {
    let (began_unix_s, began) = (unix_s(), Instant::now());
    let measurements = measure();
    Part {
        began_unix_s,
        took_s: began.elapsed().as_secs(),
        rounds,
        machine: Machine::this(bench.scratch.path().parent().unwrap_or(bench.scratch.path())),
        commit: bench.commit.clone(),
        variants: bench.launches.iter().map(|it| it.variant.clone()).collect(),
        missing: bench.missing.clone(),
        measurements,
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn workload(text: &str) -> Result<String, String> {
    if Workload::named(text).is_some() || text == MILLION_NAME {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = WORKLOADS.iter().map(|it| it.name).chain([MILLION_NAME]).collect();
    Err(format!("there are {}", names.join(", ")))
}
