//! The machine, as it describes itself under /proc.

use std::fs;
use std::path::Path;

use procfs::{CpuInfo, Current, LoadAverage, Meminfo, MountEntry};
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
        let scratch = scratch.canonicalize().unwrap_or_else(|_| scratch.to_owned());
        let memory = Meminfo::current().map_or(f64::NAN, |memory| memory.mem_total as f64);
        Machine {
            processor: CpuInfo::current().map_or_else(|_| "not known".to_owned(), |info| processor(&info)),
            processors: processors(),
            memory_gib: memory / 1024.0 / 1024.0 / 1024.0,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            file_system: file_system(&procfs::mounts().unwrap_or_default(), &scratch),
        }
    }
}

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The mean number of runnable processes over the last minute.
pub(crate) fn load_average() -> f64 {
    LoadAverage::current().map_or(f64::NAN, |load| f64::from(load.one))
}

/// Day and minute of a moment in seconds since 1970, in UTC.
pub(crate) fn date(unix_s: u64) -> String {
    let moment = i64::try_from(unix_s)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok());
    moment.map_or_else(
        || "not known".to_owned(),
        |moment| moment.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// Not every architecture names a model.
fn processor(info: &CpuInfo) -> String {
    let arch = std::env::consts::ARCH;
    info.model_name(0)
        .map(str::to_owned)
        .or_else(|| {
            Some(format!(
                "{arch} (implementer {})",
                info.get_field(0, "CPU implementer")?
            ))
        })
        .unwrap_or_else(|| arch.to_owned())
}

/// The type of the mount that is nearest to `path`.
fn file_system(mounts: &[MountEntry], path: &Path) -> String {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.fs_file))
        .max_by_key(|mount| mount.fs_file.len())
        .map_or_else(|| "unknown".to_owned(), |mount| mount.fs_vfstype.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

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

    /// Goal: the nearest mount wins, by whole names.
    #[test]
    fn the_nearest_mount_wins() {
        let mount = |place: &str, kind: &str| MountEntry {
            fs_spec: String::new(),
            fs_file: place.to_owned(),
            fs_vfstype: kind.to_owned(),
            fs_mntops: HashMap::new(),
            fs_freq: 0,
            fs_passno: 0,
        };
        let mounts = [mount("/", "ext4"), mount("/data", "tmpfs")];
        assert_eq!(file_system(&mounts, Path::new("/data/x")), "tmpfs");
        assert_eq!(file_system(&mounts, Path::new("/database")), "ext4");
    }

    /// Goal: every field says something about this machine.
    #[test]
    fn this_machine_is_described() {
        let this = Machine::this(Path::new("/"));
        assert!(this.processors > 0 && this.memory_gib > 0.0 && !this.kernel.is_empty());
        assert!(!this.processor.is_empty() && this.file_system != "unknown" && load_average() >= 0.0);
    }
}
