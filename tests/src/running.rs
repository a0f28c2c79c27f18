//! Programs that run beside a test: none of them outlives it, and none is waited for without an end.

use std::io::{Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::DEADLINE;
use crate::waiting::found_within;

/// A process. Dropping it kills it, also when the test panics.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Its command, for who waits in vain.
    what: String,
}

impl Running {
    /// Starts a command, with the standard input, output and error that it asks for.
    pub fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{what} does not start: {error}"));
        Running { child, what }
    }

    /// Starts a command without standard input, the other two being pipes.
    pub fn piped(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        Running::start(command.stderr(Stdio::piped()))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard input, which is a pipe and is taken once.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input is a pipe")
    }

    /// Standard output, which is a pipe and is taken once.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("standard output is a pipe")
    }

    /// Standard error, which is a pipe and is taken once.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("standard error is a pipe")
    }

    /// Sends a signal and does not wait; a process that has ended is past it.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// SIGKILL, and waits for the end, which may have come before.
    pub fn kill(&mut self) -> ExitStatus {
        // It fails only when the process has ended, which is what is wanted.
        let _ = self.child.kill();
        self.child.wait().expect("it is our child")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits for the end; a process that goes on to live is left alone.
    pub fn wait_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        found_within(patience, || self.ended())
    }

    /// Waits for the end; a process that goes on to live fails the test.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(DEADLINE)
            .unwrap_or_else(|| panic!("{} did not end within {DEADLINE:?}", self.what))
    }

    /// Waits for the end, reading what the pipes still hold.
    pub fn output(self) -> Output {
        self.output_within(DEADLINE)
    }

    fn output_within(mut self, patience: Duration) -> Output {
        let (stdout, stderr) = (read(self.child.stdout.take()), read(self.child.stderr.take()));
        let status = self.wait_within(patience);
        if status.is_none() {
            self.kill();
        }
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        let Some(status) = status else {
            let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
            panic!(
                "{} did not end within {patience:?}; it wrote {out:?} and {err:?}",
                self.what
            );
        };
        Output { status, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command to its end, which must come within [`DEADLINE`].
pub fn run(command: &mut Command) -> Output {
    run_within(DEADLINE, command)
}

/// The same with this on its standard input.
pub fn run_fed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running::start(command.stderr(Stdio::piped()));
    // Whoever ends early does not want it.
    let _ = running.stdin().write_all(input);
    running.output()
}

/// Runs a command to its end; one that takes longer than this is killed and fails the test.
pub fn run_within(patience: Duration, command: &mut Command) -> Output {
    Running::piped(command).output_within(patience)
}

type Reader = JoinHandle<Vec<u8>>;

/// Reads a pipe to its end; one that was taken is empty.
fn read(pipe: Option<impl Read + Send + 'static>) -> Reader {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).unwrap();
        }
        bytes
    })
}
