//! The file system itself: what a cut leaves, and what it may not.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use inbox_tests::power::{Disk, Image, Mount, Tree};

/// Enough draws that each outcome of a few operations comes up.
const SEEDS: std::ops::Range<u64> = 0..200;

/// Does `work` on an empty disk, and tells what each of many cuts leaves.
fn images(work: impl Fn(&Path)) -> Vec<Image> {
    let images = SEEDS.map(|seed| {
        let mount = Mount::new(&Disk::new());
        work(mount.path());
        (*mount.disk().cut(seed)).clone()
    });
    images.collect()
}

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

/// Makes `name` durable, with this content.
fn durable(dir: &Path, name: &str, content: &[u8]) {
    fs::write(dir.join(name), content).unwrap();
    sync(&dir.join(name));
    sync(dir);
}

fn names(image: &Image) -> BTreeSet<&str> {
    image.root.keys().map(String::as_str).collect()
}

#[test]
fn programs_see_what_they_did() {
    // Goal: it is a file system: files, directories, renames, removals and locks work, and nothing is cached wrongly.
    let mount = Mount::new(&Disk::new());
    let dir = mount.path().join("a");
    fs::create_dir_all(dir.join("b")).unwrap();
    fs::write(dir.join("one"), b"one").unwrap();
    fs::write(dir.join("two"), b"2").unwrap();
    fs::rename(dir.join("one"), dir.join("two")).unwrap();
    assert_eq!(fs::read(dir.join("two")).unwrap(), b"one");
    let mut file = OpenOptions::new().append(true).open(dir.join("two")).unwrap();
    file.write_all(&[7; 300_000]).unwrap();
    file.set_len(200_000).unwrap();
    assert_eq!(fs::metadata(dir.join("two")).unwrap().len(), 200_000);
    let mut last = [0; 2];
    File::open(dir.join("two"))
        .unwrap()
        .read_exact_at(&mut last, 199_998)
        .unwrap();
    assert_eq!(last, [7, 7]);
    let listed: BTreeSet<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(listed, BTreeSet::from(["b".into(), "two".into()]));
    assert_eq!(fs::remove_dir(&dir).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    let again = File::open(dir.join("two")).unwrap();
    file.lock().unwrap();
    assert!(again.try_lock().is_err(), "a lock keeps others out");
    fs::remove_file(dir.join("two")).unwrap();
    let mut rest = Vec::new();
    (&again).read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 200_000, "an open file outlives its name");
    fs::remove_dir_all(&dir).unwrap();
    assert!(!dir.exists());
}

#[test]
fn what_was_synced_survives() {
    // Goal: content after fsync or fdatasync, and names after their directory's, are in every image.
    for image in images(|dir| {
        fs::create_dir(dir.join("sub")).unwrap();
        sync(dir);
        let sub = dir.join("sub");
        fs::write(sub.join("new"), b"old content").unwrap();
        let file = OpenOptions::new().write(true).open(sub.join("new")).unwrap();
        file.write_all_at(b"NEW", 0).unwrap();
        file.set_len(7).unwrap();
        file.sync_data().unwrap();
        fs::rename(sub.join("new"), sub.join("name")).unwrap();
        sync(&sub);
    }) {
        assert_eq!(image.file("sub/name"), Some(&b"NEW con"[..]));
        assert_eq!(image.file("sub/new"), None);
    }
}

#[test]
fn a_name_needs_its_directory_synced() {
    // Goal: the strict reading of fsync(2): syncing a new file does not keep its name; nor does closing keep anything.
    let images = images(|dir| {
        fs::write(dir.join("synced"), b"content").unwrap();
        sync(&dir.join("synced"));
        fs::create_dir(dir.join("directory")).unwrap();
    });
    assert!(images.iter().any(|image| image.root.is_empty()));
    assert!(
        images
            .iter()
            .any(|image| names(image) == BTreeSet::from(["directory", "synced"]))
    );
    // If the name is there, so is what was synced.
    for image in images.iter().filter(|image| image.get("synced").is_some()) {
        assert_eq!(image.file("synced"), Some(&b"content"[..]));
    }
}

#[test]
fn unsynced_writes_survive_in_any_subset_and_by_sectors() {
    // Goal: of two writes after the last sync each, both, or neither is there, a later one without an earlier one too; within
    // a write any sectors of 512 bytes are, and none is there by half.
    let images = images(|dir| {
        durable(dir, "file", &[0; 2048]);
        let file = OpenOptions::new().write(true).open(dir.join("file")).unwrap();
        file.write_all_at(&[1; 700], 100).unwrap();
        file.write_all_at(&[2; 512], 1024).unwrap();
    });
    let mut seen = BTreeSet::new();
    for image in &images {
        let content = image.file("file").unwrap();
        assert_eq!(content.len(), 2048);
        for sector in [&content[100..512], &content[512..800], &content[1024..1536]] {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
        }
        assert!(
            [&content[..100], &content[800..1024], &content[1536..]]
                .iter()
                .all(|rest| rest.iter().all(|b| *b == 0))
        );
        seen.insert((content[100] == 1, content[512] == 1, content[1024] == 2));
    }
    assert_eq!(seen.len(), 8, "every subset came up: {seen:?}");
}

#[test]
fn a_longer_file_may_be_full_of_zeros() {
    // Goal: the length of a file and what is in it are written apart; and a truncation may be undone.
    let images = images(|dir| {
        durable(dir, "grown", b"");
        durable(dir, "cut", b"content");
        let grown = OpenOptions::new().write(true).open(dir.join("grown")).unwrap();
        grown.write_all_at(&[1; 512], 0).unwrap();
        OpenOptions::new()
            .write(true)
            .open(dir.join("cut"))
            .unwrap()
            .set_len(3)
            .unwrap();
    });
    let contents =
        |name: &str| -> BTreeSet<Vec<u8>> { images.iter().map(|image| image.file(name).unwrap().to_vec()).collect() };
    assert_eq!(contents("grown"), BTreeSet::from([vec![], vec![0; 512], vec![1; 512]]));
    assert_eq!(contents("cut"), BTreeSet::from([b"con".to_vec(), b"content".to_vec()]));
}

#[test]
fn a_rename_is_whole_and_never_loses_the_file() {
    // Goal: the target is the old or the new file, and one of the names is there; the old name may stay.
    let images = images(|dir| {
        durable(dir, "from", b"new");
        durable(dir, "to", b"old");
        fs::rename(dir.join("from"), dir.join("to")).unwrap();
    });
    let outcomes: BTreeSet<_> = images
        .iter()
        .map(|image| (image.file("from"), image.file("to")))
        .collect();
    let (old, new) = (Some(&b"old"[..]), Some(&b"new"[..]));
    assert_eq!(outcomes, BTreeSet::from([(new, old), (new, new), (None, new)]));
}

#[test]
fn a_removal_may_be_undone() {
    // Goal: a removed file is there again until its directory was synced.
    let images = images(|dir| {
        durable(dir, "file", b"content");
        fs::remove_file(dir.join("file")).unwrap();
    });
    let outcomes: BTreeSet<_> = images.iter().map(|image| image.file("file")).collect();
    assert_eq!(outcomes, BTreeSet::from([None, Some(&b"content"[..])]));
}

#[test]
fn a_planned_cut_comes_after_its_operation() {
    // Goal: the image holds nothing that was done after the cut, and the disk works on.
    let mount = Mount::new(&Disk::new());
    durable(mount.path(), "file", b"before");
    mount.disk().cut_after(2, 1);
    let file = OpenOptions::new().write(true).open(mount.path().join("file")).unwrap();
    file.write_all_at(b"B", 0).unwrap();
    assert!(!mount.disk().is_cut());
    file.sync_all().unwrap();
    assert!(mount.disk().is_cut(), "a sync is an operation, too");
    durable(mount.path(), "file", b"after");
    let image = mount.disk().cut(7);
    assert_eq!(image.file("file"), Some(&b"Before"[..]), "there is one cut");
    let next = Mount::new(&Disk::from_image(&image));
    assert_eq!(fs::read(next.path().join("file")).unwrap(), b"Before");
    let plain = tempfile::tempdir().unwrap();
    image.write_to(plain.path()).unwrap();
    assert_eq!(fs::read(plain.path().join("file")).unwrap(), b"Before");
}

#[test]
fn the_same_seed_leaves_the_same() {
    // Goal: a printed seed can be run again (house style 24).
    let work = |dir: &Path| {
        for n in 0..20_u8 {
            durable(dir, &format!("{n}"), &[n; 3000]);
            fs::write(dir.join(format!("{n}")), [n + 100; 3000]).unwrap();
        }
    };
    assert_eq!(images(work)[..20], images(work)[..20]);
}

#[test]
fn a_tree_is_found_by_path() {
    // Goal: the helper of the tests above says "not there" for the right reason.
    let file = |text: &str| Tree::File(text.as_bytes().to_vec());
    let image = Image {
        root: [("dir".to_owned(), Tree::Dir([("file".to_owned(), file("x"))].into()))].into(),
    };
    assert_eq!(image.file("dir/file"), Some(&b"x"[..]));
    assert_eq!(
        (image.file("dir"), image.get("dir/file/x"), image.get("file")),
        (None, None, None)
    );
}
