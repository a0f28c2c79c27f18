//! The broker as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::DEADLINE;

/// What the one line on standard output begins with.
const READY: &str = "inboxd ready ";
/// And what is in it before the port of the MQTT listener.
const MQTT: &str = "mqtt=127.0.0.1:";

/// How a broker is started.
#[derive(Debug, Clone, Default)]
pub struct BrokerOptions {
    /// The configuration file's content, if there is to be one.
    pub config: Option<String>,
    /// More environment.
    pub env: Vec<(String, String)>,
    /// More arguments.
    pub args: Vec<String>,
    /// A shell prefix that ends in `exec "$0" "$@"`, for limits that only a shell can set.
    pub shell: Option<String>,
}

/// How a broker ended.
#[derive(Debug)]
pub struct Exit {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Every line that it wrote to standard output.
    pub stdout: Vec<String>,
    /// Everything that it wrote to standard error.
    pub stderr: String,
}

/// A broker on a port and a data directory of its own. Dropping it kills it.
pub struct Broker {
    options: BrokerOptions,
    /// Holds the configuration and the data directory.
    directory: Arc<TempDir>,
    process: Process,
}

/// One life of a broker.
struct Process {
    child: Child,
    port: u16,
    stdout: Arc<Mutex<Vec<String>>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Broker {
    /// A broker with the defaults.
    pub fn start() -> Self {
        Broker::start_with(BrokerOptions::default())
    }

    /// A broker with this configuration file.
    pub fn with_config(toml: &str) -> Self {
        Broker::start_with(BrokerOptions {
            config: Some(toml.into()),
            ..Default::default()
        })
    }

    /// A broker with these options.
    pub fn start_with(options: BrokerOptions) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        if let Some(config) = &options.config {
            std::fs::write(directory.path().join("inboxd.toml"), config).unwrap();
        }
        let process = Process::start(&options, directory.path());
        Broker {
            options,
            directory,
            process,
        }
    }

    /// A broker with the defaults on the directory of one that has ended.
    pub fn on_the_data_of(ended: &Broker) -> Self {
        let options = BrokerOptions::default();
        let process = Process::start(&options, ended.directory.path());
        Broker {
            options,
            directory: ended.directory.clone(),
            process,
        }
    }

    /// The port of the MQTT listener, of this life.
    pub fn port(&self) -> u16 {
        self.process.port
    }

    /// The port of the listener of this name, of this life.
    pub fn port_of(&self, name: &str) -> u16 {
        let ready = self.stdout().concat();
        let wanted = format!("{name}=127.0.0.1:");
        let mut ports = ready.split(' ').filter_map(|word| word.strip_prefix(&wanted));
        let port = ports
            .next()
            .unwrap_or_else(|| panic!("there is no listener {name:?} in {ready:?}"));
        port.parse().unwrap()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Standard error up to now.
    pub fn stderr(&self) -> String {
        self.process.stderr.lock().unwrap().clone()
    }

    /// Waits until standard error holds `text`.
    pub fn wait_for_log(&self, text: &str) {
        let until = Instant::now() + DEADLINE;
        while !self.stderr().contains(text) {
            assert!(Instant::now() < until, "standard error of inboxd never said {text:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Standard output up to now, in lines.
    pub fn stdout(&self) -> Vec<String> {
        self.process.stdout.lock().unwrap().clone()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill9(&mut self) {
        self.process.child.kill().expect("the broker can be killed");
        self.process.child.wait().unwrap();
    }

    /// Sends a signal and does not wait.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process.child);
        kill_process(pid, signal).expect("the broker can be signalled");
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> Exit {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> Exit {
        self.process.wait()
    }

    /// Starts it again on the same directory, which gives it another port. It must have ended.
    pub fn restart(&mut self) {
        let ended = self.process.child.try_wait().unwrap();
        assert!(ended.is_some(), "end the broker before starting it again");
        self.process = Process::start(&self.options, self.directory.path());
    }

    /// kill -9 and start again.
    pub fn crash_and_restart(&mut self) {
        self.kill9();
        self.restart();
    }

    /// Runs `inboxd ARGS --data DIR` with this broker's directory to its end.
    pub fn run_on_data(&self, args: &[&str]) -> Output {
        let data = self.data();
        let mut all = args.to_vec();
        all.extend(["--data", data.to_str().unwrap()]);
        run_inboxd(&all)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Both fail only when it has ended, which is what is wanted.
        let _ = self.process.child.kill();
        let _ = self.process.child.wait();
        if thread::panicking() {
            eprintln!(
                "--- standard error of inboxd (pid {}) ---\n{}---",
                self.pid(),
                self.stderr()
            );
        }
    }
}

impl Process {
    fn start(options: &BrokerOptions, directory: &Path) -> Self {
        let binary = inboxd_binary();
        let mut command = match &options.shell {
            None => inboxd_command(),
            Some(shell) => {
                let mut command = without_configuration(Command::new("bash"));
                command.args(["-c", shell]).arg(&binary);
                command
            }
        };
        command
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(directory.join("data"));
        if options.config.is_some() {
            command.arg("--config").arg(directory.join("inboxd.toml"));
        }
        command
            .args(&options.args)
            .envs(options.env.iter().map(|(k, v)| (k, v)));
        command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));

        let (ready, readiness) = mpsc::channel();
        let (stdout, stderr) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(String::new())));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kept = stdout.clone();
        let stdout_reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Kept first: who is told that the broker is ready may ask for the line at once.
                kept.lock().unwrap().push(line.clone());
                // Nobody listens after the first line.
                let _ = ready.send(line);
            }
        });
        let mut log = child.stderr.take().unwrap();
        let kept = stderr.clone();
        let stderr_reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = log.read(&mut chunk) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..n]));
            }
        });
        let mut process = Process {
            child,
            port: 0,
            stdout,
            stderr,
            readers: vec![stdout_reader, stderr_reader],
        };
        match readiness.recv_timeout(DEADLINE) {
            Ok(line) => {
                let mut listeners = line.strip_prefix(READY).unwrap_or_default().split(' ');
                let port = listeners.find_map(|listener| listener.strip_prefix(MQTT)?.parse().ok());
                process.port = port.unwrap_or_else(|| panic!("the first line on standard output is {line:?}"));
            }
            Err(RecvTimeoutError::Timeout) => {
                let log = process.kill();
                panic!("inboxd was not ready within {DEADLINE:?}; its standard error: {log}");
            }
            Err(RecvTimeoutError::Disconnected) => {
                let exit = process.wait();
                panic!("inboxd ended before it was ready: {exit:?}");
            }
        }
        process
    }

    fn kill(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stderr.lock().unwrap().clone()
    }

    fn wait(&mut self) -> Exit {
        let Some(status) = wait_with_deadline(&mut self.child) else {
            let log = self.kill();
            panic!("inboxd did not end within {DEADLINE:?}; its standard error: {log}");
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let stdout = self.stdout.lock().unwrap().clone();
        let stderr = self.stderr.lock().unwrap().clone();
        Exit {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

/// Polls, because std has no wait with a deadline.
fn wait_with_deadline(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Runs `inboxd ARGS` to its end; one that does not end within the deadline fails the test.
pub fn run_inboxd(args: &[&str]) -> Output {
    run_with_deadline(inboxd_command().args(args))
}

/// Runs a command to its end; one that does not end within the deadline is killed and fails the test.
pub(crate) fn run_with_deadline(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let stdout = thread::spawn(move || {
        let mut out = Vec::new();
        stdout.read_to_end(&mut out).map(|_| out)
    });
    let stderr = thread::spawn(move || {
        let mut out = Vec::new();
        stderr.read_to_end(&mut out).map(|_| out)
    });
    let status = wait_with_deadline(&mut child);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let (stdout, stderr) = (stdout.join().unwrap().unwrap(), stderr.join().unwrap().unwrap());
    let Some(status) = status else {
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        panic!("{command:?} did not end within {DEADLINE:?}; it wrote {out:?} and {err:?}");
    };
    Output { status, stdout, stderr }
}

/// `inboxd` without arguments, and without configuration in the environment.
pub fn inboxd_command() -> Command {
    without_configuration(Command::new(inboxd_binary()))
}

/// What the machine that tests has set for its own broker must not reach ours.
fn without_configuration(mut command: Command) -> Command {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name == "RUST_LOG" || name.to_string_lossy().starts_with("INBOXD_")) {
        command.env_remove(name);
    }
    command
}

/// The broker's binary: `INBOX_TEST_BROKER`, or the one in the target directory that this test was built in.
fn inboxd_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("INBOX_TEST_BROKER") {
        return path.into();
    }
    // target/PROFILE/deps/it-HASH
    let test = std::env::current_exe().unwrap();
    let profile = test
        .ancestors()
        .find(|dir| dir.join("deps").is_dir())
        .expect("a test lives in a target directory");
    let path = profile.join("inboxd");
    assert!(
        path.is_file(),
        "{} is not there; build it with `cargo build --package inboxd`, or run `cargo xtask test`",
        path.display()
    );
    path
}
