use super::*;

const NOW: Duration = Duration::from_secs(1);

fn users(directory: &Path, users: &[(&str, &str)]) -> PathBuf {
    let path = directory.join("users");
    for (user, password) in users {
        edit_passwords(&path, user, Some(password.as_bytes()), &["ops".into()]).unwrap();
    }
    path
}

#[tokio::test]
async fn a_user_is_who_has_the_password() {
    // Goal: the right password gives the account; wrong, empty and huge ones, and unknown users, are the same refusal.
    let directory = tempfile::tempdir().unwrap();
    let path = users(directory.path(), &[("alice", "secret")]);
    let passwords = Passwords::load(&path, 2, Duration::from_secs(60)).unwrap();
    let account = passwords.verify("alice", b"secret", NOW).await.unwrap();
    assert_eq!((&*account.user, &account.roles), ("alice", &vec![Box::from("ops")]));
    let huge = vec![b'x'; PASSWORD_BYTES_MAX + 1];
    for (user, password) in [
        ("alice", &b"Secret"[..]),
        ("alice", b""),
        ("alice", &huge),
        ("bob", b"secret"),
        ("", b""),
    ] {
        assert_eq!(
            passwords.verify(user, password, NOW).await,
            Err(Denied::Credentials),
            "{user}"
        );
    }
}

#[tokio::test]
async fn a_reload_brings_changes_and_forgets() {
    // Goal: a changed password counts after a reload, and the old one does not, although it was remembered; a broken file changes nothing.
    let directory = tempfile::tempdir().unwrap();
    let path = users(directory.path(), &[("alice", "old")]);
    let passwords = Passwords::load(&path, 1, Duration::from_secs(60)).unwrap();
    passwords.verify("alice", b"old", NOW).await.unwrap();
    assert!(passwords.recall("alice", b"old", NOW).is_some() && passwords.recall("alice", b"new", NOW).is_none());
    std::fs::write(&path, "broken").unwrap();
    assert!(passwords.reload().is_err());
    assert!(passwords.recall("alice", b"old", NOW).is_some());
    std::fs::remove_file(&path).unwrap();
    users(directory.path(), &[("alice", "new")]);
    passwords.reload().unwrap();
    assert!(passwords.recall("alice", b"old", NOW).is_none());
    assert_eq!(passwords.verify("alice", b"old", NOW).await, Err(Denied::Credentials));
    passwords.verify("alice", b"new", NOW).await.unwrap();
}

#[tokio::test]
async fn verifications_are_few_at_a_time() {
    // Goal: with no permit left a verification waits, and one that is given up takes nothing away.
    let directory = tempfile::tempdir().unwrap();
    let path = users(directory.path(), &[("alice", "secret")]);
    let passwords = Passwords::load(&path, 1, Duration::ZERO).unwrap();
    let permit = passwords.verifications.clone().acquire_owned().await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(1), passwords.verify("alice", b"secret", NOW)).await;
    assert!(given_up.is_err());
    drop(permit);
    assert!(passwords.verify("alice", b"secret", NOW).await.is_ok());
    assert_eq!(passwords.verifications.available_permits(), 1);
    assert!(
        passwords.recall("alice", b"secret", NOW).is_none(),
        "auth.remember = 0s remembers nothing"
    );
}
