//! The second engine, and moving mail between engines and formats.

use std::fs;
use std::path::Path;
use std::process::Output;

use inbox_tests::{Broker, RawClient, Version, fails, run_inboxd, succeeds};

const FJALL: &str = "[store]\nengine = \"fjall\"\ncheckpoint_after = \"50ms\"\n";
const MESSAGES: usize = 300;

/// Mail of two inboxes: texts, one of 50,000 bytes, and bytes that are none.
fn fill(broker: &Broker) {
    let mut alice = RawClient::clean(broker, Version::V5, "alice");
    for n in 0..MESSAGES {
        alice.publish("bob", format!("message {n}"), 1);
    }
    alice.publish("carol", vec![b'x'; 50_000], 2);
    alice.publish("carol", [0, 255, 1], 1);
}

fn convert(from: &Path, to: &Path, engine: &str) -> Output {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    run_inboxd(&[
        "store",
        "convert",
        "--from",
        &path(from),
        "--to",
        &path(to),
        "--engine",
        engine,
    ])
}

/// Everything that `inboxd inbox` tells about a directory of the default engine.
fn contents(data: &Path) -> String {
    let commands: [&[&str]; 3] = [&["list"], &["show", "bob", "--json"], &["show", "carol", "--json"]];
    commands
        .map(|command| {
            let output = run_inboxd(&[&["inbox"], command, &["--data", data.to_str().unwrap()]].concat());
            succeeds(&output)
        })
        .concat()
}

#[test]
fn mail_on_fjall_survives_kill_9_and_an_orderly_restart() {
    // Goal: contract rules 3 and 4 on the second engine, for mail that is in the log and mail that has left it.
    let mut broker = Broker::with_config(FJALL);
    fill(&broker);
    broker.kill9();
    broker.restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let texts: Vec<String> = (0..MESSAGES).map(|n| format!("message {n}")).collect();
    for text in &texts[..100] {
        assert_eq!(bob.receive_and_ack().text(), text);
    }
    bob.ping();
    assert_eq!(broker.terminate().code, Some(0));
    broker.restart();
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    for text in &texts[100..] {
        assert_eq!(bob.receive_and_ack().text(), text);
    }
    bob.expect_nothing();
}

#[test]
fn mail_is_the_same_after_sled_fjall_and_sled_again() {
    // Goal: `inboxd store convert` moves everything, with every property, and leaves the source as it was.
    let base = tempfile::tempdir().unwrap();
    let [b, c] = ["b", "c"].map(|name| base.path().join(name));
    let mut broker = Broker::start();
    fill(&broker);
    assert_eq!(broker.terminate().code, Some(0));
    let before = contents(&broker.data());
    let first = convert(&broker.data(), &b, "fjall");
    assert!(first.status.success(), "{first:?}");
    let said = String::from_utf8(first.stdout).unwrap();
    let words = [
        "copied 302 messages",
        "of 2 inboxes",
        "(sled)",
        "(fjall)",
        "store.engine to \"fjall\"",
    ];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert!(convert(&b, &c, "sled").status.success());
    assert_eq!(contents(&c), before);
    assert_eq!(contents(&broker.data()), before);
}

#[test]
fn a_conversion_that_cannot_be_is_refused_and_changes_nothing() {
    // Goal: a directory in use, a target that holds something, an interrupted conversion and a missing source, by name.
    let base = tempfile::tempdir().unwrap();
    let target = base.path().join("target");
    let mut broker = Broker::start();
    fill(&broker);
    fails(
        &convert(&broker.data(), &target, "fjall"),
        75,
        &["stop that inboxd first"],
    );
    assert_eq!(broker.terminate().code, Some(0));
    fs::create_dir(&target).unwrap();
    fs::write(target.join("photo.jpg"), b"x").unwrap();
    fails(
        &convert(&broker.data(), &target, "fjall"),
        1,
        &["target", "there already"],
    );
    assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
    let other = base.path().join("other");
    fs::create_dir(base.path().join("other.converting")).unwrap();
    fails(
        &convert(&broker.data(), &other, "fjall"),
        1,
        &["other.converting", "remove it"],
    );
    let (missing, other) = (base.path().join("missing"), base.path().join("another"));
    fails(&convert(&missing, &other, "fjall"), 65, &["no store in", "missing"]);
    assert!(!missing.exists() && !other.exists());
}

#[test]
fn a_directory_of_another_engine_or_format_says_what_to_do() {
    // Goal: the sentences that a broker ends with, and exit code 65; the older format is converted.
    let mut broker = Broker::with_config(FJALL);
    assert_eq!(broker.terminate().code, Some(0));
    let serve = |data: &Path| run_inboxd(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    fails(
        &serve(&broker.data()),
        65,
        &[
            "written by the engine \"fjall\"",
            "INBOXD_STORE__ENGINE=fjall",
            "store.engine",
        ],
    );
    let base = tempfile::tempdir().unwrap();
    let (old, new) = (base.path().join("old"), base.path().join("new"));
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bridge/store/tests/fixtures/v1-sled");
    fs::create_dir_all(old.join("sled")).unwrap();
    for file in ["inboxd-store.toml", "lock", "sled/acknowledged", "sled/conf", "sled/db"] {
        fs::copy(fixture.join(file), old.join(file)).unwrap();
    }
    fails(&serve(&old), 65, &["storage format 1", "`inboxd store convert --from"]);
    assert!(convert(&old, &new, "sled").status.success());
    let listed = run_inboxd(&["inbox", "list", "--data", new.to_str().unwrap()]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("bob") && listed.contains("größe"), "{listed}");
}
