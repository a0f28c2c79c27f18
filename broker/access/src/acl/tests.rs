//! The engine of the access rules against tables written by hand, and against a model.

mod model;
mod sizes;

use std::sync::Arc;

use inbox_types::ClientId;

use super::*;
use crate::identity::Account;
use crate::{Action, Target};

fn client(id: &str, user: &str, roles: &[&str]) -> Identity {
    let id = ClientId::new(id).unwrap();
    if user.is_empty() {
        return Identity::anonymous(id);
    }
    let account = Account {
        user: user.into(),
        roles: roles.iter().map(|role| Box::from(*role)).collect(),
        ..Account::default()
    };
    Identity::of(id, Arc::new(account))
}

fn rules(text: &str) -> Rules {
    Rules::parse(text, "").unwrap()
}

fn wrong(text: &str) -> (u32, String) {
    let (line, why) = Rules::parse(text, "").unwrap_err();
    (line, why.to_string())
}

const BUILT_IN: Result<Grounds, Denied> = Ok(Grounds::BuiltIn);
const NO_RULE: Result<Grounds, Denied> = Err(Denied::NoRule);

#[test]
fn without_a_file_users_write_and_operators_watch() {
    // Goal: what holds without a file, where users are known and where they are not.
    let (known, unknown) = (Rules::without_file(true), Rules::without_file(false));
    let (alice, nobody, ops) = (
        client("alice", "alice", &[]),
        client("anonymous~1", "", &[]),
        client("o", "o", &["ops"]),
    );
    for (who, action, where_known, where_unknown) in [
        (&alice, Action::Publish(Target::Inbox("bob")), BUILT_IN, BUILT_IN),
        (
            &nobody,
            Action::Publish(Target::Inbox("bob")),
            Err(Denied::NoUser),
            BUILT_IN,
        ),
        (&nobody, Action::Publish(Target::Ordinary("a/b")), BUILT_IN, BUILT_IN),
        (&alice, Action::Subscribe(Target::Ordinary("#")), BUILT_IN, BUILT_IN),
        (
            &alice,
            Action::Subscribe(Target::Reserved("$SYS/#")),
            Err(Denied::NotOps),
            BUILT_IN,
        ),
        (
            &nobody,
            Action::Subscribe(Target::Reserved("$SYS/x")),
            Err(Denied::NotOps),
            BUILT_IN,
        ),
        (&ops, Action::Subscribe(Target::Reserved("$SYS/#")), BUILT_IN, BUILT_IN),
        (
            &ops,
            Action::Publish(Target::Reserved("$SYS/x")),
            Err(Denied::Reserved),
            Err(Denied::Reserved),
        ),
        (&alice, Action::Subscribe(Target::Inbox("alice")), BUILT_IN, BUILT_IN),
        (
            &ops,
            Action::Subscribe(Target::Inbox("alice")),
            Err(Denied::OthersInbox),
            Err(Denied::OthersInbox),
        ),
    ] {
        assert_eq!(known.judge(who, action), where_known, "{who:?} {action:?}");
        assert_eq!(unknown.judge(who, action), where_unknown, "{who:?} {action:?}");
    }
}

#[test]
fn with_a_file_ordinary_topics_are_for_whom_it_names() {
    // Goal: roles by member, by token and by kind; what denies goes before what allows; %c and %u are whoever asks.
    let rules = rules(
        r#"[[role]]
name = "staff"
members = ["alice"]
publish = ["work/%u/#", "dev/%c/up"]
subscribe = ["work/#"]
deny_subscribe = ["work/secret/#"]
[[role]]
name = "everyone"
publish = ["hello/%c"]
deny_publish = ["hello/eve"]
[[role]]
name = "anonymous"
subscribe = ["public/+"]
"#,
    );
    let (alice, carol) = (client("alice~p", "alice", &[]), client("carol", "carol", &["staff"]));
    let (bob, eve, nobody) = (
        client("bob", "bob", &[]),
        client("eve", "eve", &[]),
        client("anonymous", "", &[]),
    );
    for (who, topic, decided) in [
        (&alice, "work/alice/x", Ok(Grounds::Line(4))),
        (&alice, "work/alice", Ok(Grounds::Line(4))),
        (&alice, "work/carol/x", NO_RULE),
        (&carol, "work/carol/x", Ok(Grounds::Line(4))),
        (&alice, "dev/alice~p/up", Ok(Grounds::Line(4))),
        (&alice, "dev/alice/up", NO_RULE),
        (&bob, "work/bob/x", NO_RULE),
        (&bob, "hello/bob", Ok(Grounds::Line(9))),
        (&bob, "hello/eve", Err(Denied::Rule(10))),
        (&eve, "hello/eve", Err(Denied::Rule(10))),
        (&nobody, "hello/anonymous", Ok(Grounds::Line(9))),
        (&nobody, "work//x", NO_RULE),
    ] {
        assert_eq!(
            rules.judge(who, Action::Publish(Target::Ordinary(topic))),
            decided,
            "{who:?} {topic}"
        );
    }
    for (who, filter, decided) in [
        (&alice, "work/+/x", Err(Denied::Rule(6))),
        (&alice, "work/open/#", Ok(Grounds::Line(5))),
        (&alice, "work/#", Err(Denied::Rule(6))),
        (&alice, "work/secret", Err(Denied::Rule(6))),
        (&alice, "#", Err(Denied::Rule(6))),
        (&bob, "#", NO_RULE),
        (&nobody, "public/x", Ok(Grounds::Line(13))),
        (&nobody, "public/+", Ok(Grounds::Line(13))),
        (&nobody, "public/#", NO_RULE),
        (&bob, "public/x", NO_RULE),
    ] {
        assert_eq!(
            rules.judge(who, Action::Subscribe(Target::Ordinary(filter))),
            decided,
            "{who:?} {filter}"
        );
    }
}

#[test]
fn who_writes_to_whose_inbox() {
    // Goal: by default every user to every inbox; lists of an inbox narrow that, the first that fits counts, and `service` passes them;
    // what a role denies holds for everybody that has it.
    let rules = rules(
        r#"[[inbox]]
of = "ceo"
allow = ["role:board", "user:alice", "client:bob~desk"]
[[inbox]]
of = "ceo*"
deny = ["*"]
[[inbox]]
of = "shop"
deny = ["user:eve", "client:spam-*"]
[[role]]
name = "sandbox"
members = ["mallory"]
deny_write_to = ["*"]
[[role]]
name = "meter"
write_to = ["%u~*"]
[[role]]
name = "anonymous"
write_to = ["shop"]
"#,
    );
    let board = client("b", "b", &["board"]);
    let (alice, bob, desk) = (
        client("alice", "alice", &[]),
        client("bob", "bob", &[]),
        client("bob~desk", "bob", &[]),
    );
    let (service, eve, nobody) = (
        client("s", "s", &["service"]),
        client("eve", "eve", &[]),
        client("anonymous", "", &[]),
    );
    let mallory = client("mallory", "mallory", &["service"]);
    for (who, owner, decided) in [
        (&board, "ceo", Ok(Grounds::Line(3))),
        (&alice, "ceo", Ok(Grounds::Line(3))),
        (&bob, "ceo", Err(Denied::Rule(2))),
        (&desk, "ceo", Ok(Grounds::Line(3))),
        (&service, "ceo", BUILT_IN),
        (&nobody, "ceo", Err(Denied::Rule(2))),
        (&alice, "ceo~phone", Err(Denied::Rule(6))),
        (&service, "ceo~phone", BUILT_IN),
        (&bob, "shop", BUILT_IN),
        (&eve, "shop", Err(Denied::Rule(9))),
        (&client("spam-1", "x", &[]), "shop", Err(Denied::Rule(9))),
        (&nobody, "shop", Ok(Grounds::Line(19))),
        (&nobody, "bob", Err(Denied::NoUser)),
        (&eve, "bob", BUILT_IN),
        (&mallory, "bob", Err(Denied::Rule(13))),
    ] {
        assert_eq!(
            rules.judge(who, Action::Publish(Target::Inbox(owner))),
            decided,
            "{who:?} {owner}"
        );
    }
}

#[test]
fn the_file_can_take_away_what_is_built_in() {
    // Goal: a list in the file takes the place of the built-in one of that role, and an empty list is a list.
    let rules = rules(
        r#"[[role]]
name = "authenticated"
write_to = []
[[role]]
name = "ops"
subscribe = ["$SYS/inboxd/#"]
members = ["olga"]
"#,
    );
    let (alice, olga) = (client("alice", "alice", &[]), client("olga", "olga", &[]));
    assert_eq!(rules.judge(&alice, Action::Publish(Target::Inbox("bob"))), NO_RULE);
    let sys = |filter| rules.judge(&olga, Action::Subscribe(Target::Reserved(filter)));
    assert_eq!(sys("$SYS/inboxd/metrics"), Ok(Grounds::Line(6)));
    assert_eq!(sys("$SYS/#"), Err(Denied::NotOps));
}

#[test]
fn a_role_can_bring_client_ids() {
    // Goal: a gateway has the IDs of its devices beside its own; nobody else has, and clients without a user have none by a role.
    let rules = rules("[[role]]\nname = \"gateway\"\nmembers = [\"gw\"]\nclient_ids = [\"sensor-*\", \"%u-x\"]\n");
    let connect = |id: &str, user: &str| rules.judge(&client(id, user, &[]), Action::Connect);
    assert_eq!(connect("gw~1", "gw"), BUILT_IN);
    assert_eq!(connect("sensor-7", "gw"), Ok(Grounds::Line(4)));
    assert_eq!(connect("gw-x", "gw"), Ok(Grounds::Line(4)));
    assert_eq!(connect("bob", "gw"), Err(Denied::ClientId));
    assert_eq!(connect("sensor-7", "bob"), Err(Denied::ClientId));
}

#[test]
fn mistakes_are_told_with_their_line() {
    // Goal: every mistake that a file can have is refused, on its line, with what to do.
    for (text, line, word) in [
        ("[[role]]\nname = \"a\"\npublsh = [\"x/y\"]", 3, "publsh"),
        ("[[role]]\nname = \"a\"\n[[role]]\nname = \"a\"", 4, "line 2"),
        ("[[role]]\nname = \"a b\"", 2, "a-z"),
        (
            "[[role]]\nname = \"a\"\npublish = [\n  \"x/y\",\n  \"x/#/y\"]",
            5,
            "last one",
        ),
        ("[[role]]\nname = \"a\"\npublish = [\"x/a+\"]", 3, "whole levels"),
        ("[[role]]\nname = \"a\"\npublish = [\"bob\"]", 3, "write_to"),
        ("[[role]]\nname = \"a\"\nsubscribe = [\"x/%d\"]", 3, "%c"),
        ("[[role]]\nname = \"a\"\nsubscribe = [\"\"]", 3, "chat/%c"),
        ("[[role]]\nname = \"a\"\nwrite_to = [\"a*b\"]", 3, "at the end"),
        ("[[role]]\nname = \"a\"\nmembers = [\"bo~b\"]", 3, "bo~b"),
        (
            "[[role]]\nname = \"everyone\"\nmembers = [\"bob\"]",
            3,
            "given by the broker",
        ),
        ("[[role]]\nname = \"anonymous\"\nclient_ids = [\"*\"]", 2, "anonymous~"),
        ("[[role]]\nname = \"a\"\nwrite_to = [\"chat/x\"]", 3, "has an inbox"),
        (
            "[[role]]\nname = \"a\"\npublish = [\"$inbox/block\"]",
            3,
            "leave it out",
        ),
        ("[[inbox]]\nof = \"help/desk\"\ndeny = [\"*\"]", 2, "has an inbox"),
        ("[[inbox]]\nof = \"bob\"", 2, "allow or deny"),
        ("[[inbox]]\nof = \"bob\"\nallow = [\"alice\"]", 3, "user:NAME"),
        ("[[inbox]]\nof = \"bob\"\nallow = [\"user:\"]", 3, "user:NAME"),
        ("[[inbox]]\nof = \"bob\"\nmessages_max = 0", 3, "from 1 on"),
        ("[[inbox]]\nof = \"bob\"\nmessages_max = -1", 3, "from 1 on"),
        ("[[inbox]]\nof = \"bob\"\nmessages_max = \"10\"", 3, "from 1 on"),
        ("[[inbox]]\nof = \"bob\"\n\nbytes_max = \"10MB\"", 4, "10MiB"),
        ("[[inbox]]\nof = \"bob\"\nbytes_max = \"1025TiB\"", 3, "10MiB"),
        ("[[inbox]]\nof = \"bob\"\nbytes_max = 0", 3, "10MiB"),
        ("[[inbox]]\nof = \"bob\"\nbytes_max = 1.5", 3, "10MiB"),
        ("[[inbox]]\nof = \"%u~*\"\nbytes_max = 10", 2, "who sends"),
        ("role = 1", 1, ""),
        ("[[role]\n", 1, ""),
    ] {
        let (at, why) = wrong(text);
        assert!(at == line && why.contains(word), "{text}: {at}: {why}");
    }
    assert!(Rules::parse("", "").is_ok());
    assert!(TopicRule::parse("bob", "inbox/").is_ok() && TopicRule::parse("inbox/bob", "inbox/").is_err());
}

#[test]
fn a_file_that_cannot_be_read_says_which_and_why() {
    // Goal: no file, a directory, no UTF-8, too large: each has its sentence, with the path.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acl.toml");
    let said = || Rules::load(&path, "").unwrap_err().to_string();
    assert!(said().contains("acl.toml") && said().contains("access.acl_file"));
    std::fs::write(&path, b"\xff").unwrap();
    assert!(said().contains("acl.toml"));
    std::fs::write(&path, "#".repeat(5 * 1024 * 1024)).unwrap();
    assert!(said().contains("larger"));
    std::fs::write(&path, "\n\n[[x]]").unwrap();
    assert!(said().contains("line 3"), "{}", said());
    assert!(Rules::load(dir.path(), "").is_err());
}

#[test]
fn a_sender_has_its_own_pattern() {
    // Goal: with %u in it, a list of an inbox can be about the client that asks, and clients without a user are not meant.
    let rules = rules("[[inbox]]\nof = \"%u~*\"\nallow = [\"*\"]\n[[inbox]]\nof = \"*\"\ndeny = [\"*\"]\n");
    let to = |who: &Identity, owner| rules.judge(who, Action::Publish(Target::Inbox(owner)));
    let (alice, nobody) = (client("alice", "alice", &[]), client("anonymous", "", &[]));
    assert_eq!(to(&alice, "alice~x"), Ok(Grounds::Line(3)));
    assert_eq!(to(&alice, "bob~x"), Err(Denied::Rule(6)));
    assert_eq!(to(&nobody, "~x"), Err(Denied::Rule(6)));
}
