//! People with `inbox` and a home of their own.

use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use inbox_tests::{Running, inbox_command, run, run_fed, wait_for};
use tempfile::TempDir;

/// Somebody who uses `inbox`.
pub(crate) struct Person {
    name: &'static str,
    home: TempDir,
}

/// A command that runs, and its lines.
pub(crate) struct Talk {
    pub(crate) running: Running,
    input: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Person {
    pub(crate) fn new(name: &'static str) -> Self {
        Person {
            name,
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// `inbox ARGS` with the broker at this port.
    pub(crate) fn command(&self, port: u16, args: &[&str]) -> Command {
        let mut command = inbox_command(self.home.path());
        command.env("INBOX_ID", self.name);
        command.env("INBOX_URL", format!("mqtt://127.0.0.1:{port}")).args(args);
        command
    }

    pub(crate) fn inbox(&self, port: u16, args: &[&str]) -> Output {
        run(&mut self.command(port, args))
    }

    pub(crate) fn fed(&self, port: u16, args: &[&str], input: &[u8]) -> Output {
        run_fed(&mut self.command(port, args), input)
    }

    /// Starts it, with pipes.
    pub(crate) fn start(&self, port: u16, args: &[&str]) -> Talk {
        let mut command = self.command(port, args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start(command.stderr(Stdio::inherit()));
        let input = Some(running.stdin());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (out, kept) = (BufReader::new(running.stdout()), lines.clone());
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Talk { running, input, lines }
    }
}

impl Talk {
    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends the input.
    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    /// Waits for a line with this in it, after so many others; gives the number of the next one.
    pub(crate) fn wait(&self, text: &str, after: usize) -> usize {
        let found = || self.lines().iter().skip(after).position(|line| line.contains(text));
        let waited = catch_unwind(AssertUnwindSafe(|| wait_for(&format!("a line with {text:?}"), found)));
        // What there was meanwhile says why.
        let at = waited.unwrap_or_else(|_| panic!("no line with {text:?} in {:?}", self.lines()));
        after + at + 1
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

/// The exit code, and what it wrote.
pub(crate) fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
