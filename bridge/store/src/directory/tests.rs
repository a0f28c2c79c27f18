//! The directory: refused by name and untouched, or ours.

use std::collections::BTreeMap;

use super::*;

const ENGINE: &str = "sled";

/// Every path below `dir` with its contents; the directory's own time of change says whether a name came and went.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (std::time::SystemTime, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = fs::metadata(&path).unwrap();
        let contents = if metadata.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        all.insert(path, (metadata.modified().unwrap(), contents));
    }
    all
}

fn refuse(dir: &Path) -> OpenError {
    let before = snapshot(dir);
    let refusal = DataDirectory::open(dir, ENGINE).unwrap_err();
    assert_eq!(before, snapshot(dir), "a refused directory is left untouched");
    assert!(
        refusal.to_string().contains(&*dir.to_string_lossy()),
        "refused by name: {refusal}"
    );
    refusal
}

fn ready(dir: &Path) {
    let mut directory = DataDirectory::open(dir, ENGINE).unwrap();
    fs::create_dir(directory.engine_dir()).unwrap();
    directory.finish().unwrap();
}

fn edit_manifest(dir: &Path, from: &str, to: &str) {
    let path = dir.join(MANIFEST);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

/// Goal: an absent, an empty and a freshly formatted directory become ours, and stay it.
#[test]
fn a_new_directory_becomes_ours() {
    let parent = tempfile::tempdir().unwrap();
    let deep = parent.path().join("a/b");
    fs::create_dir(parent.path().join("volume")).unwrap();
    fs::create_dir(parent.path().join("volume/lost+found")).unwrap();
    for dir in [deep, parent.path().join("volume")] {
        ready(&dir);
        let directory = DataDirectory::open(&dir, ENGINE).unwrap();
        assert!(!directory.is_new());
        assert!(!dir.join(MANIFEST_NEW).exists());
    }
}

/// Goal: a creation that was killed anywhere is begun again (issue: "crash in the middle of creating").
#[test]
fn an_interrupted_creation_begins_again() {
    let parent = tempfile::tempdir().unwrap();
    let states: [&[&str]; 4] = [
        &["lock"],
        &["lock", MANIFEST_NEW],
        &[MANIFEST_NEW],
        &["lock", MANIFEST_NEW, "sled/db"],
    ];
    for (n, files) in states.into_iter().enumerate() {
        let dir = parent.path().join(n.to_string());
        for file in files {
            let path = dir.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        let directory = DataDirectory::open(&dir, ENGINE).unwrap();
        assert!(directory.is_new());
        assert!(!directory.engine_dir().exists(), "what was half made is made anew");
        drop(directory);
        ready(&dir);
    }
}

/// Goal: what is not ours is refused by name, untouched (docs/storage-format.md).
#[test]
fn a_directory_that_is_not_ours_is_refused_untouched() {
    let parent = tempfile::tempdir().unwrap();
    let fresh = |name: &str| {
        let dir = parent.path().join(name);
        ready(&dir);
        dir
    };

    let format = fresh("format");
    edit_manifest(&format, "format = 3", "format = 4");
    let refusal = refuse(&format);
    assert!(matches!(refusal, OpenError::OtherFormat { found: 4, .. }));
    assert!(
        refusal.to_string().contains("the version of inboxd that wrote it"),
        "{refusal}"
    );
    edit_manifest(&format, "format = 4", "format = 1");
    let refusal = refuse(&format);
    assert!(
        refusal.to_string().contains("`inboxd store convert --from"),
        "{refusal}"
    );

    let program = fresh("program");
    edit_manifest(&program, "\"inboxd\"", "\"mosquitto\"");
    assert!(matches!(refuse(&program), OpenError::Foreign { .. }));

    let engine = fresh("engine");
    edit_manifest(&engine, "\"sled\"", "\"fjall\"");
    assert!(matches!(refuse(&engine), OpenError::OtherEngine { wanted: ENGINE, .. }));

    let broken = fresh("broken");
    fs::write(broken.join(MANIFEST), b"").unwrap();
    assert!(matches!(refuse(&broken), OpenError::Damaged { .. }));

    for file in ["photo.jpg", "sled/db", "lock"] {
        let foreign = parent.path().join("foreign").join(file.replace('/', "-"));
        fs::create_dir_all(foreign.join("sled")).unwrap();
        fs::remove_dir(foreign.join("sled")).unwrap();
        if file.contains('/') {
            fs::create_dir(foreign.join("sled")).unwrap();
        }
        fs::write(foreign.join(file), b"not ours").unwrap();
        assert!(matches!(refuse(&foreign), OpenError::Foreign { .. }), "{file}");
    }

    // Another program's file beside an interrupted creation of ours.
    let mixed = parent.path().join("mixed");
    fs::create_dir_all(mixed.join("sled")).unwrap();
    fs::write(mixed.join(MANIFEST_NEW), b"").unwrap();
    fs::write(mixed.join("photo.jpg"), b"").unwrap();
    assert!(matches!(refuse(&mixed), OpenError::Foreign { .. }));

    let file = parent.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(refuse(&file), OpenError::NotADirectory { .. }));
    let below = DataDirectory::open(&file.join("data"), ENGINE).unwrap_err();
    assert!(matches!(below, OpenError::NotADirectory { .. }));
}

/// Goal: one process at a time.
#[test]
fn a_locked_directory_is_refused_untouched() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    ready(&dir);
    let first = DataDirectory::open(&dir, ENGINE).unwrap();
    assert!(matches!(refuse(&dir), OpenError::Locked { .. }));
    drop(first);
    DataDirectory::open(&dir, ENGINE).unwrap();
}

/// Goal: where nothing can be written, the sentence says so. (Permissions do not bind root, so a lock that cannot be
/// opened and a directory that cannot be made stand in for them.)
#[test]
fn an_unwritable_directory_is_refused_untouched() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    ready(&dir);
    fs::remove_file(dir.join(LOCK)).unwrap();
    fs::create_dir(dir.join(LOCK)).unwrap();
    assert!(matches!(refuse(&dir), OpenError::Unwritable { .. }));
    let nowhere = DataDirectory::open(Path::new("/proc/self/inboxd"), ENGINE).unwrap_err();
    assert!(matches!(nowhere, OpenError::Unwritable { .. }), "{nowhere}");
}
