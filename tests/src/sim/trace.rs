//! What happened in a run, for people to read, and a number that is the same only for the same run.

use std::fmt::Arguments;
use std::hash::{DefaultHasher, Hash, Hasher};

/// See the module's documentation.
pub(super) struct Trace {
    lines: Vec<String>,
    hasher: DefaultHasher,
}

impl Trace {
    pub(super) fn new(seed: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        Trace {
            lines: Vec::new(),
            hasher,
        }
    }

    /// `mono` is the time in microseconds.
    pub(super) fn say(&mut self, mono: u64, what: Arguments<'_>) {
        let line = format!("{:>12.6} {what}", mono as f64 / 1e6);
        line.hash(&mut self.hasher);
        self.lines.push(line);
    }

    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(super) fn text(self) -> String {
        self.lines.join("\n")
    }
}
