//! How much memory this process may use at all: the machine's, or less in a container.

use std::fs;
use std::path::{Path, PathBuf};

/// A larger limit of a control group (version 1) means that there is none.
const NO_LIMIT: u64 = 1 << 60;

/// Memory of the machine, or of the control group of this process if that has less, in bytes; `None` where the system does not say.
pub(crate) fn memory_bytes() -> Option<u64> {
    memory_under(Path::new("/"))
}

fn memory_under(root: &Path) -> Option<u64> {
    let machine = fs::read_to_string(root.join("proc/meminfo"))
        .ok()
        .and_then(|text| meminfo(&text, "MemTotal"));
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| group_limit(root, line));
    machine.into_iter().chain(limits).min()
}

/// A line of `/proc/meminfo`, in bytes.
pub(crate) fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// The smallest limit of one line of `/proc/self/cgroup` (`0::/path`, or `4:memory:/path` in version 1) and of the groups above it.
fn group_limit(root: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (mount, file) = match controllers {
        "" if number == "0" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return None,
    };
    let mount = root.join(mount);
    let mut group: PathBuf = path.trim_start_matches('/').into();
    let mut least: Option<u64> = None;
    loop {
        let limit = fs::read_to_string(mount.join(&group).join(file)).ok();
        let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
        least = least.into_iter().chain(limit.filter(|limit| *limit < NO_LIMIT)).min();
        // In a container the path may be the one outside, and the mount itself the group.
        if !group.pop() {
            return least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Goal: without a control group, or with one that has no limit, the machine's memory counts.
    #[test]
    fn the_machines_memory_counts_without_a_limit() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(memory_under(root.path()), None);
        write(root.path(), "proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");
        assert_eq!(memory_under(root.path()), Some(16 << 20));
        write(root.path(), "proc/self/cgroup", "4:cpu,memory:/a\n0::/a\n");
        write(root.path(), "sys/fs/cgroup/a/memory.max", "max\n");
        write(
            root.path(),
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(memory_under(root.path()), Some(16 << 20));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        // Goal: the kB of the kernel are KiB.
        assert_eq!(
            meminfo("MemTotal: 4 kB\nSwapTotal:       2 kB\n", "SwapTotal"),
            Some(2048)
        );
        assert_eq!(meminfo("SwapTotalX: 2 kB\n", "SwapTotal"), None);
    }

    /// Goal: version 2: the smallest limit of the group and of those above it.
    #[test]
    fn the_smallest_limit_of_version_2_counts() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "proc/meminfo", "MemTotal: 16384 kB\n");
        write(root.path(), "proc/self/cgroup", "0::/system.slice/inboxd.service\n");
        write(
            root.path(),
            "sys/fs/cgroup/system.slice/inboxd.service/memory.max",
            "8388608\n",
        );
        assert_eq!(memory_under(root.path()), Some(8 << 20));
        write(root.path(), "sys/fs/cgroup/system.slice/memory.max", "4194304\n");
        assert_eq!(memory_under(root.path()), Some(4 << 20));
    }

    /// Goal: version 1, in a container whose path is the one outside of it.
    #[test]
    fn the_limit_of_version_1_counts_in_a_container() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "proc/meminfo", "MemTotal: 16384 kB\n");
        write(
            root.path(),
            "proc/self/cgroup",
            "5:devices:/x\n4:memory:/docker/0123\n0::/\n",
        );
        write(root.path(), "sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n");
        assert_eq!(memory_under(root.path()), Some(2 << 20));
    }
}
