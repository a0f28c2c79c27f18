//! A broker as a process: started in a fresh directory on a free port, and ended by its process id.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use super::discovery::Launch;
use super::peers::{Gaps, fill};

/// A broker that does not listen after this long has failed.
const START_MAX: Duration = Duration::from_secs(90);
/// An orderly end takes no longer than this.
const END_MAX: Duration = Duration::from_secs(30);
/// What a broker does once it listens is over after this long.
const SETTLE: Duration = Duration::from_millis(500);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Lines of a broker's output that are shown when it does not start.
const SHOWN_LINES: usize = 5;

/// A directory for brokers, emptied before each.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

/// A running broker. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    /// The process that does the work, which a start script may have begun.
    pub(crate) pid: u32,
    pub(crate) port: u16,
    after: Vec<String>,
}

impl Scratch {
    /// In `directory`, which must be for nothing else.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Scratch(directory)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes everything.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        if self.0.exists() {
            fs::remove_dir_all(&self.0).with_context(|| format!("{} could not be emptied", self.0.display()))?;
        }
        Ok(())
    }

    /// Empties it and writes the configuration of `launch`, with free ports.
    pub(crate) fn prepare(&self, launch: &Launch) -> anyhow::Result<Gaps> {
        self.clear()?;
        fs::create_dir_all(&self.0)?;
        let files = &launch.variant.files;
        let gaps = Gaps {
            program: launch.program.clone(),
            dir: self.0.to_string_lossy().into_owned(),
            config: files
                .first()
                .map(|(name, _)| self.0.join(name).to_string_lossy().into_owned())
                .unwrap_or_default(),
            required: launch.required.clone(),
            ports: free_ports()?,
        };
        for (name, text) in files {
            fs::write(self.0.join(name), fill(text, &gaps))?;
        }
        Ok(gaps)
    }
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
        let [port, ..] = gaps.ports;
        let mut broker = Broker {
            pid: child.id(),
            child,
            port,
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
        let [port, ..] = gaps.ports;
        let broker = Broker {
            pid: child.id(),
            child,
            port,
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
        let until = Instant::now() + END_MAX;
        while self.child.try_wait()?.is_none() {
            anyhow::ensure!(
                Instant::now() < until,
                "the broker did not end {END_MAX:?} after SIGTERM"
            );
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> Option<f64> {
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

/// Lets brokers have as many open files as this user may have.
pub(crate) fn raise_open_files() -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).context("the limit of open files could not be raised")
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

/// Ports that nobody uses now. All are taken before any is given back, so that they differ.
pub(crate) fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listen = || TcpListener::bind(("127.0.0.1", 0));
    let listeners = [listen()?, listen()?, listen()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that has ended already is as good as one that ends.
        kill_process(pid, signal).unwrap_or_default();
    }
}

fn rss_kib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The process among `root` and those it began that has the most memory: a start script has little.
fn heaviest(root: u32) -> u32 {
    let weight = |pid: u32| rss_kib(pid).unwrap_or(0.0);
    std::iter::once(root)
        .chain(descendants(root))
        .max_by(|a, b| weight(*a).total_cmp(&weight(*b)))
        .unwrap_or(root)
}

/// The processes that `root` began, and those they began; parents before children.
fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name, in brackets, may hold anything; the parent is the second field after it.
            let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
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
        let until = Instant::now() + Duration::from_secs(10);
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

    /// Goal: ports that are handed out differ.
    #[test]
    fn free_ports_differ() {
        let [a, b, c] = free_ports().unwrap();
        assert!(a != b && b != c && a != c);
    }
}
