//! The lists of recipients, against a table and against a model.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::identity::Account;

fn id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

fn of_user(client: &str, user: &str) -> Identity {
    let account = Account {
        user: user.into(),
        ..Account::default()
    };
    Identity::of(id(client), Arc::new(account))
}

fn budget() -> Arc<MemoryBudget> {
    MemoryBudget::new(usize::MAX)
}

#[test]
fn whom_a_client_takes_messages_from() {
    // Goal: by user, by client, by beginning, and everybody; a block goes before an allowance; nobody is kept from its own inbox.
    let recipients = Recipients::default();
    let (bob, budget) = (id("bob"), budget());
    let edit = |kind, request: &str| recipients.edit(&bob, kind, request.as_bytes(), &budget).unwrap();
    edit(
        ListKind::Block,
        r#"{"add": ["user:mallory", "client:spam-*", "client:eve"]}"#,
    );
    let takes = |client: &str, user: &str| {
        let who = match user {
            "" => Identity::anonymous(id(client)),
            user => of_user(client, user),
        };
        recipients.judge(&who, "bob").is_ok()
    };
    for (client, user, may) in [
        ("mallory~2", "mallory", false),
        ("mallory", "", true),
        ("spam-1", "x", false),
        ("spam", "x", true),
        ("eve", "", false),
        ("eve~2", "eve", true),
        ("alice", "alice", true),
    ] {
        assert_eq!(takes(client, user), may, "{client} {user}");
    }
    edit(
        ListKind::Allow,
        r#"{"set": ["user:alice", "client:eve", "client:bob~*"]}"#,
    );
    for (client, user, may) in [
        ("alice~p", "alice", true),
        ("eve", "", false),
        ("carol", "carol", false),
        ("bob", "bob", true),
    ] {
        assert_eq!(takes(client, user), may, "{client} {user}");
    }
    assert!(
        recipients.judge(&of_user("carol", "carol"), "alice").is_ok(),
        "others are not meant"
    );
    edit(ListKind::Block, r#"{"set": ["*"]}"#);
    assert!(!takes("alice", "alice") && takes("bob", "bob"));
    assert_eq!(
        edit(ListKind::Block, r#"{"remove": ["*"]}"#).as_deref(),
        Some(&br#"{"block":[],"allow":["user:alice","client:eve","client:bob~*"]}"#[..])
    );
    assert_eq!(edit(ListKind::Allow, r#"{"set": []}"#), None);
    assert!(takes("carol", "carol") && recipients.owners.load(Ordering::Relaxed) == 0);
    assert_eq!(budget.used(), 0, "what is not there takes no memory");
}

#[test]
fn what_is_no_request_changes_nothing() {
    // Goal: each mistake has its answer, and the lists are as before.
    let recipients = Recipients::default();
    let (bob, budget) = (id("bob"), budget());
    let edit = |request: &str| recipients.edit(&bob, ListKind::Block, request.as_bytes(), &budget);
    edit(r#"{"add": ["client:eve"]}"#).unwrap();
    let before = recipients.show(&bob);
    let many: Vec<_> = (0..1001).map(|n| format!("\"client:{n}\"")).collect();
    let large: Vec<_> = (0..900).map(|n| format!("\"client:{n:0100}\"")).collect();
    for (request, why) in [
        ("block eve", ListRefused::NotJson),
        (r#"["client:eve"]"#, ListRefused::NotJson),
        (r#"[["user:eve"], [], []]"#, ListRefused::NotJson),
        (r#"{"ad": []}"#, ListRefused::NotJson),
        (r#"{"add": ["eve"]}"#, ListRefused::NotASender),
        (r#"{"add": ["client:"]}"#, ListRefused::NotASender),
        (r#"{"add": ["client:a*b"]}"#, ListRefused::NotASender),
        (r#"{"add": ["client:x", "user:"]}"#, ListRefused::NotASender),
        (&format!(r#"{{"set": [{}]}}"#, many.join(",")), ListRefused::TooMany),
        (&format!(r#"{{"set": [{}]}}"#, large.join(",")), ListRefused::TooLarge),
        (&" ".repeat(200_000), ListRefused::TooLarge),
    ] {
        assert_eq!(edit(request).unwrap_err(), why);
        assert_eq!(recipients.show(&bob), before);
    }
    assert_eq!(edit("").unwrap(), Some(before), "an empty request asks");
}

#[test]
fn what_is_kept_is_there_again() {
    // Goal: what is given to be kept restores the same lists; what is damaged is told, and gives none.
    let (bob, budget) = (id("bob"), budget());
    let before = Recipients::default();
    let kept = before.edit(&bob, ListKind::Allow, br#"{"add": ["user:alice", "*"]}"#, &budget);
    let kept = kept.unwrap().unwrap();
    let after = Recipients::default();
    after.restore(bob.clone(), &kept, &budget).unwrap();
    assert_eq!(after.show(&bob), kept);
    for damaged in [&b"x"[..], b"{\"block\": [\"eve\"]}", b"{\"other\": []}"] {
        assert_eq!(after.restore(id("carol"), damaged, &budget), Err(Unreadable));
    }
    assert_eq!(&after.show(&id("carol"))[..], br#"{"block":[],"allow":[]}"#);
}

#[test]
fn lists_leave_memory_for_others() {
    // Goal: neither one user with many clients nor many users fill the budget; what shrinks is always taken, and makes room.
    let recipients = Recipients::default();
    let budget = MemoryBudget::new(16 * 1024 * 1024);
    let large: Vec<_> = (0..500).map(|n| format!("\"client:{n:0100}\"")).collect();
    let large = format!(r#"{{"set": [{}]}}"#, large.join(","));
    let set = |owner: &str| recipients.edit(&id(owner), ListKind::Block, large.as_bytes(), &budget);
    let of_eve = (0..100).filter(|n| set(&format!("eve~{n}")).is_ok()).count();
    assert!((1..10).contains(&of_eve), "{of_eve}");
    let of_many = (0..1000).filter(|n| set(&format!("m{n}")).is_ok()).count();
    assert!((1..100).contains(&of_many), "{of_many}");
    assert!(
        budget.used() <= budget.limit() / BUDGET_PART + 64 * 1024,
        "{}",
        budget.used()
    );
    assert_eq!(set("late").unwrap_err(), ListRefused::MemoryFull);
    for n in 0..of_eve {
        let gone = recipients.edit(&id(&format!("eve~{n}")), ListKind::Block, br#"{"set": []}"#, &budget);
        assert_eq!(gone.unwrap(), None);
    }
    assert!(set("late").is_ok());
}

proptest! {
    #[test]
    fn a_list_is_a_set_of_texts(calls in proptest::collection::vec((0_u8..3, 0_usize..6), 0..40)) {
        // Goal: against a set: what was added and not removed is there, whatever the order, and it judges by that alone.
        const TEXTS: [&str; 6] = ["user:a", "client:a", "client:b", "client:a*", "client:b~*", "*"];
        let (recipients, bob, budget) = (Recipients::default(), id("bob"), budget());
        let mut model = BTreeSet::new();
        for (call, at) in calls {
            let text = TEXTS[at];
            let word = match call {
                0 => { model.insert(text); "add" }
                1 => { model.remove(text); "remove" }
                _ => { model = BTreeSet::from([text]); "set" }
            };
            let kept = recipients.edit(&bob, ListKind::Block, format!("{{\"{word}\": [\"{text}\"]}}").as_bytes(), &budget).unwrap();
            prop_assert_eq!(kept.is_none(), model.is_empty());
            for (client, user, texts) in [
                ("a", "u", &["client:a", "client:a*", "*"][..]),
                ("ab", "a", &["user:a", "client:a*", "*"]),
                ("b", "u", &["client:b", "*"]),
                ("b~1", "u", &["client:b~*", "*"]),
            ] {
                let blocked = texts.iter().any(|text| model.contains(text));
                prop_assert_eq!(recipients.judge(&of_user(client, user), "bob").is_err(), blocked, "{} {:?}", client, model);
            }
        }
    }
}
