//! What Linux knows about a process.

use std::io;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How often it is looked whether a process has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `child` has ended, at most so long; `None`: it has not.
///
/// # Errors
/// The system did not say.
pub fn ended_within(child: &mut Child, most: Duration) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + most;
    loop {
        match child.try_wait()? {
            None if Instant::now() < until => thread::sleep(LOOK_INTERVAL),
            ended => return Ok(ended),
        }
    }
}

/// Resident memory (VmRSS) in KiB; `None` if there is no such process.
pub fn rss_kib(pid: u32) -> Option<u64> {
    Process::new(pid.try_into().ok()?).ok()?.status().ok()?.vmrss
}

/// The part of the resident memory (in KiB) that the process made itself (RssAnon); `None` if there is no such process.
///
/// Pages of its program are not in it: how many of those are resident is up to the system, by what happens to be in the page cache.
/// A system that does not tell them apart gives all that is resident.
pub fn own_memory_kib(pid: u32) -> Option<u64> {
    let status = Process::new(pid.try_into().ok()?).ok()?.status().ok()?;
    status.rssanon.or(status.vmrss)
}

/// Raises the soft limit of open files to the hard limit, and tells that; `None` is no limit.
///
/// # Errors
/// The system did not allow it.
pub fn raise_open_files() -> io::Result<Option<u64>> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit)?;
    Ok(maximum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: this very process has memory, and one that cannot exist has none.
    #[test]
    fn memory_is_that_of_the_process() {
        let before = rss_kib(std::process::id()).unwrap();
        let ballast = vec![1_u8; 64 << 20];
        let after = rss_kib(std::process::id()).unwrap();
        assert!(after > before + 60 * 1024, "{before} KiB, then {after} KiB");
        drop(ballast);
        assert_eq!(rss_kib(i32::MAX as u32), None);
    }

    /// Goal: afterwards the soft limit is the hard one.
    #[test]
    fn the_soft_limit_is_raised() {
        let hard = raise_open_files().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }
}
