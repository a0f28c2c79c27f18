//! A directory of format version 1 that every later build must open.
//!
//! It was written by [`write_the_fixture`]. It is never written again: a build that needs other bytes has another format
//! version, and a fixture of its own beside this one.

use std::path::{Path, PathBuf};
use std::{env, fs};

use bytes::Bytes;

use super::super::contract::{all, id};
use super::super::{Batch, InboxRecord, PageLimit};
use super::open;
use crate::message::{Entry, Message, Micros, Properties, Qos, Seq};

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
        payload_is_utf8: true,
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

/// Goal: a build opens every format version that it claims to, with everything that is in it (house style 16).
#[test]
fn format_version_1_opens() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sled")).unwrap();
    for file in FILES {
        fs::copy(fixture().join(file), dir.path().join(file)).unwrap();
    }
    let store = open(dir.path()).unwrap();
    for (inbox, entries) in contents() {
        let kept: Vec<Entry> = entries.into_iter().filter(|entry| entry.seq.0 % 5 != 1).collect();
        assert!(
            all(
                &*store,
                &id(inbox),
                PageLimit {
                    messages: 100,
                    bytes: 100_000
                }
            ) == kept,
            "{inbox:?}"
        );
        let bytes = kept.iter().map(|entry| entry.message.size() as u64).sum();
        assert_eq!(
            store.inbox(&id(inbox)).unwrap(),
            Some(InboxRecord {
                messages: kept.len() as u64,
                bytes
            })
        );
    }
    assert_eq!(store.reserved().unwrap(), RESERVED);
    assert_eq!(store.inboxes(None, 10).unwrap().len(), 3);
}

/// Writes the fixture when `INBOX_STORE_WRITE_FIXTURE` is set; otherwise it checks that the files which make it up are
/// there, and no others.
#[test]
fn write_the_fixture() {
    if env::var_os("INBOX_STORE_WRITE_FIXTURE").is_none() {
        return assert!(FILES.iter().all(|file| fixture().join(file).is_file()));
    }
    fs::remove_dir_all(fixture()).ok();
    let store = open(&fixture()).unwrap();
    for (inbox, entries) in contents() {
        let removals = entries
            .iter()
            .filter(|entry| entry.seq.0 % 5 == 1)
            .map(|entry| (id(inbox), entry.seq))
            .collect();
        let puts = entries.into_iter().map(|entry| (id(inbox), entry)).collect();
        store
            .commit(&Batch {
                puts,
                ..Batch::default()
            })
            .unwrap();
        store
            .commit(&Batch {
                removals,
                ..Batch::default()
            })
            .unwrap();
    }
    store
        .commit(&Batch {
            reserve: Some(RESERVED),
            ..Batch::default()
        })
        .unwrap();
    store.close().unwrap();
}
