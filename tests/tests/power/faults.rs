//! The switches that make the disk fail, which the tests of disk trouble use.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use inbox_tests::power::{Disk, Mount};

#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    // Goal: the n-th sync fails with EIO, and what it dropped stays lost though a later sync returns well, as on Linux.
    let mut lost = 0;
    for seed in 0..20 {
        let mount = Mount::new(&Disk::new());
        let path = mount.path().join("file");
        fs::write(&path, b"old").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        mount.disk().fail_sync(3, seed);
        file.sync_all().unwrap();
        File::open(mount.path()).unwrap().sync_all().unwrap();
        file.write_all_at(b"new", 0).unwrap();
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(libc::EIO));
        file.sync_data().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new", "programs still see it");
        let image = mount.disk().cut(seed);
        lost += usize::from(image.file("file") == Some(b"old"));
    }
    assert!((1..20).contains(&lost), "lost in {lost} of 20");
}

#[test]
fn a_full_disk_takes_what_fits() {
    // Goal: ENOSPC after n bytes, the last write being short, and statfs tells what is left.
    let mount = Mount::new(&Disk::new());
    let mut file = File::create(mount.path().join("file")).unwrap();
    mount.disk().limit_writes(Some(10_000));
    file.write_all(&[1; 8000]).unwrap();
    assert_eq!(file.write_all(&[2; 8000]).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.metadata().unwrap().len(), 10_000);
    let disk = rustix::fs::statvfs(mount.path()).unwrap();
    assert_eq!(disk.f_bavail, 0);
    mount.disk().limit_writes(None);
    file.write_all(&[3; 8000]).unwrap();
}

#[test]
fn a_read_only_disk_refuses_every_change() {
    // Goal: EROFS from now on, also for files that are open for writing; reading goes on.
    let mount = Mount::new(&Disk::new());
    let path = mount.path().join("file");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"content").unwrap();
    mount.disk().set_read_only(true);
    assert_eq!(
        file.write_all(b"more").unwrap_err().kind(),
        ErrorKind::ReadOnlyFilesystem
    );
    assert_eq!(
        fs::remove_file(&path).unwrap_err().kind(),
        ErrorKind::ReadOnlyFilesystem
    );
    assert_eq!(
        fs::write(mount.path().join("other"), b"").unwrap_err().kind(),
        ErrorKind::ReadOnlyFilesystem
    );
    assert_eq!(fs::read(&path).unwrap(), b"content");
    mount.disk().set_read_only(false);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_slow_sync_holds_nobody_else_up_and_keeps_nothing_before_it_ends() {
    // Goal: while a sync takes its time, other files are read and written, and a cut finds its file not synced.
    let mount = Mount::new(&Disk::new());
    let file = File::create(mount.path().join("file")).unwrap();
    let other = mount.path().join("other");
    File::open(mount.path()).unwrap().sync_all().unwrap();
    file.write_all_at(b"content", 0).unwrap();
    mount.disk().delay_syncs(Duration::from_secs(3600));
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync_data().unwrap());
        fs::write(&other, b"meanwhile").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"meanwhile");
        assert!(!syncing.is_finished());
        mount.disk().delay_syncs(Duration::ZERO);
    });
    // The sync has ended, so this is in every image; the other file is not in all.
    let image = mount.disk().cut(1);
    assert_eq!(image.file("file"), Some(&b"content"[..]));

    let mount = Mount::new(&Disk::new());
    let file = File::create(mount.path().join("file")).unwrap();
    mount.disk().delay_syncs(Duration::from_secs(3600));
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync_data().unwrap());
        assert_eq!(mount.disk().cut(1).file("file").map(<[u8]>::len).unwrap_or_default(), 0);
        assert!(!syncing.is_finished());
        mount.disk().delay_syncs(Duration::ZERO);
    });
}
