//! A child process that commits and is killed, or whose disk is full.
//!
//! The child is this test program, told by an environment variable to be one. It says on standard output what was
//! committed, after the commit; the parent believes every whole line.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{batch_of, open_engine};
use crate::contract::{all, change, entry, id, key, table};
use crate::{
    Batch, CheckpointOptions, Engine, InboxRecord, PageLimit, Store, StoreError, StoreOptions, Table, TableChange,
    open_store,
};
use inbox_types::Seq;

const DIRECTORY: &str = "INBOX_STORE_TEST_DIRECTORY";
/// The engine's name; the child has a checkpoint every few commits, so that it is killed there, too.
const ENGINE: &str = "INBOX_STORE_TEST_ENGINE";
/// Largest length of a file that the child may write, in bytes, once it has opened the store.
const FILE_BYTES_MAX: &str = "INBOX_STORE_TEST_FILE_BYTES_MAX";
const CHILD: &str = "tests::kill::child";
const INBOXES: u64 = 20;
/// Each message is removed this many commits after its own.
const LIFETIME: u64 = 30;
const PER_COMMIT: u64 = 4;

/// The messages of commit `n`: of all sizes, some of them kept in pieces, and the removal of older ones.
fn commit(n: u64) -> Batch {
    let messages = |n: u64| (n * PER_COMMIT + 1..=(n + 1) * PER_COMMIT).map(|seq| (inbox_of(seq), seq));
    let puts = messages(n)
        .map(|(inbox, seq)| (id(&inbox), entry(seq, size_of(seq))))
        .collect();
    let old = n.checked_sub(LIFETIME).into_iter().flat_map(messages);
    let removals = old.map(|(inbox, seq)| (id(&inbox), Seq(seq))).collect();
    Batch {
        puts,
        removals,
        tables: tables(n),
        reserve: Some(Seq((n + 1) * PER_COMMIT)),
        age: Some(Duration::from_millis(n)),
    }
}

/// What commit `n` says of tables: which it is, something that stays as long as its messages, and the end of an older one.
fn tables(n: u64) -> Vec<TableChange> {
    let mut changes = vec![
        change(Table::CURSORS, b"last", Some(&n.to_be_bytes())),
        change(Table::DEDUPE, &n.to_be_bytes(), Some(&value_of(n))),
    ];
    changes.extend(
        n.checked_sub(LIFETIME)
            .map(|old| change(Table::DEDUPE, &old.to_be_bytes(), None)),
    );
    changes
}

fn value_of(n: u64) -> Vec<u8> {
    vec![n as u8; if n.is_multiple_of(17) { 40_000 } else { 30 }]
}

fn inbox_of(seq: u64) -> String {
    format!("client-{}", seq * 7 % INBOXES)
}

fn size_of(seq: u64) -> usize {
    match seq % 41 {
        0 => 40_000,
        rest => 20 * rest as usize,
    }
}

/// The child's work: it goes on where the store ends. Without the variable it is a test that has nothing to do.
#[test]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let mut out = std::io::stdout();
    writeln!(out, "\nopening").unwrap();
    let options = StoreOptions {
        engine: Engine::from_name(&env::var(ENGINE).unwrap()).unwrap(),
        checkpoint: CheckpointOptions {
            after: Duration::from_millis(20),
            ..CheckpointOptions::default()
        },
        ..StoreOptions::default()
    };
    let store = open_store(Path::new(&directory), &options).unwrap();
    let mut n = store.reserved().unwrap().0 / PER_COMMIT;
    writeln!(out, "opened").unwrap();
    if let Ok(bytes) = env::var(FILE_BYTES_MAX) {
        let bytes = Some(bytes.parse().unwrap());
        let limit = Rlimit {
            current: bytes,
            maximum: bytes,
        };
        setrlimit(Resource::Fsize, limit).unwrap();
    }
    loop {
        match store.commit(&commit(n)) {
            Ok(()) => writeln!(out, "committed {n}").unwrap(),
            Err(StoreError::Failed(_)) => break,
            Err(other) => panic!("{other}"),
        }
        n += 1;
    }
    for _ in 0..3 {
        assert!(matches!(
            store.commit(&batch_of("late", 1..=1)),
            Err(StoreError::Failed(_))
        ));
    }
    writeln!(out, "poisoned").unwrap();
    std::process::exit(74);
}

fn spawn(dir: &Path, engine: Engine, mut command: Command) -> Child {
    command
        .env(DIRECTORY, dir)
        .env(ENGINE, engine.name())
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The last commit that the child's output tells of.
fn last_committed(output: &str) -> Option<u64> {
    // The last line may have been cut off by the kill; "committed 12" of "committed 123" would be a lie, but a lower one.
    let numbers = output.lines().filter_map(|line| line.strip_prefix("committed "));
    numbers.filter_map(|n| n.parse().ok()).max()
}

/// The store is what it was after one of its commits, which is `last` or the one after it: a commit is there as a whole or not at all.
fn check(store: &Arc<dyn Store>, last: u64) {
    let Some(n) = (store.reserved().unwrap().0 / PER_COMMIT).checked_sub(1) else {
        panic!("commit {last} is missing");
    };
    assert!(
        (last..=last + 1).contains(&n),
        "commit {last} was acknowledged, and {n} is the last one"
    );
    assert_eq!(store.age().unwrap(), Duration::from_millis(n));
    let commits = (n + 1).saturating_sub(LIFETIME)..=n;
    let mut seqs: Vec<u64> = commits
        .clone()
        .flat_map(|n| n * PER_COMMIT + 1..=(n + 1) * PER_COMMIT)
        .collect();
    for inbox in 0..INBOXES {
        let inbox = id(&format!("client-{inbox}"));
        let limit = PageLimit {
            messages: 100,
            bytes: usize::MAX,
        };
        let mut expected = seqs
            .extract_if(.., |seq| inbox_of(*seq) == inbox.as_str())
            .collect::<Vec<_>>();
        expected.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(|seq| entry(seq, size_of(seq))).collect();
        let record = InboxRecord {
            messages: expected.len() as u64,
            bytes: expected.iter().map(|entry| entry.message.size() as u64).sum(),
        };
        assert_eq!(store.inbox(&inbox).unwrap(), (record.messages > 0).then_some(record));
        assert!(all(&**store, &inbox, limit) == expected, "commit {n}, {inbox}");
    }
    assert_eq!(
        table(&**store, Table::CURSORS, b""),
        [(key(b"last"), n.to_be_bytes().to_vec().into())]
    );
    let values: Vec<_> = commits.map(|n| (key(&n.to_be_bytes()), value_of(n).into())).collect();
    assert!(table(&**store, Table::DEDUPE, b"") == values, "commit {n}");
}

/// Lets a child work until it says `milestone`, and `pause` longer, kills it and opens the store. `last` is the last commit
/// that earlier children told of; returns the last one now.
fn kill_and_reopen(dir: &Path, engine: Engine, milestone: &str, pause: Duration, last: Option<u64>) -> Option<u64> {
    let mut child = spawn(dir, engine, Command::new(env::current_exe().unwrap()));
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.ends_with(milestone) {
        assert!(
            output.read_line(&mut text).unwrap() > 0,
            "the child ended by itself: {text}"
        );
    }
    thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    output.read_to_string(&mut text).unwrap();
    let last = last.max(last_committed(&text));
    let store = open_engine(dir, engine).unwrap();
    check_from(&store, last);
    store.close().unwrap();
    last
}

/// Checks for the last commit that was told of, or the one after it if that became durable before it could be told.
fn check_from(store: &Arc<dyn Store>, last: Option<u64>) {
    let reserved = (store.reserved().unwrap().0 / PER_COMMIT).checked_sub(1);
    assert!(reserved >= last, "the reservation is there");
    if let Some(last) = reserved {
        check(store, last);
    }
}

/// Goal: contract rule 3 through SIGKILL at any moment: what was committed is there afterwards, and the store opens.
#[test]
fn what_was_committed_survives_a_kill_with_sled() {
    survives_kills(Engine::Sled);
}

#[test]
fn what_was_committed_survives_a_kill_with_fjall() {
    survives_kills(Engine::Fjall);
}

fn survives_kills(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let mut last = None;
    for round in 0..24_u64 {
        let scattered = |micros_max: u64| Duration::from_micros((round * round + 1) * 7919 % micros_max);
        last = match round % 4 {
            0 | 2 => kill_and_reopen(dir.path(), engine, "opened\n", scattered(150_000), last),
            1 => kill_and_reopen(dir.path(), engine, "opening\n", scattered(50_000), last),
            _ => {
                // In the middle of creating the store, or soon after.
                let fresh = tempfile::tempdir().unwrap();
                kill_and_reopen(fresh.path(), engine, "opening\n", scattered(50_000), None);
                last
            }
        };
    }
    assert!(
        last.is_some_and(|last| last > LIFETIME),
        "the children got somewhere: {last:?}"
    );
}

/// Goal: a write that fails poisons the store, and what was committed before it is there (house style 13). The limit on
/// the size of files stands in for a full disk.
#[test]
fn a_full_disk_poisons_and_loses_nothing() {
    Engine::ALL.into_iter().for_each(full_disk_poisons);
}

fn full_disk_poisons(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    // The signal is ignored, so that writes fail instead.
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .env(FILE_BYTES_MAX, (6 << 20).to_string());
    let output = spawn(dir.path(), engine, shell).wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("poisoned\n"), "{text}");
    assert_eq!(output.status.code(), Some(74));
    let last = last_committed(&text).unwrap();
    assert!(last > LIFETIME);
    let store = open_engine(dir.path(), engine).unwrap();
    check(
        &store,
        last.max((store.reserved().unwrap().0 / PER_COMMIT).saturating_sub(1)),
    );
}
