//! Looks at this machine. Nothing is changed, and nobody notices.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{Access, StatVfsMountFlags, access, statfs, statvfs};
use rustix::process::{Resource, geteuid, getrlimit};

use super::machine::{Directory, Disk, FileState, FileSystem, Keeping, Machine, NamedFile, Port, PortState};
use super::proc_files::{listened_on, locked_by};
use crate::addresses::{overlap, refused};
use crate::config::{Config, meminfo, memory_bytes};
use crate::hardening;
use crate::listening::spots;

/// What says that systemd-timesyncd has reached a time server, and that it runs at all.
const TIMESYNC_DONE: &str = "/run/systemd/timesync/synchronized";
const TIMESYNC: &str = "/run/systemd/timesync";
/// What other programs that keep a clock leave while they run.
const KEEPERS: [&str; 4] = [
    "/run/chrony/chronyd.pid",
    "/run/chronyd.pid",
    "/run/ntpd.pid",
    "/run/openntpd.pid",
];

/// This machine, for a broker with `config`, which comes from the file at `source`.
pub(super) fn machine(config: &Config, source: Option<&Path>) -> Machine {
    let taken: Vec<SocketAddr> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .flat_map(|path| listened_on(&read(path)))
        .collect();
    let ports = spots(config).into_iter().filter(|spot| spot.address.port() != 0);
    Machine {
        user: geteuid().as_raw(),
        now: SystemTime::now(),
        clock: keeping(),
        descriptors: getrlimit(Resource::Nofile).maximum,
        memory: memory_bytes(),
        swap: meminfo(&read("/proc/meminfo"), "SwapTotal"),
        overcommit: number("/proc/sys/vm/overcommit_memory"),
        backlog: number("/proc/sys/net/core/somaxconn"),
        data: directory(&config.data_dir),
        files: files(config, source),
        ports: ports
            .map(|spot| Port {
                state: port_state(spot.address, &taken),
                name: spot.name,
                address: spot.address,
                is_auto: spot.is_auto,
            })
            .collect(),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number(path: &str) -> Option<u64> {
    read(path).trim().parse().ok()
}

fn keeping() -> Keeping {
    if Path::new(TIMESYNC_DONE).exists() || KEEPERS.iter().any(|path| Path::new(path).exists()) {
        return Keeping::Synchronised;
    }
    match Path::new(TIMESYNC).exists() {
        true => Keeping::Waiting,
        false => Keeping::Unseen,
    }
}

fn directory(path: &Path) -> Directory {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = whole.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
    let metadata = fs::metadata(there).ok();
    let lock = fs::metadata(whole.join("lock")).ok();
    Directory {
        path: path.to_owned(),
        exists: there == whole,
        is_directory: metadata.as_ref().is_some_and(fs::Metadata::is_dir),
        owner: metadata.as_ref().map_or(0, MetadataExt::uid),
        mode: metadata.as_ref().map_or(0, MetadataExt::mode),
        is_writable: access(there, Access::WRITE_OK | Access::EXEC_OK).is_ok(),
        used_by: lock.and_then(|lock| locked_by(&read("/proc/locks"), lock.ino())),
        disk: disk(there),
    }
}

fn disk(path: &Path) -> Option<Disk> {
    let (space, system) = (statvfs(path).ok()?, statfs(path).ok()?);
    Some(Disk {
        kind: file_system(system.f_type as u64),
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        is_read_only: space.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// By the numbers of statfs(2).
fn file_system(number: u64) -> FileSystem {
    match number & 0xffff_ffff {
        0xef53 => FileSystem::Local("ext4"),
        0x5846_5342 => FileSystem::Local("XFS"),
        0x9123_683e => FileSystem::Local("Btrfs"),
        0x2fc1_2fc1 => FileSystem::Local("ZFS"),
        0xf2f5_2010 => FileSystem::Local("F2FS"),
        0xca45_1a4e => FileSystem::Local("bcachefs"),
        0x0102_1994 => FileSystem::Memory("tmpfs"),
        0x8584_58f6 => FileSystem::Memory("ramfs"),
        0x6969 => FileSystem::Remote("NFS"),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => FileSystem::Remote("SMB"),
        0x00c3_6400 => FileSystem::Remote("Ceph"),
        0x0102_1997 => FileSystem::Remote("9P"),
        0x5346_414f | 0x6b41_4653 => FileSystem::Remote("AFS"),
        0x6573_5546 => FileSystem::Remote("FUSE"),
        0x794c_7630 => FileSystem::Overlay,
        other => FileSystem::Unknown(other),
    }
}

fn files(config: &Config, source: Option<&Path>) -> Vec<NamedFile> {
    let audit = config.log.audit_file.as_deref();
    let secret = hardening::secrets(config)
        .into_iter()
        .map(|(what, path)| (what, path, true));
    let trusted = hardening::trusted(config, source)
        .into_iter()
        .map(|(what, path)| (what, path, false));
    let mut found: Vec<NamedFile> = Vec::new();
    for (what, path, is_secret) in secret.chain(trusted) {
        // A certificate may serve several listeners.
        if let Some(path) = path.filter(|path| found.iter().all(|file| file.path != *path)) {
            found.push(NamedFile {
                what,
                path: path.to_owned(),
                is_secret,
                is_made: Some(path) == audit,
                state: file_state(path),
            });
        }
    }
    found
}

fn file_state(path: &Path) -> FileState {
    let readable = access(path, Access::READ_OK).map_err(std::io::Error::from);
    match readable.and_then(|()| fs::metadata(path)) {
        Ok(metadata) => FileState::There {
            owner: metadata.uid(),
            mode: metadata.mode(),
        },
        Err(why) => FileState::Unreadable(why.kind()),
    }
}

/// Whether somebody listens there is read, and not tried out: no client is to meet a socket of this process.
fn port_state(address: SocketAddr, taken: &[SocketAddr]) -> PortState {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    if taken.iter().any(|other| overlap(plain(*other), plain(address))) {
        return PortState::Taken;
    }
    match refused(address) {
        Some(why) => PortState::Refused(why.kind()),
        None => PortState::Free,
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_real_machine_is_seen() {
        // Goal: a directory that is not there yet is judged by what is above it; a port that is listened on is taken; a lock is seen.
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().join("a/b"),
            ..Config::default()
        };
        let seen = machine(&config, None);
        assert!(!seen.data.exists && seen.data.is_directory && seen.data.is_writable);
        assert!(seen.data.disk.is_some_and(|disk| disk.free_bytes > 0));
        assert!(seen.memory.is_some() && seen.descriptors.is_some());

        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let taken: Vec<SocketAddr> = listened_on(&read("/proc/net/tcp"));
        assert_eq!(port_state(address, &taken), PortState::Taken);
        assert_eq!(
            port_state("192.0.2.1:1883".parse().unwrap(), &[]),
            PortState::Refused(ErrorKind::AddrNotAvailable)
        );

        let lock = fs::File::create(dir.path().join("lock")).unwrap();
        assert_eq!(directory(dir.path()).used_by, None);
        lock.lock().unwrap();
        assert_eq!(directory(dir.path()).used_by, Some(std::process::id()));
    }

    #[test]
    fn files_are_seen_with_their_mode() {
        // Goal: one that is not there is told from one that is.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert_eq!(file_state(&path), FileState::Unreadable(ErrorKind::NotFound));
        fs::write(&path, "").unwrap();
        assert!(matches!(file_state(&path), FileState::There { .. }));
    }
}
