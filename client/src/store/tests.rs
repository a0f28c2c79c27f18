use std::path::Path;

use super::*;
use crate::arrivals::{Key, Verdict};
use crate::message::Receipts;
use crate::outbox::{Destination, Stage};

fn open(path: &Path) -> (Store, JoinHandle<()>, Kept) {
    Store::open(Some(path.to_owned())).unwrap()
}

fn commit(store: &Store, changes: Vec<Change>) -> Result<(), StoreError> {
    let (tell, told) = mpsc::channel();
    store.commit(changes, move |result| tell.send(result).unwrap());
    told.recv().unwrap()
}

fn put(order: Order) -> Change {
    let record = Record {
        to: Destination::Inbox("bob".to_owned()),
        id: order.to_string(),
        content_type: Some("text/plain".to_owned()),
        collapse: None,
        receipts: Receipts::ALL,
        properties: vec![("a".to_owned(), "b".to_owned())],
        sent_at_us: 5,
        expires_at_us: Some(6),
        stage: Stage::Waiting,
        payload_hash: Some(7),
    };
    let payload = Bytes::from_static(b"payload");
    let record = Arc::new(record);
    Change::Put { order, record, payload }
}

#[test]
fn what_was_committed_is_read_again_in_order() {
    // Goal: messages, answers and the standing survive; removals and payloads that are not needed are gone.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.redb");
    let (store, thread, kept) = open(&path);
    assert!(kept.outbox.is_empty());
    commit(&store, (1..=3).map(put).collect()).unwrap();
    let Change::Put { record, .. } = put(2) else {
        unreachable!()
    };
    let mut stored = Record::clone(&record);
    stored.stage = Stage::Stored { seq: Some(77) };
    let answered = Answered {
        key: Key {
            from: "alice".to_owned(),
            id: "x".to_owned(),
        },
        verdict: Verdict::Rejected,
        at_us: 9,
    };
    let standing = Standing {
        epoch: Some("00ff".to_owned()),
        dropped: 4,
    };
    let changes = vec![
        Change::Remove { order: 1 },
        Change::Update {
            order: 2,
            record: Arc::new(stored.clone()),
        },
        Change::Answered {
            number: 1,
            answered: answered.clone(),
        },
        Change::Standing(standing.clone()),
    ];
    commit(&store, changes).unwrap();
    drop(store);
    thread.join().unwrap();
    let (_store, _thread, kept) = open(&path);
    assert_eq!(kept.outbox.len(), 2);
    assert_eq!(kept.outbox[0], (2, stored, Bytes::new()));
    assert_eq!(kept.outbox[1].0, 3);
    assert_eq!(kept.outbox[1].2, "payload");
    assert_eq!(kept.answered, [(1, answered)]);
    assert_eq!(kept.standing, standing);
}

#[test]
fn a_file_that_is_no_outbox_or_in_use_is_told_apart() {
    // Goal: another process, and another kind of file, are errors of their own; a file of text is not overwritten.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.redb");
    let (_store, _thread, _) = open(&path);
    let error = Store::open(Some(path)).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    let text = directory.path().join("text");
    std::fs::write(&text, "a letter, and no database").unwrap();
    let error = Store::open(Some(text.clone())).unwrap_err();
    assert!(!matches!(error, StoreError::InUse { .. }), "{error}");
    assert_eq!(std::fs::read(text).unwrap(), b"a letter, and no database");
    let missing = directory.path().join("no/such/folder");
    let error = Store::open(Some(missing)).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}
