//! Tests of backups as files.

use inbox_bridge::MemoryStore;

use super::*;

fn save_quietly(file: &Path, force: bool, source: Source<'_>) -> Result<(), BackupCommandError> {
    save(file, force, source, &mut io::sink())
}

fn good(out: &mut dyn Write) -> Result<(), BackupCommandError> {
    of_store(&MemoryStore::new(), out, &mut io::sink())
}

/// Goal: a file gets its name when it is whole, for its owner alone, and what has the name stays unless that is asked for.
#[test]
fn a_backup_has_its_name_when_it_is_whole() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("b");
    save_quietly(&file, false, &mut good).unwrap();
    let first = fs::read(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = save_quietly(&file, false, &mut good).unwrap_err();
    assert!(matches!(again, BackupCommandError::Exists(_)) && again.exit() == Exit::Failed);
    save_quietly(&file, true, &mut good).unwrap();
    verify(&file, &mut io::sink()).unwrap();
    let full = |_: &mut dyn Write| Err(BackupError::Write(ErrorKind::StorageFull.into()).into());
    let cut = |out: &mut dyn Write| {
        out.write_all(&first[..first.len() - 1])
            .map_err(|why| BackupError::Write(why).into())
    };
    let sources: [Source<'_>; 2] = [&mut { full }, &mut { cut }];
    for source in sources {
        let error = save_quietly(&file, true, source).unwrap_err();
        assert_eq!(error.exit(), Exit::StoreFailed, "{error}");
        verify(&file, &mut io::sink()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half is left");
    }
}

/// Goal: what is no backup is unusable data, and what is not there is told with its name.
#[test]
fn what_is_no_backup_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("b");
    let missing = verify(&file, &mut io::sink()).unwrap_err();
    assert!(
        missing.exit() == Exit::Failed && missing.to_string().contains("/b: "),
        "{missing}"
    );
    fs::write(&file, "something else entirely").unwrap();
    let to = dir.path().join("to");
    let errors = [
        verify(&file, &mut io::sink()).unwrap_err(),
        restore(&file, &to, Engine::Sled, &mut io::sink(), &mut io::sink()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.exit(), Exit::DataUnusable, "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
