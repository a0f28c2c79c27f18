//! A broker as a process: started in a fresh directory on a free port, and ended by its process id.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use inbox_test_support::net::free_ports;
use inbox_test_support::process::{ended_within, rss_kib};

use crate::launch::{Gaps, Launch, Scratch, fill};

/// A broker that does not listen after this long has failed.
const START_MAX: Duration = Duration::from_secs(90);
/// An orderly end takes no longer than this.
const END_MAX: Duration = Duration::from_secs(30);
/// What a broker does once it listens is over after this long.
const SETTLE: Duration = Duration::from_millis(500);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Lines of a broker's output that are shown when it does not start.
const SHOWN_LINES: usize = 5;

/// A running broker. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    /// The process that does the work, which a start script may have begun.
    pub(crate) pid: u32,
    pub(crate) port: u16,
    /// A free one that its configuration may name.
    pub(crate) second_port: u16,
    after: Vec<String>,
}

impl Broker {
    /// Starts `launch` in an emptied `scratch`, on the processors `cpus` (as taskset names them) or on all, and waits until it listens.
    pub(crate) fn start(launch: &Launch, scratch: &Scratch, cpus: Option<&str>) -> anyhow::Result<Self> {
        let gaps = scratch.prepare(launch)?;
        let output = scratch.path().join("output.log");
        let log = fs::File::create(&output)?;
        let mut command = command(launch, &gaps, cpus)?;
        let child = command
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} could not be started", launch.program))?;
        let [port, second_port, ..] = gaps.ports;
        let mut broker = Broker {
            pid: child.id(),
            child,
            port,
            second_port,
            after: launch.after.iter().map(|word| fill(word, &gaps)).collect(),
        };
        broker.wait_for_port().with_context(|| last_lines(&output))?;
        thread::sleep(SETTLE);
        broker.pid = heaviest(broker.child.id());
        Ok(broker)
    }

    /// Starts inboxd again on the data that `scratch` holds, and tells how long it took to say that it is ready.
    pub(crate) fn restart_inboxd(launch: &Launch, scratch: &Scratch) -> anyhow::Result<(Self, Duration)> {
        let file = launch.variant.files.first().context("inboxd has a configuration")?;
        let gaps = Gaps {
            program: launch.program.clone(),
            dir: scratch.path().to_string_lossy().into_owned(),
            config: scratch.path().join(&file.0).to_string_lossy().into_owned(),
            ports: free_ports()?,
            ..Default::default()
        };
        let mut command = command(launch, &gaps, None)?;
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let took = began.elapsed();
        let [port, second_port, ..] = gaps.ports;
        let broker = Broker {
            pid: child.id(),
            child,
            port,
            second_port,
            after: vec![],
        };
        anyhow::ensure!(
            line.starts_with("inboxd ready"),
            "inboxd did not get ready; it said {line:?}"
        );
        Ok((broker, took))
    }

    /// Asks it to end, and waits.
    pub(crate) fn terminate(mut self) -> anyhow::Result<()> {
        signal(self.pid, Signal::TERM);
        anyhow::ensure!(
            ended_within(&mut self.child, END_MAX)?.is_some(),
            "the broker did not end {END_MAX:?} after SIGTERM"
        );
        Ok(())
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> Option<u64> {
        rss_kib(self.pid)
    }

    fn wait_for_port(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + START_MAX;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the broker ended with {status}");
            }
            anyhow::ensure!(Instant::now() < until, "the broker did not listen after {START_MAX:?}");
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Children first, or they would no longer be found as such.
        for pid in descendants(self.child.id()).into_iter().rev() {
            signal(pid, Signal::KILL);
        }
        // It may have ended already; either way there is nothing left to be done about it here.
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap_or_default();
        if let Some((program, arguments)) = self.after.split_first() {
            let quiet = Command::new(program)
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            drop(quiet);
        }
    }
}

fn command(launch: &Launch, gaps: &Gaps, cpus: Option<&str>) -> anyhow::Result<Command> {
    let pinned = cpus.map(|cpus| vec!["taskset".to_owned(), "-c".to_owned(), cpus.to_owned()]);
    let words = launch.command.iter().map(|word| fill(word, gaps));
    let words: Vec<String> = pinned.unwrap_or_default().into_iter().chain(words).collect();
    let (program, arguments) = words.split_first().context("a broker has a start command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    command.envs(launch.environment.iter().map(|(key, value)| (key, fill(value, gaps))));
    Ok(command)
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that has ended already is as good as one that ends.
        kill_process(pid, signal).unwrap_or_default();
    }
}

/// The process among `root` and those it began that has the most memory: a start script has little.
fn heaviest(root: u32) -> u32 {
    std::iter::once(root)
        .chain(descendants(root))
        .max_by_key(|&pid| rss_kib(pid).unwrap_or(0))
        .unwrap_or(root)
}

/// The processes that `root` began, and those they began; parents before children.
fn descendants(root: u32) -> Vec<u32> {
    // A process that ends meanwhile has no parent to tell.
    let parents: Vec<(u32, u32)> = procfs::process::all_processes()
        .into_iter()
        .flatten()
        .filter_map(|process| process.ok()?.stat().ok())
        .filter_map(|stat| Some((stat.pid.try_into().ok()?, stat.ppid.try_into().ok()?)))
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(
            parents
                .iter()
                .filter(|it| it.1 == parent && it.0 != root)
                .map(|it| it.0),
        );
        at += 1;
    }
    found.split_off(1)
}

fn last_lines(file: &Path) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.iter().skip(lines.len().saturating_sub(SHOWN_LINES));
    format!("its last words: {}", shown.copied().collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what a start script began is found, so that it is measured and ended; nothing else is.
    #[test]
    fn children_are_found() {
        let mut script = Command::new("sh").args(["-c", "sleep 30 & wait"]).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while descendants(script.id()).is_empty() {
            assert!(Instant::now() < until);
            thread::sleep(LOOK_INTERVAL);
        }
        let children = descendants(script.id());
        assert_eq!(children.len(), 1);
        signal(children[0], Signal::KILL);
        assert!(script.wait().unwrap().success());
        assert_eq!(descendants(script.id()), Vec::<u32>::new());
    }
}
