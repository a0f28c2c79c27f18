//! The machine, as it describes itself under /proc.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a figure depends on besides the programs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    /// Of the directory that the brokers' data is in.
    pub(crate) file_system: String,
}

impl Machine {
    /// This machine, with the file system that holds `scratch`.
    pub(crate) fn this(scratch: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let scratch = scratch.canonicalize().unwrap_or_else(|_| scratch.to_owned());
        Machine {
            processor: processor(&text("/proc/cpuinfo")),
            processors: processors(),
            memory_gib: memory_gib(&text("/proc/meminfo")),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&text("/proc/self/mounts"), &scratch),
        }
    }
}

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The mean number of runnable processes over the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(f64::NAN)
}

/// Day and minute of a moment in seconds since 1970, in UTC.
pub(crate) fn date(unix_s: u64) -> String {
    // Days are counted in eras of 400 years that begin on 1 March, so that a leap day is the last day of its year.
    let days = unix_s / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute) = (unix_s / 3600 % 24, unix_s / 60 % 60);
    format!("{year}-{month:02}-{day_of_month:02} {hour:02}:{minute:02} UTC")
}

fn processor(cpuinfo: &str) -> String {
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    // Not every architecture names a model.
    field("model name")
        .or_else(|| field("CPU implementer").map(|code| format!("{} (implementer {code})", std::env::consts::ARCH)))
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn memory_gib(meminfo: &str) -> f64 {
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|kib| kib.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0 / 1024.0
}

/// The type of the mount that is nearest to `path`.
fn file_system(mounts: &str, path: &Path) -> String {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(place, _)| path.starts_with(place))
        .max_by_key(|(place, _)| place.len())
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: dates are right around leap days and the ends of years.
    #[test]
    fn dates_are_of_the_calendar() {
        for (unix_s, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_340, "2000-02-28 23:59 UTC"),
            (951_868_799, "2000-02-29 23:59 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_798_761_599, "2026-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(unix_s), text);
        }
    }

    /// Goal: the files under /proc are read by name, and the nearest mount wins.
    #[test]
    fn proc_files_are_read() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: A B 1\n"), "A B 1");
        assert_eq!(memory_gib("MemTotal:       2097152 kB\nMemFree: 1 kB\n"), 2.0);
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /data tmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/data/x")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/database")), "ext4");
        let this = Machine::this(Path::new("/"));
        assert!(this.processors > 0 && this.memory_gib > 0.0 && !this.kernel.is_empty());
    }
}
