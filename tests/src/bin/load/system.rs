//! What the operating system knows: processor time, resident memory, the limit of open files. Linux only.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that this program needs besides its connections.
const OTHER_FILES: u64 = 32;
/// Microseconds in a tick of /proc/PID/stat: Linux reports 100 ticks a second on every architecture that runs brokers.
const TICK_US: u64 = 10_000;

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

    fn cpu(self) -> Option<CpuTime> {
        cpu_time(&fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?)
    }

    fn lone_threads_ns(self) -> BTreeMap<String, u64> {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid)) else {
            return BTreeMap::new();
        };
        // A thread that ends meanwhile has no files any more.
        lone(threads.flatten().filter_map(|thread| {
            let name = fs::read_to_string(thread.path().join("comm")).ok()?;
            let ns = scheduled_ns(&fs::read_to_string(thread.path().join("schedstat")).ok()?)?;
            Some((name.trim().to_owned(), ns))
        }))
    }

    /// Resident memory (VmRSS) in KiB.
    pub(crate) fn rss_kib(self) -> Option<u64> {
        rss_kib(&fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?)
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
    let maximum = getrlimit(Resource::Nofile).maximum;
    if let Some(limit) = maximum.filter(|&limit| limit < needed) {
        return Err(SystemError::TooFewFiles { needed, limit });
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .map_err(|e| SystemError::Raise(e.into()))
}

/// utime and stime of /proc/PID/stat. The second field is a name in brackets that may itself hold brackets and spaces.
fn cpu_time(stat: &str) -> Option<CpuTime> {
    let mut ticks = stat
        .rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .skip(11)
        .map(|field| field.parse::<u64>().ok());
    Some(CpuTime {
        user_us: ticks.next()?? * TICK_US,
        system_us: ticks.next()?? * TICK_US,
    })
}

/// What the scheduler counted for a thread, the first field of its schedstat.
fn scheduled_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
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

fn rss_kib(status: &str) -> Option<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the fields of /proc are found by their place, whatever the process calls itself (proc(5)).
    #[test]
    fn proc_files_are_read() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 310 0 0 0 70 8 0 0 20 0 5 0 100 200 300";
        assert_eq!(
            cpu_time(stat),
            Some(CpuTime {
                user_us: 700_000,
                system_us: 80_000
            })
        );
        assert_eq!(rss_kib("Name:\tx\nVmRSS:\t  1234 kB\nThreads:\t1\n"), Some(1234));
        assert_eq!((cpu_time("12 (a"), rss_kib("Name:\tx\n")), (None, None));
    }

    /// Goal: only work that one thread does alone is reported as such; a pool's threads, which share a name, are not.
    #[test]
    fn threads_of_a_pool_are_not_alone() {
        let threads = [("commit", 7), ("worker", 5), ("worker", 6)].map(|(name, ns)| (name.to_owned(), ns));
        assert_eq!(lone(threads.into_iter()), BTreeMap::from([("commit".to_owned(), 7)]));
        assert_eq!((scheduled_ns("1234 5 6\n"), scheduled_ns("")), (Some(1234), None));
    }

    /// Goal: this very process can be measured, and one that cannot exist is refused by a sentence.
    #[test]
    fn processes_are_measured() {
        let own = Process::new(std::process::id()).unwrap();
        let usage = Usage::now(Some(own));
        assert!(usage.broker_rss_kib.unwrap() > 0 && usage.broker_cpu.is_some() && usage.own_cpu.is_some());
        assert!(Process::new(u32::MAX).unwrap_err().to_string().contains("--pid"));
    }
}
