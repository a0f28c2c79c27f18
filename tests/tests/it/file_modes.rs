//! Files of mail are their owner's alone.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use inbox_tests::{Broker, BrokerOptions, RawClient, Version, run_inboxd};

/// Every path in `root`, itself included, whose mode lets anybody else do anything.
fn open_to_others(root: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut paths = vec![root.to_owned()];
    while let Some(path) = paths.pop() {
        // What the store removes while it is looked at is open to nobody.
        let Some(metadata) = there(fs::symlink_metadata(&path)) else {
            continue;
        };
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            found.push((path.clone(), mode));
        }
        if metadata.is_dir() {
            let entries = there(fs::read_dir(&path)).into_iter().flatten();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    found
}

fn there<T>(looked_at: io::Result<T>) -> Option<T> {
    match looked_at {
        Err(why) if why.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.unwrap()),
    }
}

fn generous(engine: &str) -> BrokerOptions {
    BrokerOptions {
        config: Some(format!(
            "[store]\nengine = \"{engine}\"\ncheckpoint_after = \"50ms\"\ncache_bytes = \"1MiB\"\n"
        )),
        shell: Some("umask 000; exec \"$0\" \"$@\"".into()),
        ..BrokerOptions::default()
    }
}

/// Enough for the engine to make files of its own after the start: checkpoints, snapshots, tables.
fn fill(broker: &Broker) {
    let mut alice = RawClient::clean(broker, Version::V5, "alice");
    for round in 0..40 {
        alice.publish(&format!("bob-{round}"), vec![b'x'; 200_000], 1);
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
}

#[test]
fn nobody_else_can_read_mail_whatever_the_umask() {
    // Goal: 0700 and 0600 for the directory, the log and all that the engines make, over a restart and after kill -9, with umask 0.
    for engine in ["sled", "fjall"] {
        let mut broker = Broker::start_with(generous(engine));
        fill(&broker);
        broker.crash_and_restart();
        fill(&broker);
        assert_eq!(open_to_others(&broker.data()), [], "{engine}, while it runs");
        assert_eq!(broker.terminate().code, Some(0));
        assert_eq!(open_to_others(&broker.data()), [], "{engine}, after its end");
        let target = broker.data().with_file_name("converted");
        let converted = Command::new("bash")
            .args(["-c", "umask 000; exec \"$0\" \"$@\""])
            .arg(inbox_tests::inboxd_command().get_program())
            .args(["store", "convert", "--engine", engine, "--from"])
            .arg(broker.data())
            .arg("--to")
            .arg(&target)
            .output()
            .unwrap();
        assert!(converted.status.success(), "{converted:?}");
        assert_eq!(open_to_others(&target), [], "{engine}, converted");
    }
}

#[test]
fn an_open_directory_is_closed_and_told_about() {
    // Goal: a directory of an earlier build, made with the usual umask: the broker says so and closes it.
    let mut broker = Broker::start_with(generous("sled"));
    fill(&broker);
    assert_eq!(broker.terminate().code, Some(0));
    assert!(!broker.stderr().contains("open to other users"), "{}", broker.stderr());
    let mut paths = vec![broker.data()];
    while let Some(path) = paths.pop() {
        let is_dir = path.is_dir();
        fs::set_permissions(&path, Permissions::from_mode(if is_dir { 0o755 } else { 0o644 })).unwrap();
        if is_dir {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    broker.restart();
    broker.wait_for_log("open to other users");
    assert_eq!(open_to_others(&broker.data()), []);
    let list = run_inboxd(&["check-config"]);
    assert!(list.status.success());
}
