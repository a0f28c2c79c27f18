//! The broker that is measured, as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use inbox_test_support::net::free_ports;
use inbox_test_support::process::{ended_within, own_memory_kib};
use rustix::process::{Pid, Signal, kill_process};

/// Messages that a session keeps, as [`CONFIG`] says.
pub(crate) const QUEUE_MESSAGES_MAX: u64 = 10_000;
/// No limit is in the way, and what the store's engine caches counts for no session.
const CONFIG: &str = r#"
[mqtt]
queue_messages_max = 10000
queue_bytes_max = "1TiB"
sessions_max = 2000000
[memory]
budget = "16GiB"
[log]
level = "warn"
[http]
listen = "off"
[store]
cache_bytes = "1MiB"
"#;
/// An orderly end takes no longer than this.
const END_MAX: Duration = Duration::from_secs(60);

/// A running broker. Dropping it kills it.
pub(crate) struct Broker {
    child: Child,
    pub(crate) port: u16,
}

impl Broker {
    /// Starts it on the data in `directory`, and tells how long it took to say that it is ready.
    pub(crate) fn start(program: &Path, directory: &Path) -> anyhow::Result<(Self, Duration)> {
        let config = directory.join("inboxd.toml");
        std::fs::write(&config, CONFIG)?;
        let [port] = free_ports()?;
        let began = Instant::now();
        let child = Command::new(program)
            .arg("--config")
            .arg(&config)
            .arg("--data")
            .arg(directory.join("data"))
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let mut broker = Broker { child, port };
        let mut line = String::new();
        if let Some(stdout) = broker.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        anyhow::ensure!(
            line.starts_with("inboxd ready"),
            "inboxd did not get ready; it said {line:?}"
        );
        Ok((broker, began.elapsed()))
    }

    /// Asks it to end, and waits.
    pub(crate) fn terminate(&mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("the broker has a process id")?, Signal::TERM)?;
        anyhow::ensure!(
            ended_within(&mut self.child, END_MAX)?.is_some(),
            "the broker did not end {END_MAX:?} after SIGTERM"
        );
        Ok(())
    }

    /// What it has in memory that it made itself.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<u64> {
        own_memory_kib(self.child.id()).context("the broker runs")
    }

    /// Bytes that it wrote to files since it was started.
    pub(crate) fn written(&self) -> anyhow::Result<u64> {
        let process = procfs::process::Process::new(self.child.id().try_into()?)?;
        // What goes to sockets is sent, and not written.
        Ok(process.io()?.wchar)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap_or_default();
    }
}
