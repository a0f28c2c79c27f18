//! What a crash leaves of files and names.

use super::*;

fn disk() -> SimDisk {
    SimDisk::new(&[Path::new("/d")])
}

fn path(name: &str) -> PathBuf {
    Path::new("/d").join(name)
}

/// Goal: what was synced, with its name, is there after every crash, and what was not is there in some; the file may be longer without
/// what was written there.
#[test]
fn what_is_synced_is_kept_and_nothing_else_is_sure() {
    let mut seen = [0; 5];
    for seed in 0..200 {
        let disk = disk();
        let file = disk.open(&path("a"), Opening::Emptied).unwrap();
        file.write_at(&[1; 2000], 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_at(&[2; 2000], 2000).unwrap();
        let unsynced = disk.open(&path("b"), Opening::Emptied).unwrap();
        unsynced.write_at(&[3; 10], 0).unwrap();
        unsynced.sync().unwrap();
        disk.restart(seed);
        let a = disk.read(&path("a")).unwrap();
        assert_eq!(a[..2000], [1; 2000], "seed {seed}");
        seen[0] += usize::from(a.len() == 2000);
        seen[1] += usize::from(a.len() == 4000 && a[2000..] == [2; 2000]);
        seen[2] += usize::from(a.len() > 2000 && a[2000..] != [2; 2000]);
        seen[3] += usize::from(disk.read(&path("b")).is_err());
        seen[4] += usize::from(a.len() == 4000 && a.ends_with(&[0; 9]));
        assert!(file.write_at(&[9], 0).is_err(), "it is of another life");
    }
    assert!(seen.iter().all(|&times| (20..180).contains(&times)), "{seen:?}");
}

/// Goal: the power goes off at the operation that it was planned for, and nothing works then.
#[test]
fn the_power_goes_off_when_it_is_planned() {
    let disk = disk();
    disk.power_off_after(2);
    let file = disk.open(&path("a"), Opening::Kept).unwrap();
    file.write_at(b"x", 0).unwrap();
    assert!(file.sync().is_err());
    assert!(disk.list(Path::new("/d")).is_err());
    disk.restart(0);
    assert!(disk.list(Path::new("/d")).is_ok());
}
