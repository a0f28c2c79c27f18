//! Tests of `inboxd inbox` against a store in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use inbox_bridge::{Age, Damage, Expiry, Failure, Message, Micros, Properties, Qos, Table, TableKey, TablePage};
use serde_json::Value;

use super::*;

/// A store that keeps everything in a map, and counts commits.
#[derive(Default)]
struct Shelf {
    entries: Mutex<BTreeMap<(ClientId, Seq), Entry>>,
    commits: Mutex<u64>,
    fails: bool,
}

impl Store for Shelf {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if self.fails {
            return Err(Failure::Log(io::Error::other("disk on fire")).into());
        }
        *self.commits.lock().unwrap() += 1;
        let mut entries = self.entries.lock().unwrap();
        for (client, entry) in &batch.puts {
            entries.insert((client.clone(), entry.seq), entry.clone());
        }
        for (client, seq) in &batch.removals {
            entries.remove(&(client.clone(), *seq));
        }
        Ok(())
    }

    fn read(&self, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError> {
        let entries = self.entries.lock().unwrap();
        let found: Vec<Entry> = entries
            .iter()
            .filter(|((id, seq), _)| id == inbox && *seq > after)
            .map(|(_, e)| e.clone())
            .collect();
        let more = found.len() > limit.messages;
        Ok(Page {
            entries: found.into_iter().take(limit.messages).collect(),
            more,
        })
    }

    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError> {
        let all = self.inboxes(None, usize::MAX)?;
        Ok(all.into_iter().find(|(id, _)| id == inbox).map(|(_, record)| record))
    }

    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError> {
        let mut found: BTreeMap<ClientId, InboxRecord> = BTreeMap::new();
        for ((id, _), entry) in self
            .entries
            .lock()
            .unwrap()
            .iter()
            .filter(|((id, _), _)| Some(id) > after)
        {
            let record = found.entry(id.clone()).or_default();
            record.messages += 1;
            record.bytes += entry.message.size() as u64;
        }
        Ok(found.into_iter().take(limit).collect())
    }

    fn reserved(&self) -> Result<Seq, StoreError> {
        Ok(Seq::ZERO)
    }

    fn age(&self) -> Result<std::time::Duration, StoreError> {
        Ok(std::time::Duration::ZERO)
    }

    fn get(&self, _: Table, _: &TableKey) -> Result<Option<bytes::Bytes>, StoreError> {
        Ok(None)
    }

    fn scan(&self, _: Table, _: &[u8], _: Option<&TableKey>, _: PageLimit) -> Result<TablePage, StoreError> {
        Ok(TablePage::default())
    }

    fn hold_commits(&self, _disk_free_bytes_min: u64) -> Result<Box<dyn inbox_bridge::HeldCommits>, StoreError> {
        unreachable!("nothing here backs it up")
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        None
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn client(id: &str) -> ClientId {
    ClientId::new(id).unwrap()
}

fn entry(seq: u64, payload: &[u8]) -> Entry {
    let message = Message {
        from: client("alice"),
        id: None,
        at: Micros(1_795_247_171_000_000),
        expiry: Expiry::of(Age(0), 60_000_000, None),
        qos: Qos::AtLeastOnce,
        payload: payload.to_vec().into(),
        properties: None,
    };
    Entry {
        seq: Seq(seq),
        message: Arc::new(message),
    }
}

fn shelf(inboxes: &[(&str, u64)]) -> Shelf {
    let shelf = Shelf::default();
    for (id, messages) in inboxes {
        for seq in 1..=*messages {
            shelf
                .entries
                .lock()
                .unwrap()
                .insert((client(id), Seq(seq)), entry(seq, b"hello"));
        }
    }
    shelf
}

/// Runs `action`, answering `answer`; gives the outcome, standard output and standard error.
fn ask(store: &Shelf, action: &InboxAction, answer: &str) -> (Result<(), InboxCommandError>, String, String) {
    let (mut input, mut out, mut notes) = (answer.as_bytes(), Vec::new(), Vec::new());
    let done = run(
        action,
        store,
        Streams {
            input: &mut input,
            out: &mut out,
            notes: &mut notes,
        },
    );
    (done, String::from_utf8(out).unwrap(), String::from_utf8(notes).unwrap())
}

#[test]
fn list_names_every_inbox_once_across_pages() {
    // Goal: more inboxes than one page of the store are listed completely, in order, with their counts.
    let names: Vec<String> = (0..LIST_PAGE_INBOXES + 3).map(|n| format!("c{n:04}")).collect();
    let store = shelf(&names.iter().map(|name| (name.as_str(), 2)).collect::<Vec<_>>());
    let (done, out, notes) = ask(&store, &InboxAction::List { json: true }, "");
    done.unwrap();
    let listed: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        listed
            .iter()
            .map(|line| line["inbox"].as_str().unwrap())
            .collect::<Vec<_>>(),
        names
    );
    assert!(listed.iter().all(|line| line["messages"] == 2 && line["bytes"] == 10));
    assert_eq!(notes, "");

    let (_, out, _) = ask(&store, &InboxAction::List { json: false }, "");
    assert_eq!(out.lines().count(), names.len() + 1);
    assert_eq!(
        out.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(),
        ["2", "10", "c0000"]
    );
}

#[test]
fn an_empty_store_answers_nothing_on_standard_output() {
    // Goal: scripts that count lines count right; people are told on standard error.
    let store = shelf(&[]);
    for json in [false, true] {
        let (done, out, notes) = ask(&store, &InboxAction::List { json }, "");
        assert!(done.is_ok() && out.is_empty() && notes.contains("no inbox"), "{notes}");
        let (done, out, notes) = ask(
            &store,
            &InboxAction::Show {
                client: client("bob"),
                json,
                limit: None,
            },
            "",
        );
        assert!(
            done.is_ok() && out.is_empty() && notes.contains("\"bob\" holds nothing"),
            "{notes}"
        );
    }
}

#[test]
fn show_prints_one_line_per_message_in_order_and_obeys_the_limit() {
    // Goal: all messages, oldest first (contract rule 6), across pages; --limit cuts exactly.
    let many = PAGE_MESSAGES_MAX as u64 * 2 + 5;
    let store = shelf(&[("bob", many), ("carol", 1)]);
    for (limit, expected) in [
        (None, many),
        (Some(0), 0),
        (Some(7), 7),
        (Some(many - 1), many - 1),
        (Some(u64::MAX), many),
    ] {
        let (done, out, _) = ask(
            &store,
            &InboxAction::Show {
                client: client("bob"),
                json: true,
                limit,
            },
            "",
        );
        done.unwrap();
        let seqs: Vec<u64> = out
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap()["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(seqs, (1..=expected).collect::<Vec<_>>(), "limit {limit:?}");
    }
    let (_, out, _) = ask(
        &store,
        &InboxAction::Show {
            client: client("carol"),
            json: false,
            limit: None,
        },
        "",
    );
    assert_eq!(
        out,
        "seq=1 at=2026-11-21T07:46:11.000000Z from=alice id=0000000000000001 qos=1 bytes=5 \
         expires=2026-11-21T07:47:11.000000Z payload=\"hello\"\n"
    );
}

#[test]
fn json_carries_whole_payloads_and_properties() {
    // Goal: nothing of a message is lost in JSON: bytes that are not UTF-8 come as hexadecimal.
    let store = Shelf::default();
    let mut binary = entry(1, &[0xff, 0x00]);
    Arc::make_mut(&mut binary.message).id = Some("order-7".into());
    let mut text = entry(2, "ü".repeat(200).as_bytes());
    Arc::make_mut(&mut text.message).properties = Some(Box::new(Properties {
        payload_format: Some(inbox_bridge::PayloadFormat::Utf8),
        content_type: Some("text/plain".into()),
        response_topic: Some("alice".into()),
        correlation_data: Some(vec![1, 2].into()),
        user: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
    }));
    store
        .commit(&Batch {
            puts: vec![(client("bob"), binary), (client("bob"), text)],
            ..Batch::default()
        })
        .unwrap();
    let (_, out, _) = ask(
        &store,
        &InboxAction::Show {
            client: client("bob"),
            json: true,
            limit: None,
        },
        "",
    );
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["payload_hex"], &lines[0]["id"]),
        (&Value::from("ff00"), &Value::from("order-7"))
    );
    assert_eq!(lines[1]["payload"], "ü".repeat(200));
    assert_eq!(lines[0].get("payload_format"), None);
    assert_eq!(lines[1]["payload_format"], 1);
    assert_eq!(lines[1]["content_type"], "text/plain");
    assert_eq!(lines[1]["response_topic"], "alice");
    assert_eq!(lines[1]["correlation_data_hex"], "0102");
    assert_eq!(lines[1]["user_properties"], serde_json::json!([["a", "1"], ["a", "2"]]));
}

#[test]
fn purge_removes_one_inbox_in_pages_and_says_how_much() {
    // Goal: every message of that inbox is gone, in commits of at most one page, and no other inbox is touched.
    let many = PAGE_MESSAGES_MAX as u64 * 2 + 1;
    let store = shelf(&[("bo", 1), ("bob", many), ("bobby", 1)]);
    let (done, out, _) = ask(
        &store,
        &InboxAction::Purge {
            client: client("bob"),
            yes: true,
        },
        "",
    );
    done.unwrap();
    assert_eq!(
        out,
        format!("removed {many} messages ({} bytes) of inbox \"bob\"\n", many * 5)
    );
    assert_eq!(*store.commits.lock().unwrap(), 3);
    let left = store.inboxes(None, 10).unwrap();
    assert_eq!(
        left.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["bo", "bobby"]
    );
}

#[test]
fn purge_asks_first_and_takes_only_yes() {
    // Goal: mail is not lost by a slip: any other answer, and the end of input, removes nothing.
    let store = shelf(&[("bob", 3)]);
    let action = InboxAction::Purge {
        client: client("bob"),
        yes: false,
    };
    for answer in ["", "\n", "y\n", "no\n", "yes please\n"] {
        let (done, out, notes) = ask(&store, &action, answer);
        let error = done.unwrap_err();
        assert!(
            matches!(error, InboxCommandError::NotConfirmed { .. }),
            "{answer:?}: {error}"
        );
        assert_eq!(error.exit(), Exit::Failed);
        assert!(
            out.is_empty() && notes.contains("all 3 messages (15 bytes) of inbox \"bob\""),
            "{notes}"
        );
    }
    assert_eq!(store.inbox(&client("bob")).unwrap().unwrap().messages, 3);
    let (done, _, _) = ask(&store, &action, "yes\n");
    assert!(done.is_ok() && store.inbox(&client("bob")).unwrap().is_none());
    // An empty inbox needs no question.
    let (done, out, notes) = ask(&store, &action, "");
    assert!(
        done.is_ok() && out.starts_with("removed 0 messages") && notes.is_empty(),
        "{out}{notes}"
    );
}

#[test]
fn a_failing_store_ends_the_command_with_its_code() {
    // Goal: a purge that did not become durable never says "removed", and exits with 74.
    let store = Shelf {
        fails: true,
        ..shelf(&[("bob", 1)])
    };
    let (done, out, _) = ask(
        &store,
        &InboxAction::Purge {
            client: client("bob"),
            yes: true,
        },
        "",
    );
    let error = done.unwrap_err();
    assert_eq!(error.exit(), Exit::StoreFailed);
    assert!(error.to_string().contains("disk on fire") && out.is_empty(), "{error}");
    let damaged = StoreError::Damaged {
        inbox: client("bob"),
        why: Arc::new(Damage::cut_off(Seq(7))),
    };
    assert_eq!(InboxCommandError::from(damaged).exit(), Exit::DataUnusable);
}

/// A pipe whose reader goes away after some bytes.
struct Pipe(usize);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    // Goal: `inboxd inbox show bob | head -1` ends well; a purge has happened whether or not anyone reads the answer.
    let store = shelf(&[("bob", 50)]);
    let actions = [
        InboxAction::List { json: false },
        InboxAction::Show {
            client: client("bob"),
            json: false,
            limit: None,
        },
        InboxAction::Purge {
            client: client("bob"),
            yes: true,
        },
    ];
    for action in actions {
        for room in [0, 30, 200] {
            let (mut input, mut notes) = ("".as_bytes(), Vec::new());
            let streams = Streams {
                input: &mut input,
                out: &mut Pipe(room),
                notes: &mut notes,
            };
            assert!(
                run(&action, &store, streams).is_ok(),
                "{action:?} with room for {room} bytes"
            );
        }
    }
    assert!(store.inbox(&client("bob")).unwrap().is_none());
}
