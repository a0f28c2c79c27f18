//! Directories of earlier and of this format version: what every later build must be able to open, or to convert.
//!
//! Each was written by the build that introduced its format or engine, those of this one by [`write_the_fixtures`]. They are never written again: a build
//! that needs other bytes has another format version, and a fixture of its own beside these.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use bytes::Bytes;

use super::damage::copy;
use super::{DataDirectory, FjallTree, NEVER, SledTree, TreeStore, open_engine};
use crate::contract::{all, change, id, table};
use crate::manifest::FORMAT;
use crate::{
    Batch, Engine, FjallOptions, InboxRecord, OpenError, PageLimit, SledOptions, Store, StoreOptions, Table,
    TableChange, convert,
};
use inbox_types::{Age, Entry, Expiry, Message, Micros, Properties, Qos, Seq};

/// Formats and engines that this build only reads.
const OLDER: [(u64, Engine); 3] = [(1, Engine::Sled), (2, Engine::Sled), (2, Engine::Fjall)];
const RESERVED: Seq = Seq(1_700_000_005_000_000);
const AGE: Duration = Duration::from_secs(86_400);
/// How long fjall makes a journal before it writes to it.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

fn plain(seq: u64, payload: Vec<u8>) -> Entry {
    let message = Message {
        from: id("alice"),
        id: None,
        at: Micros(seq),
        // What was to expire by the system clock, in older formats, waits anew for as long.
        expiry: Expiry::of(Age(0), 30 * 24 * 3600 * 1_000_000, None),
        qos: Qos::AtLeastOnce,
        payload: payload.into(),
        properties: None,
    };
    Entry {
        seq: Seq(seq),
        message: message.into(),
    }
}

/// One of everything that the format can hold.
fn contents() -> Vec<(&'static str, Vec<Entry>)> {
    let first = 1_700_000_000_000_000;
    let mut rich = (*plain(first + 20, b"{}".to_vec()).message).clone();
    rich.id = Some("order-17".into());
    rich.expiry = Expiry::of(Age(0), rich.expiry.lives(), Some(30 * 24 * 3600));
    rich.qos = Qos::ExactlyOnce;
    rich.properties = Some(Box::new(Properties {
        payload_format: Some(inbox_types::PayloadFormat::Utf8),
        content_type: Some("application/json".into()),
        response_topic: Some("alice".into()),
        correlation_data: Some(Bytes::from_static(&[0, 1, 255])),
        user: vec![("tür".into(), "zu".into()), ("tür".into(), "".into())],
    }));
    let rich = Entry {
        seq: Seq(first + 20),
        message: rich.into(),
    };
    let long = (0..40_000_u32).map(|n| ((n * n) >> 7) as u8).collect();
    vec![
        (
            "bob",
            (0..20)
                .map(|n| plain(first + n, format!("message {n}").into_bytes()))
                .collect(),
        ),
        ("bob\u{1}", vec![plain(first + 30, Vec::new()), rich]),
        ("größe", vec![plain(first + 40, long)]),
    ]
    .into_iter()
    .map(|(inbox, mut entries): (_, Vec<Entry>)| {
        entries.sort_by_key(|entry| entry.seq);
        (inbox, entries)
    })
    .collect()
}

/// What a directory of this format holds beside the messages.
fn tables() -> Vec<TableChange> {
    let long: Vec<u8> = (0..40_000_u32).map(|n| ((n * n) >> 9) as u8).collect();
    vec![
        change(Table::DEDUPE, b"alice\0order-17", Some(b"bob")),
        change(Table::DEDUPE, b"alice\0order-18", Some(b"")),
        change(Table::RETAINED, b"lamp/1", Some(&long)),
    ]
}

/// A directory of a format and engine, as it was written.
fn fixture(format: u64, engine: Engine) -> PathBuf {
    let name = format!("v{format}-{}", engine.name());
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy to work on.
fn copied(format: u64, engine: Engine) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(format, engine), dir.path());
    let journal = dir.path().join("fjall/0.jnl");
    if journal.exists() {
        // What fjall reserved and did not write, which is all zero, is left out of the repository.
        let journal = fs::OpenOptions::new().write(true).open(journal).unwrap();
        journal.set_len(JOURNAL_BYTES).unwrap();
    }
    dir
}

fn manifest(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("inboxd-store.toml")).unwrap()
}

/// Goal: a format that brokers of this build do not run on is refused by name, with what to do, and left as it was.
#[test]
fn older_formats_are_refused() {
    for (format, engine) in OLDER {
        let dir = copied(format, engine);
        let before = files(dir.path());
        let refusal = open_engine(dir.path(), engine).err().unwrap();
        assert!(
            matches!(refusal, OpenError::OtherFormat { found, .. } if found == format),
            "{refusal}"
        );
        let said = refusal.to_string();
        assert!(
            said.contains(&format!("`inboxd store convert --from {} --to", dir.path().display())),
            "{said}"
        );
        assert!(files(dir.path()) == before, "format {format} of {engine:?}");
    }
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

/// Goal: a build converts every format version that it claims to, to every engine, with everything that is in it (house style
/// 16), and the source can be converted again.
#[test]
fn every_format_is_converted() {
    let current = Engine::ALL.map(|engine| (FORMAT, engine));
    for (format, from) in OLDER.into_iter().chain(current) {
        let (dir, targets) = (copied(format, from), tempfile::tempdir().unwrap());
        for engine in Engine::ALL {
            let target = targets.path().join(engine.name());
            let options = StoreOptions {
                engine,
                ..StoreOptions::default()
            };
            let (converted, source_engine) = convert(dir.path(), &target, &options, &mut |_| {}).unwrap();
            assert_eq!((converted.inboxes, source_engine), (3, from));
            let store = open_engine(&target, engine).unwrap();
            holds_everything(&*store);
            holds_tables(&*store, format == FORMAT);
        }
        assert_eq!(
            manifest(dir.path()),
            manifest(&fixture(format, from)),
            "it is still of its format"
        );
    }
}

/// Goal: a build opens every format version that it claims to, with everything that is in its log and in its tree.
#[test]
fn this_format_opens() {
    for engine in Engine::ALL {
        let dir = copied(FORMAT, engine);
        for _ in 0..2 {
            with_tree(dir.path(), engine, |store, checkpoint| {
                holds_everything(store);
                holds_tables(store, true);
                // The second time, all of it is in the tree.
                checkpoint();
            });
        }
    }
}

/// Opens a store of which a test says when there is a checkpoint, and hands it to `work` with a way to have one.
fn with_tree(dir: &Path, engine: Engine, work: impl FnOnce(&dyn Store, &dyn Fn())) {
    let directory = DataDirectory::open(dir, engine.name()).unwrap();
    match engine {
        Engine::Sled => {
            let tree = SledTree::open(&directory, SledOptions::default()).unwrap();
            let store = TreeStore::open(directory, tree, NEVER).unwrap();
            work(&store, &|| store.checkpoint());
            store.close().unwrap();
        }
        Engine::Fjall => {
            let tree = FjallTree::open(&directory, FjallOptions::default()).unwrap();
            let store = TreeStore::open(directory, tree, NEVER).unwrap();
            work(&store, &|| store.checkpoint());
            store.close().unwrap();
        }
    }
}

/// Writes the fixtures of this format when `INBOX_STORE_WRITE_FIXTURE` is set: some of it in the tree, some in the log, and
/// removals of both. Otherwise it checks that they are there.
#[test]
fn write_the_fixtures() {
    for engine in Engine::ALL {
        let dir = fixture(FORMAT, engine);
        if env::var_os("INBOX_STORE_WRITE_FIXTURE").is_none() {
            assert!(dir.join("inboxd-store.toml").is_file());
            continue;
        }
        fs::remove_dir_all(&dir).ok();
        with_tree(&dir, engine, |store, checkpoint| {
            write_half(store, 0);
            checkpoint();
            write_half(store, 1);
            write_removals(store);
        });
        leave_zeros_out(&dir.join("fjall/0.jnl"));
    }
}

fn write_removals(store: &dyn Store) {
    let removals = contents().into_iter().flat_map(|(inbox, entries)| {
        let removed = entries.into_iter().filter(|entry| entry.seq.0 % 5 == 1);
        removed.map(move |entry| (id(inbox), entry.seq))
    });
    let batch = Batch {
        removals: removals.collect(),
        tables: vec![change(Table::DEDUPE, b"alice\0order-16", None)],
        reserve: Some(RESERVED),
        age: Some(AGE),
        ..Batch::default()
    };
    store.commit(&batch).unwrap();
}

fn write_half(store: &dyn Store, half: u64) {
    for (inbox, entries) in contents() {
        let entries = entries.into_iter().filter(|entry| entry.seq.0 % 2 == half);
        let puts = entries.map(|entry| (id(inbox), entry)).collect();
        store
            .commit(&Batch {
                puts,
                ..Batch::default()
            })
            .unwrap();
    }
    let mut tables: Vec<TableChange> = tables().into_iter().skip(half as usize).step_by(2).collect();
    if half == 0 {
        tables.push(change(Table::DEDUPE, b"alice\0order-16", Some(b"gone later")));
    }
    store
        .commit(&Batch {
            tables,
            ..Batch::default()
        })
        .unwrap();
}

fn leave_zeros_out(journal: &Path) {
    if let Ok(bytes) = fs::read(journal) {
        assert_eq!(bytes.len() as u64, JOURNAL_BYTES);
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        fs::write(journal, &bytes[..used]).unwrap();
    }
}

fn holds_tables(store: &dyn Store, is_current: bool) {
    let expected: Vec<TableChange> = if is_current { tables() } else { Vec::new() };
    let found: Vec<TableChange> = [Table::DEDUPE, Table::RETAINED]
        .into_iter()
        .flat_map(|of| {
            table(store, of, b"")
                .into_iter()
                .map(move |(key, value)| (of, key, value))
        })
        .map(|(table, key, value)| TableChange {
            table,
            key,
            value: Some(value),
        })
        .collect();
    assert!(found == expected);
    assert_eq!(store.age().unwrap(), if is_current { AGE } else { Duration::ZERO });
}

fn holds_everything(store: &dyn Store) {
    let limit = PageLimit {
        messages: 100,
        bytes: 100_000,
    };
    for (inbox, entries) in contents() {
        let kept: Vec<Entry> = entries.into_iter().filter(|entry| entry.seq.0 % 5 != 1).collect();
        assert!(all(store, &id(inbox), limit) == kept, "{inbox:?}");
        let record = InboxRecord {
            messages: kept.len() as u64,
            bytes: kept.iter().map(|entry| entry.message.size() as u64).sum(),
        };
        assert_eq!(store.inbox(&id(inbox)).unwrap(), Some(record));
    }
    assert_eq!(store.reserved().unwrap(), RESERVED);
    assert_eq!(store.inboxes(None, 10).unwrap().len(), 3);
}
