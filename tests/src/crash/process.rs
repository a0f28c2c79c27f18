//! A broker that may be killed before it is ready.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::ledger::Ledger;
use super::plan::{Plan, Watermark};
use crate::running::{Running, run};
use crate::waiting::found_within;
use crate::{DEADLINE, inboxd_command};

/// What is kept of the log: with RUST_LOG=trace it is long.
const LOG_BYTES_MAX: usize = 16 * 1024;

/// How a life ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// The end of its log.
    pub(super) stderr: String,
}

/// One process. Dropping it kills it.
pub(super) struct Process {
    running: Running,
    ready: Receiver<u16>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(super) fn start(directory: &Path, plan: &Plan, ledger: &Ledger) -> Self {
        let mut command = command(directory);
        if plan.trace {
            command.env("RUST_LOG", "trace");
        }
        if plan.checkpoints_early {
            command.env("INBOXD_STORE__CHECKPOINT_AFTER", "50ms");
        }
        if let Some(engine) = plan.router {
            command.env("INBOXD_ROUTER__ENGINE", engine);
        }
        if let Watermark::Near(bytes) = plan.watermark {
            let disk = rustix::fs::statvfs(directory).expect("the file system says what is free");
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let min = free.saturating_add_signed(bytes);
            command.env("INBOXD_STORE__DISK_FREE_BYTES_MIN", min.to_string());
        }
        let mut running = Running::piped(&mut command);
        let (told, ready) = mpsc::channel();
        let stdout = BufReader::new(running.stdout());
        let stdout = thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(port) = line.rsplit(':').next().and_then(|port| port.parse().ok()) {
                    // Nobody waits for it when the broker is killed while it starts.
                    let _ = told.send(port);
                }
            }
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (mut log, kept) = (running.stderr(), stderr.clone());
        let stderr_reader = thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(n @ 1..) = log.read(&mut chunk) {
                let mut kept = kept.lock().unwrap();
                kept.extend_from_slice(&chunk[..n]);
                // A panic stays to be found.
                if kept.len() > 2 * LOG_BYTES_MAX && !String::from_utf8_lossy(&kept).contains("panicked at") {
                    let cut = kept.len() - LOG_BYTES_MAX;
                    kept.drain(..cut);
                }
            }
        });
        ledger.process_started();
        Process {
            running,
            ready,
            stderr,
            readers: vec![stdout, stderr_reader],
        }
    }

    /// The port; `None` when it ended, or took too long.
    pub(super) fn wait_until_ready(&self) -> Option<u16> {
        self.ready.recv_timeout(DEADLINE).ok()
    }

    pub(super) fn terminate(&self) {
        self.running.signal(Signal::TERM);
    }

    pub(super) fn stop(&self) {
        self.running.signal(Signal::STOP);
        // The signal is sent; its threads stand still when the process says so. It may be gone; then its end tells.
        let path = format!("/proc/{}/stat", self.running.id());
        let _stopped = found_within(DEADLINE, || {
            let stat = std::fs::read_to_string(&path).unwrap_or_default();
            let state = stat.rsplit(')').next()?;
            state.trim_start().starts_with('T').then_some(())
        });
    }

    pub(super) fn go_on(&self) {
        self.running.signal(Signal::CONT);
    }

    /// SIGKILL, and waits for the end, which may have come before.
    pub(super) fn kill9(&mut self) -> End {
        self.running.kill();
        self.wait(DEADLINE)
    }

    /// Waits for the end; a broker that does not end is killed.
    pub(super) fn wait(&mut self, patience: Duration) -> End {
        let status = self.running.wait_within(patience);
        let status = status.unwrap_or_else(|| self.running.kill());
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader of pipes does not panic");
        }
        let stderr = String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned();
        End {
            code: status.code(),
            signal: status.signal(),
            stderr,
        }
    }
}

fn command(directory: &Path) -> std::process::Command {
    let mut command = inboxd_command();
    command
        .current_dir(directory)
        .args(["--listen", "127.0.0.1:0", "--config", "inboxd.toml", "--data", "data"]);
    command
}

/// Runs another broker on the same directory to its end. One that goes on to live is killed.
pub(super) fn exit_code_of_another(directory: &Path) -> Option<i32> {
    let mut command = command(directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running::start(&mut command)
        .wait_within(DEADLINE)
        .and_then(|status| status.code())
}

/// What `inboxd inbox list` says; an error is said, too.
pub(super) fn inbox_list(directory: &Path) -> String {
    let output = run(inboxd_command().current_dir(directory).args([
        "inbox",
        "list",
        "--config",
        "inboxd.toml",
        "--data",
        "data",
    ]));
    match output.status.success() {
        true => String::from_utf8_lossy(&output.stdout).into_owned(),
        false => format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

/// Every file below `directory` with its size and the time of its last change.
pub(super) fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (u64, Option<SystemTime>)> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().map_while(Result::ok) {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            files.extend(snapshot(&entry.path()));
        }
        files.insert(entry.path(), (metadata.len(), metadata.modified().ok()));
    }
    files
}
