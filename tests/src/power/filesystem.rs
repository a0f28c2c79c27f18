//! FUSE requests, put to the [`Disk`]. No other file but `mount.rs` names the crate `fuser`.
//!
//! Every file is opened for direct I/O and nothing may be cached, so each read and write of a program is a request to
//! the disk at the moment when it happens. (Shared memory mappings do not work so; nothing here needs them.)

use std::ffi::OsStr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::disk::{Disk, DiskError, Stat};

/// Nothing that the kernel was told is true any longer than that.
const NOT_CACHED: Duration = Duration::ZERO;
/// Without a request at every close, a test that is killed leaves no process waiting for an answer from itself.
const OPENED: FopenFlags = FopenFlags::FOPEN_DIRECT_IO.union(FopenFlags::FOPEN_NOFLUSH);
const BLOCK_BYTES: u32 = 4096;
const DISK_BYTES: u64 = 1 << 40;

#[derive(Debug)]
pub(super) struct PowerFilesystem(pub(super) Disk);

/// Answers a request that has nothing to tell but whether it was done.
fn answer(reply: ReplyEmpty, done: Result<(), DiskError>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

fn entry(reply: ReplyEntry, found: Result<Stat, DiskError>) {
    match found {
        Ok(stat) => reply.entry(&NOT_CACHED, &attributes(stat), Generation(0)),
        Err(error) => reply.error(errno(error)),
    }
}

/// Names that are not UTF-8 are not there, and cannot be made.
fn text(name: &OsStr) -> &str {
    name.to_str().unwrap_or_default()
}

impl PowerFilesystem {
    /// A slow sync answers from a thread of its own: other requests go on.
    fn sync(&self, ino: INodeNo, reply: ReplyEmpty) {
        if self.0.sync_delay_after(Duration::ZERO).is_zero() {
            return answer(reply, self.0.sync(ino.0));
        }
        let disk = self.0.clone();
        thread::spawn(move || {
            let asked = Instant::now();
            while let Some(left) = Some(disk.sync_delay_after(asked.elapsed())).filter(|left| !left.is_zero()) {
                // In short steps, so that the switch can end it.
                thread::sleep(left.min(Duration::from_millis(5)));
            }
            answer(reply, disk.sync(ino.0));
        });
    }
}

impl Filesystem for PowerFilesystem {
    fn lookup(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.0.lookup(dir.0, text(name)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.stat(ino.0) {
            Ok(stat) => reply.attr(&NOT_CACHED, &attributes(stat)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let resized = size.map_or(Ok(()), |bytes| self.0.resize(ino.0, bytes));
        match resized.and_then(|()| self.0.stat(ino.0)) {
            Ok(stat) => reply.attr(&NOT_CACHED, &attributes(stat)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn mkdir(&self, _: &Request, dir: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        entry(reply, self.0.create_dir(dir.0, text(name)));
    }

    fn unlink(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.0.remove(dir.0, text(name)));
    }

    fn rmdir(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.0.remove_dir(dir.0, text(name)));
    }

    fn rename(
        &self,
        _: &Request,
        dir: INodeNo,
        name: &OsStr,
        new_dir: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        match flags.is_empty() {
            true => answer(reply, self.0.rename((dir.0, text(name)), (new_dir.0, text(new_name)))),
            false => reply.error(Errno::EINVAL),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), OPENED);
    }

    fn create(
        &self,
        _: &Request,
        dir: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.0.create(dir.0, text(name)) {
            Ok(stat) => reply.created(&NOT_CACHED, &attributes(stat), Generation(0), FileHandle(0), OPENED),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.read(ino.0, offset, size as usize) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.write(ino.0, offset, data) {
            Ok(written) => reply.written(written as u32),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Closing a file promises nothing.
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.sync(ino, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.sync(ino, reply);
    }

    fn readdir(&self, _: &Request, dir: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let names = match self.0.list(dir.0) {
            Ok(names) => names,
            Err(error) => return reply.error(errno(error)),
        };
        let dots = [".", ".."].map(|dot| (dot.to_owned(), FileType::Directory, dir));
        let names = names
            .into_iter()
            .map(|(name, stat)| (name, kind(stat), INodeNo(stat.ino)));
        for (next, (name, kind, ino)) in (1..).zip(dots.into_iter().chain(names)).skip(offset as usize) {
            if reply.add(ino, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let left = self.0.bytes_left().unwrap_or(DISK_BYTES) / u64::from(BLOCK_BYTES);
        let all = DISK_BYTES / u64::from(BLOCK_BYTES);
        reply.statfs(all, left, left, 1 << 20, 1 << 20, BLOCK_BYTES, 255, BLOCK_BYTES);
    }
}

fn kind(stat: Stat) -> FileType {
    match stat.is_dir {
        true => FileType::Directory,
        false => FileType::RegularFile,
    }
}

fn attributes(stat: Stat) -> FileAttr {
    FileAttr {
        ino: INodeNo(stat.ino),
        size: stat.bytes,
        blocks: stat.bytes.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: kind(stat),
        perm: 0o777,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

fn errno(error: DiskError) -> Errno {
    match error {
        DiskError::NotFound => Errno::ENOENT,
        DiskError::Exists => Errno::EEXIST,
        DiskError::NotADirectory => Errno::ENOTDIR,
        DiskError::IsADirectory => Errno::EISDIR,
        DiskError::NotEmpty => Errno::ENOTEMPTY,
        DiskError::BetweenDirectories => Errno::EXDEV,
        DiskError::NoSpace => Errno::ENOSPC,
        DiskError::ReadOnly => Errno::EROFS,
        DiskError::Failed => Errno::EIO,
    }
}
