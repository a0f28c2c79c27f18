//! A broker that may be killed before it is ready.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::ledger::Ledger;
use super::plan::{Plan, Watermark};
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
    child: Child,
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
        if let Watermark::Near(bytes) = plan.watermark {
            let disk = rustix::fs::statvfs(directory).expect("the file system says what is free");
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let min = free.saturating_add_signed(bytes);
            command.env("INBOXD_STORE__DISK_FREE_BYTES_MIN", min.to_string());
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the broker's process can be made");
        let (told, ready) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let stdout = thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(port) = line.rsplit(':').next().and_then(|port| port.parse().ok()) {
                    // Nobody waits for it when the broker is killed while it starts.
                    let _ = told.send(port);
                }
            }
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (mut log, kept) = (child.stderr.take().expect("it is piped"), stderr.clone());
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
            child,
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
        self.signal(Signal::TERM);
    }

    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
        // The signal is sent; its threads stand still when the process says so.
        let path = format!("/proc/{}/stat", self.child.id());
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            let stat = std::fs::read_to_string(&path).unwrap_or_default();
            if stat
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.trim_start().starts_with('T'))
            {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL, and waits for the end, which may have come before.
    pub(super) fn kill9(&mut self) -> End {
        let _ = self.child.kill();
        self.wait(DEADLINE)
    }

    /// Waits for the end; a broker that does not end is killed.
    pub(super) fn wait(&mut self, patience: Duration) -> End {
        let until = Instant::now() + patience;
        let mut status = None;
        while status.is_none() && Instant::now() < until {
            status = self.child.try_wait().expect("it is our child");
            if status.is_none() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let status = status.unwrap_or_else(|| {
            let _ = self.child.kill();
            self.child.wait().expect("it is our child")
        });
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

    fn signal(&self, signal: Signal) {
        // It may be gone; then its end tells.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
    let mut child = command(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the broker's process can be made");
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status.code();
        }
        thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// What `inboxd inbox list` says; an error is said, too.
pub(super) fn inbox_list(directory: &Path) -> String {
    let output = crate::broker::run_with_deadline(inboxd_command().current_dir(directory).args([
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
