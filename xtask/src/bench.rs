//! `cargo xtask bench`: the figures of the README's kind, on this machine: a release broker in a fresh directory for each workload,
//! and the load generator against it, on loopback.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::Workspace;
use crate::{programs, steps};

/// The workloads, each with the arguments of the load generator.
const WORKLOADS: [&[&str]; 5] = [
    &[
        "p2p",
        "--pairs",
        "100",
        "--window",
        "16",
        "--bytes",
        "256",
        "--seconds",
        "10",
        "--warmup",
        "2",
    ],
    &[
        "p2p",
        "--pairs",
        "100",
        "--window",
        "16",
        "--bytes",
        "256",
        "--seconds",
        "10",
        "--warmup",
        "2",
        "--rate",
        "5000",
    ],
    &[
        "offline",
        "--clients",
        "1000",
        "--messages",
        "200000",
        "--publishers",
        "16",
        "--window",
        "64",
        "--bytes",
        "256",
    ],
    &["replay", "--messages", "200000", "--bytes", "256"],
    &["idle", "--connections", "10000"],
];

/// What the workloads need beyond the defaults: `replay` fills one inbox with 200,000 messages.
const CONFIGURATION: &str = "[inbox]\nmessages_max = 1000000\n[log]\nlevel = \"warn\"\n";

/// Builds both programs and runs every workload.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let inboxd = programs::inboxd(workspace)?;
    let load = programs::release(workspace, "inbox-tests", "load")?;
    let scratch = workspace.target.join("bench");
    for workload in WORKLOADS {
        // What a broken run left behind is ours to remove.
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        fs::create_dir_all(&scratch)?;
        let (mut broker, port) = start(&inboxd, &scratch)?;
        let pid = broker.id().to_string();
        let measured = steps::run(
            Command::new(&load)
                .args(["--port", &port, "--pid", &pid])
                .args(workload),
        );
        broker.kill().context("the broker of the benchmark had ended")?;
        broker.wait()?;
        measured?;
    }
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

/// Starts a broker in `scratch`, and gives it with its port when it is ready.
fn start(inboxd: &Path, scratch: &Path) -> anyhow::Result<(Child, String)> {
    let configuration = scratch.join("inboxd.toml");
    fs::write(&configuration, CONFIGURATION)?;
    let mut broker = Command::new(inboxd)
        .arg("--config")
        .arg(&configuration)
        .arg("--data")
        .arg(scratch.join("data"))
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} could not be started", inboxd.display()))?;
    let mut ready = String::new();
    if let Some(out) = broker.stdout.take() {
        BufReader::new(out).read_line(&mut ready)?;
    }
    let port = ready.trim().rsplit(':').next().unwrap_or_default().to_owned();
    anyhow::ensure!(
        port.parse::<u16>().is_ok(),
        "the broker did not get ready; it said: {ready:?}"
    );
    Ok((broker, port))
}
