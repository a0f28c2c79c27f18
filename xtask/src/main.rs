//! `cargo xtask …`: everything in inboxd that is not one cargo command.

mod clients;
mod dashboard;
mod fuzz;
mod mutants;
mod npm;
mod power;
mod programs;
mod soak;
mod steps;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};

use programs::{BENCH, TESTS};

/// Everything in inboxd that is not one cargo command.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything that continuous integration checks: tools, format, lints, dependencies, release build, tests.
    Test,
    /// Look for the tools that the tests need, and install those that are missing.
    Tools,
    /// Build the dashboard; a broker that is built afterwards has it in it.
    Dashboard,
    /// Look for inputs that break a rule: bytes, packets, records, filters, configurations.
    Fuzz(fuzz::Arguments),
    /// Compare a release broker with others on this machine, and write docs/benchmarks.md.
    #[command(disable_help_flag = true)]
    Bench(Passed),
    /// Count the instructions that a message costs on the hot paths, and compare with the committed baseline.
    #[command(disable_help_flag = true)]
    Counts(Passed),
    /// Run the broker in simulated worlds and check the delivery contract: `cargo xtask sim --seeds 2000`, or `--seed S` again.
    #[command(disable_help_flag = true)]
    Sim(Passed),
    /// Kill a broker with -9 again and again and check what it promised: `cargo xtask crash --kills 200`, or `--seed S` again.
    #[command(disable_help_flag = true)]
    Crash(Passed),
    /// Show who imports whom, and fail on circles of imports and on long files.
    #[command(disable_help_flag = true)]
    House(Passed),
    /// Start docker-compose.yml, kill its broker with -9, and check that nothing is lost. It needs a Docker engine.
    ComposeTest,
    /// Look for changes of the inboxes' and sessions' code that no test notices, with cargo-mutants. It takes hours: `--shard 3/20` is a part.
    Mutants(mutants::Arguments),
    /// Have 20 clients, in Rust, Python and JavaScript, write to each other while links are cut and the broker is killed: `--seed S` again.
    Crowd(clients::Arguments),
    /// Cut the power under the store and the broker, and check that what they acknowledged is there: `cargo xtask power --cuts 200`.
    Power(power::Arguments),
    /// Every test of reliability in turn, with new seeds each time, until the time is over.
    Soak(soak::Arguments),
    /// Build the load generator in release mode and run it: `cargo xtask load p2p --port 1883`.
    #[command(disable_help_flag = true)]
    Load(Passed),
}

/// What goes to the program of a task as it is, `--help` included.
#[derive(Debug, clap::Args)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let outcome = Workspace::find().and_then(|workspace| match Arguments::parse().task {
        Task::Test => test::run(&workspace),
        Task::Tools => tools::ensure(&workspace),
        Task::Dashboard => dashboard::build(&workspace),
        Task::Fuzz(arguments) => fuzz::fuzz(&workspace, &arguments),
        Task::Bench(it) => bench(&workspace, &it.arguments),
        Task::Counts(it) => programs::run(&workspace, BENCH, "counts", &it.arguments),
        Task::Load(it) => programs::run(&workspace, BENCH, "load", &it.arguments),
        Task::Sim(it) => programs::run(&workspace, TESTS, "sim", &it.arguments),
        Task::Crash(it) => programs::crash(&workspace, &it.arguments),
        Task::House(it) => programs::house(&workspace, &it.arguments),
        Task::ComposeTest => compose_test(&workspace),
        Task::Mutants(arguments) => mutants::run(&workspace, &arguments),
        Task::Power(arguments) => power::run(&workspace, &arguments),
        Task::Crowd(arguments) => clients::crowd(&workspace, &arguments),
        Task::Soak(arguments) => soak::run(&workspace, &arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The script says what is missing, where something is.
fn compose_test(workspace: &Workspace) -> anyhow::Result<()> {
    steps::run(Command::new("bash").arg(workspace.root.join("deploy/compose/test.sh")))
}

/// The comparison looks for the broker and the load generator beside itself.
fn bench(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    programs::inboxd(workspace)?;
    programs::release(workspace, BENCH, "load")?;
    programs::run(workspace, BENCH, "bench", arguments)
}

/// Where things are.
#[derive(Debug)]
struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    root: PathBuf,
    /// Cargo's target directory.
    target: PathBuf,
}

impl Workspace {
    fn find() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask is not inside a workspace")?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Workspace {
            root: root.to_owned(),
            target,
        })
    }

    /// MQTT.js, which `tools::ensure` installs.
    fn mqttjs(&self) -> PathBuf {
        self.target.join("mqttjs")
    }

    /// Python with Paho and the client of `clients/python`, which it makes, too.
    fn python(&self) -> PathBuf {
        self.target.join("python/bin/python")
    }
}
