//! Directories of earlier and of this format version: what every later build must be able to open, or to convert.
//!
//! Each was written by the build that introduced its format, this one by [`write_the_fixture`]. They are never written again: a build
//! that needs other bytes has another format version, and a fixture of its own beside these.

use std::path::{Path, PathBuf};
use std::{env, fs};

use bytes::Bytes;

use super::damage::copy;
use super::{open, open_engine, open_tree};
use crate::contract::{all, id};
use crate::{Batch, Engine, InboxRecord, OpenError, PageLimit, Store, StoreOptions, convert};
use inbox_types::{Entry, Message, Micros, Properties, Qos, Seq};

const FILES: [&str; 5] = ["inboxd-store.toml", "lock", "sled/acknowledged", "sled/conf", "sled/db"];
const RESERVED: Seq = Seq(1_700_000_005_000_000);

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1-sled")
}

fn plain(seq: u64, payload: Vec<u8>) -> Entry {
    let message = Message {
        from: id("alice"),
        id: None,
        at: Micros(seq),
        expires_at: Micros(seq + 30 * 24 * 3600 * 1_000_000),
        expiry_is_publishers: false,
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
    rich.expiry_is_publishers = true;
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

fn copied() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sled")).unwrap();
    for file in FILES {
        fs::copy(fixture().join(file), dir.path().join(file)).unwrap();
    }
    dir
}

/// Goal: a format that brokers of this build do not run on is refused by name, with what to do, and left as it was.
#[test]
fn format_version_1_is_refused() {
    let dir = copied();
    let refusal = open(dir.path()).err().unwrap();
    assert!(matches!(refusal, OpenError::OtherFormat { found: 1, .. }), "{refusal}");
    assert!(refusal.to_string().contains("`inboxd store convert`"), "{refusal}");
    for file in FILES {
        let (now, before) = (fs::read(dir.path().join(file)), fs::read(fixture().join(file)));
        assert!(now.unwrap() == before.unwrap(), "{file}");
    }
}

/// Goal: a build converts every format version that it claims to, to every engine, with everything that is in it (house style
/// 16), and the source can be converted again.
#[test]
fn format_version_1_is_converted() {
    let (dir, targets) = (copied(), tempfile::tempdir().unwrap());
    for engine in Engine::ALL {
        let target = targets.path().join(engine.name());
        let options = StoreOptions {
            engine,
            ..StoreOptions::default()
        };
        let (converted, source_engine) = convert(dir.path(), &target, &options, &mut |_| {}).unwrap();
        assert_eq!((converted.inboxes, source_engine), (3, Engine::Sled));
        holds_everything(&*open_engine(&target, engine).unwrap());
    }
    let manifest = |dir: &Path| fs::read(dir.join("inboxd-store.toml")).unwrap();
    assert_eq!(manifest(dir.path()), manifest(&fixture()), "it is still of format 1");
}

fn version_2() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v2-sled")
}

/// Goal: a build opens every format version that it claims to, with everything that is in its log and in its blocks.
#[test]
fn format_version_2_opens() {
    let dir = tempfile::tempdir().unwrap();
    copy(&version_2(), dir.path());
    for _ in 0..2 {
        let store = open_tree(dir.path());
        holds_everything(&store);
        // The second time, all of it is in the blocks.
        store.checkpoint();
        store.close().unwrap();
    }
}

/// Writes the fixture of this format when `INBOX_STORE_WRITE_FIXTURE` is set: some of it in blocks, some in the log, and
/// removals of both. Otherwise it checks that the fixture is there.
#[test]
fn write_the_fixture() {
    if env::var_os("INBOX_STORE_WRITE_FIXTURE").is_none() {
        return assert!(version_2().join("sled/db").is_file());
    }
    fs::remove_dir_all(version_2()).ok();
    let store = open_tree(&version_2());
    for half in [0, 1] {
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
        if half == 0 {
            store.checkpoint();
        }
    }
    let removals = contents().into_iter().flat_map(|(inbox, entries)| {
        let removed = entries.into_iter().filter(|entry| entry.seq.0 % 5 == 1);
        removed.map(move |entry| (id(inbox), entry.seq))
    });
    store
        .commit(&Batch {
            removals: removals.collect(),
            reserve: Some(RESERVED),
            ..Batch::default()
        })
        .unwrap();
    store.close().unwrap();
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
