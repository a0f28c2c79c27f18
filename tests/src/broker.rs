//! The broker as a process.

use std::io::{BufRead, BufReader, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::DEADLINE;
use crate::programs::program;
use crate::running::{Running, run};
use crate::waiting::wait_until;

/// What the one line on standard output begins with.
const READY: &str = "inboxd ready ";
/// And what is in it before the address of the MQTT listener.
const MQTT: &str = "mqtt=";

/// How a broker is started.
#[derive(Debug, Clone, Default)]
pub struct BrokerOptions {
    /// The configuration file's content, if there is to be one.
    pub config: Option<String>,
    /// Where it listens instead of a free port of 127.0.0.1.
    pub listen: Option<String>,
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
    running: Running,
    port: u16,
    stdout: Arc<Mutex<Vec<String>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
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
        let wanted = format!("{name}=127.0.0.");
        let mut addresses = ready.split(' ').filter_map(|word| word.strip_prefix(&wanted));
        let (_, port) = addresses
            .find_map(|address| address.split_once(':'))
            .unwrap_or_else(|| panic!("there is no listener {name:?} in {ready:?}"));
        port.parse().unwrap()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.running.id()
    }

    /// Standard error up to now, in whole lines: the rest of a record may not have been read yet.
    pub fn stderr(&self) -> String {
        let stderr = self.process.stderr();
        let whole = stderr.rfind('\n').map_or(0, |end| end + 1);
        stderr[..whole].to_owned()
    }

    /// Waits until standard error holds a line with `text`.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("standard error of inboxd says {text:?}"), || {
            self.stderr().contains(text)
        });
    }

    /// Standard output up to now, in lines.
    pub fn stdout(&self) -> Vec<String> {
        self.process.stdout.lock().unwrap().clone()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill9(&mut self) {
        self.process.running.kill();
    }

    /// Sends a signal and does not wait.
    pub fn signal(&self, signal: Signal) {
        self.process.running.signal(signal);
    }

    /// Kills it, without waiting, when what is returned is dropped. For tests whose threads share the broker and go on until it ends: one of them
    /// that panics ends the others, too.
    pub fn kill_on_drop(&self) -> KillOnDrop<'_> {
        KillOnDrop {
            pid: Pid::from_raw(self.pid() as i32).unwrap(),
            _broker: PhantomData,
        }
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
        let ended = self.process.running.ended();
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
        let stderr = self.process.kill();
        if thread::panicking() {
            eprintln!("--- standard error of inboxd (pid {}) ---\n{stderr}---", self.pid());
        }
    }
}

/// What [`Broker::kill_on_drop`] gives.
pub struct KillOnDrop<'a> {
    pid: Pid,
    /// As long as the broker is borrowed nobody waits for its end, and its process id is its own.
    _broker: PhantomData<&'a Broker>,
}

impl KillOnDrop<'_> {
    /// Kills nothing.
    pub fn spare(self) {
        std::mem::forget(self);
    }
}

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        // It fails only when the broker has ended, which is what is wanted.
        let _ = kill_process(self.pid, Signal::KILL);
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
            .args(["--listen", options.listen.as_deref().unwrap_or("127.0.0.1:0"), "--data"])
            .arg(directory.join("data"));
        if options.config.is_some() {
            command.arg("--config").arg(directory.join("inboxd.toml"));
        }
        command
            .args(&options.args)
            .envs(options.env.iter().map(|(k, v)| (k, v)));
        let mut running = Running::piped(command.current_dir(directory));
        let (ready, readiness) = mpsc::channel();
        let (stdout, stderr) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let lines = BufReader::new(running.stdout()).lines();
        let kept = stdout.clone();
        let stdout_reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Kept first: who is told that the broker is ready may ask for the line at once.
                kept.lock().unwrap().push(line.clone());
                // Nobody listens after the first line.
                let _ = ready.send(line);
            }
        });
        let mut log = running.stderr();
        let kept = stderr.clone();
        let stderr_reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = log.read(&mut chunk) {
                kept.lock().unwrap().extend_from_slice(&chunk[..n]);
            }
        });
        let mut process = Process {
            running,
            port: 0,
            stdout,
            stderr,
            readers: vec![stdout_reader, stderr_reader],
        };
        match readiness.recv_timeout(DEADLINE) {
            Ok(line) => {
                let mut listeners = line.strip_prefix(READY).unwrap_or_default().split(' ');
                let port = listeners.find_map(|listener| listener.strip_prefix(MQTT)?.rsplit(':').next()?.parse().ok());
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

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    fn kill(&mut self) -> String {
        self.running.kill();
        self.stderr()
    }

    fn wait(&mut self) -> Exit {
        let Some(status) = self.running.wait_within(DEADLINE) else {
            let log = self.kill();
            panic!("inboxd did not end within {DEADLINE:?}; its standard error: {log}");
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let stdout = self.stdout.lock().unwrap().clone();
        Exit {
            code: status.code(),
            stdout,
            stderr: self.stderr(),
        }
    }
}

/// Runs `inboxd ARGS` to its end; one that does not end within the deadline fails the test.
pub fn run_inboxd(args: &[&str]) -> Output {
    run(inboxd_command().args(args))
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
    // For the engine of ordinary topics that is not the default.
    if let Some(engine) = std::env::var_os("INBOX_TEST_ROUTER") {
        command.env("INBOXD_ROUTER__ENGINE", engine);
    }
    command
}

/// The broker's binary: `INBOX_TEST_BROKER`, or the one in the target directory that this test was built in.
fn inboxd_binary() -> PathBuf {
    program("INBOX_TEST_BROKER", "inboxd", "inboxd")
}
