//! What the operating system knows: processor time, resident memory, the limit of open files. Linux only.

use std::collections::BTreeMap;

use inbox_test_support::process;
use procfs::process::Stat;

/// Files that this program needs besides its connections.
const OTHER_FILES: u64 = 32;

/// The broker's process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pid: u32,
}

/// Why the operating system could not be asked, or said no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SystemError {
    /// There is no such process, or it is not ours to look at.
    #[error("cannot read /proc/{0}: give --pid the process id of the running broker")]
    NoProcess(u32),
    /// The hard limit of open files is too low.
    #[error(
        "{needed} open files are needed but the hard limit is {limit}: ask for fewer connections or raise `ulimit -Hn`"
    )]
    TooFewFiles {
        /// Connections and what else is open.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// The soft limit could not be raised.
    #[error("cannot raise the soft limit of open files: {0}")]
    Raise(std::io::Error),
}

/// Processor time of a process in microseconds. The kernel counts it in steps of ten milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// In its own code.
    pub(crate) user_us: u64,
    /// In the kernel: for a broker, and for this program, mostly TCP.
    pub(crate) system_us: u64,
}

/// Processor time and memory at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    /// Processor time of this program.
    pub(crate) own_cpu: Option<CpuTime>,
    /// Processor time of the broker, if its process is known.
    pub(crate) broker_cpu: Option<CpuTime>,
    /// Resident memory of the broker in KiB, if its process is known.
    pub(crate) broker_rss_kib: Option<u64>,
    /// Processor time in nanoseconds of those threads of the broker that share their name with no other: what such a thread
    /// does is not spread over more processors.
    pub(crate) broker_lone_threads_ns: BTreeMap<String, u64>,
}

impl Process {
    /// The process `pid`, which must exist.
    pub(crate) fn new(pid: u32) -> Result<Self, SystemError> {
        let process = Process { pid };
        process.rss_kib().map(|_| process).ok_or(SystemError::NoProcess(pid))
    }

    fn open(self) -> Option<procfs::process::Process> {
        procfs::process::Process::new(self.pid.try_into().ok()?).ok()
    }

    fn cpu(self) -> Option<CpuTime> {
        Some(cpu_time(&self.open()?.stat().ok()?))
    }

    fn lone_threads_ns(self) -> BTreeMap<String, u64> {
        let threads = self.open().and_then(|process| process.tasks().ok());
        // A thread that ends meanwhile has no files any more.
        lone(threads.into_iter().flatten().filter_map(|thread| {
            let thread = thread.ok()?;
            Some((thread.stat().ok()?.comm, thread.schedstat().ok()?.sum_exec_runtime))
        }))
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(self) -> Option<u64> {
        process::rss_kib(self.pid)
    }
}

impl CpuTime {
    /// What was used since `before`.
    pub(crate) fn since(self, before: CpuTime) -> CpuTime {
        CpuTime {
            user_us: self.user_us.saturating_sub(before.user_us),
            system_us: self.system_us.saturating_sub(before.system_us),
        }
    }
}

impl Usage {
    /// What this program and `broker` have used up to now.
    pub(crate) fn now(broker: Option<Process>) -> Self {
        let own = Process {
            pid: std::process::id(),
        };
        Usage {
            own_cpu: own.cpu(),
            broker_cpu: broker.and_then(Process::cpu),
            broker_rss_kib: broker.and_then(Process::rss_kib),
            broker_lone_threads_ns: broker.map(Process::lone_threads_ns).unwrap_or_default(),
        }
    }
}

/// Raises the soft limit of open files to the hard limit, which must be enough for `connections`.
pub(crate) fn raise_open_files(connections: usize) -> Result<(), SystemError> {
    let needed = connections as u64 + OTHER_FILES;
    let limit = process::raise_open_files().map_err(SystemError::Raise)?;
    match limit {
        Some(limit) if limit < needed => Err(SystemError::TooFewFiles { needed, limit }),
        _ => Ok(()),
    }
}

fn cpu_time(stat: &Stat) -> CpuTime {
    let us = |ticks: u64| ticks * 1_000_000 / procfs::ticks_per_second();
    CpuTime {
        user_us: us(stat.utime),
        system_us: us(stat.stime),
    }
}

/// The threads whose name no other has.
fn lone(threads: impl Iterator<Item = (String, u64)>) -> BTreeMap<String, u64> {
    let mut by_name: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (name, ns) in threads {
        by_name.entry(name).or_default().push(ns);
    }
    by_name
        .into_iter()
        .filter_map(|(name, ns)| <[u64; 1]>::try_from(ns).ok().map(|[ns]| (name, ns)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: only work that one thread does alone is reported as such; a pool's threads, which share a name, are not.
    #[test]
    fn threads_of_a_pool_are_not_alone() {
        let threads = [("commit", 7), ("worker", 5), ("worker", 6)].map(|(name, ns)| (name.to_owned(), ns));
        assert_eq!(lone(threads.into_iter()), BTreeMap::from([("commit".to_owned(), 7)]));
    }

    /// Goal: this very process can be measured, and one that cannot exist is refused by a sentence.
    #[test]
    fn processes_are_measured() {
        let own = Process::new(std::process::id()).unwrap();
        let usage = Usage::now(Some(own));
        assert!(usage.broker_rss_kib.unwrap() > 0 && usage.broker_cpu.is_some() && usage.own_cpu.is_some());
        let threads = own.lone_threads_ns();
        assert!(threads.values().any(|&ns| ns > 0), "{threads:?}");
        assert!(Process::new(u32::MAX).unwrap_err().to_string().contains("--pid"));
    }
}
