//! The engine of the access rules against tables written by hand, and against a model.

use std::sync::Arc;

use inbox_types::{ClientId, InboxSize};
use proptest::prelude::*;

use super::client_pattern::ClientPattern;
use super::topic_rule::TopicRule;
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

/// Whether a topic matches a filter, by the book (MQTT 5, section 4.7).
fn matches(filter: &[&str], topic: &[&str]) -> bool {
    if topic.first().is_some_and(|first| first.starts_with('$')) && matches!(filter.first(), Some(&"+" | &"#")) {
        return false;
    }
    match (filter.split_first(), topic.split_first()) {
        (Some((&"#", _)), _) | (None, None) => true,
        (Some((&"+", rest)), Some((_, topics))) => levels_match(rest, topics),
        (Some((level, rest)), Some((topic, topics))) => level == topic && levels_match(rest, topics),
        _ => false,
    }
}

fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter.split_first(), topic.split_first()) {
        (Some((&"#", _)), _) | (None, None) => true,
        (Some((&"+", rest)), Some((_, topics))) => levels_match(rest, topics),
        (Some((level, rest)), Some((topic, topics))) => level == topic && levels_match(rest, topics),
        _ => false,
    }
}

/// Every topic of up to four levels over the names that filters here have, and one that they do not have.
fn all_topics() -> Vec<Vec<&'static str>> {
    const NAMES: [&str; 5] = ["a", "me", "$s", "", "other"];
    let mut all: Vec<Vec<&str>> = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|topic| NAMES.iter().map(|name| [topic.as_slice(), &[*name]].concat()))
            .collect();
        all.extend(last.iter().cloned());
    }
    // No topic is empty (MQTT-4.7.3-1); rules need not know that.
    all.retain(|topic| !topic.is_empty());
    all
}

fn filter(names: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    (
        proptest::collection::vec(proptest::sample::select(names), 1..4),
        any::<bool>(),
    )
        .prop_map(|(mut levels, open)| {
            if open {
                levels.pop();
                levels.push("#");
            }
            levels
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_rule_has_all_topics_of_a_filter_or_one(
        rule in filter(&["a", "%c", "$s", "", "+"]),
        wanted in filter(&["a", "me", "$s", "", "+"]),
    ) {
        // Goal: against every topic there is: allowing needs all of a filter's, denying one.
        prop_assume!(rule.len() > 1 || ["#", "+", "$s"].contains(&rule[0]));
        prop_assume!(rule != ["+"]);
        let me = client("me", "", &[]);
        let parsed = TopicRule::parse(&rule.join("/"), "no/").unwrap();
        let plain: Vec<_> = rule.iter().map(|level| if *level == "%c" { "me" } else { level }).collect();
        let topics: Vec<_> = all_topics().into_iter().filter(|topic| matches(&wanted, topic)).collect();
        let text = wanted.join("/");
        prop_assume!(!text.is_empty());
        prop_assert_eq!(parsed.covers(&text, &me), topics.iter().all(|topic| matches(&plain, topic)), "{:?} {:?}", rule, wanted);
        prop_assert_eq!(parsed.meets(&text, &me), topics.iter().any(|topic| matches(&plain, topic)), "{:?} {:?}", rule, wanted);
    }

    #[test]
    fn the_first_rule_that_fits_an_inbox_counts(
        patterns in proptest::collection::vec("[aä%]?[aä]{0,2}\\*?", 0..6),
        owner in "[aä]{1,4}",
    ) {
        // Goal: however rules are looked up, it is as if they were gone through from the first to the last.
        let patterns: Vec<_> = patterns.iter().map(|of| of.replace('%', "%c")).filter(|of| !of.is_empty()).collect();
        let inbox = |of: &String| format!("[[inbox]]\nof = \"{of}\"\nallow = [\"*\"]\n");
        let file: String = patterns.iter().map(inbox).collect();
        let who = client("a", "u", &[]);
        let fits = |of: &String| ClientPattern::parse(of).unwrap().has(&owner, &who);
        let expected = patterns.iter().position(fits).map_or(Grounds::BuiltIn, |at| Grounds::Line(3 * at as u32 + 3));
        prop_assert_eq!(rules(&file).write_to(&who, &owner), Ok(expected), "{:?}", patterns);
    }

    #[test]
    fn nothing_that_a_client_is_called_is_a_wildcard(id in "[a+#/$*%]{1,6}", other in "[a+#/$*%]{1,6}") {
        // Goal: a client ID of wildcards, slashes and patterns stands for itself, and for nothing else.
        let who = client(&id, "", &[]);
        let pattern = ClientPattern::parse("%c").unwrap();
        prop_assert_eq!(pattern.has(&other, &who), id == other);
        let rule = TopicRule::parse("x/%c", "no/").unwrap();
        let is_level = !id.contains('/') && id != "+" && id != "#";
        prop_assert_eq!(rule.covers(&format!("x/{id}"), &who), is_level);
        prop_assert!(!rule.covers("x/#", &who) && !rule.covers("x/+", &who));
    }

    #[test]
    fn no_text_makes_it_panic(text in "(\\[\\[(role|inbox)\\]\\]\n)?([a-z_]{1,9} = (\\[\"[%*a-z+#/]{0,5}\"\\]|\"[a-z%]{0,3}\")\n){0,4}") {
        // Goal: whatever a file says, it is rules or a line with an error.
        if let Err((line, why)) = Rules::parse(&text, "") {
            prop_assert!(line >= 1 && !why.to_string().is_empty());
        }
    }
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

#[test]
fn an_inbox_has_the_size_of_the_first_rule_that_says_one() {
    // Goal: by client ID or its beginning, the first that fits and says a size; what it does not say is as usual, whatever later ones say.
    let usual = InboxSize {
        messages_max: 100,
        bytes_max: 1000,
    };
    let rules = rules(
        r#"
[[inbox]]
of = "ceo"
deny = ["*"]
[[inbox]]
of = "ceo"
messages_max = 7
allow = ["role:staff"]
[[inbox]]
of = "sensor-*"
bytes_max = "64KiB"
[[inbox]]
of = "100%%"
bytes_max = 9
[[inbox]]
of = "c*"
messages_max = 1
bytes_max = 2
"#,
    );
    let sizes = rules.sizes().unwrap();
    for (id, messages_max, bytes_max) in [
        ("ceo", 7, 1000),
        ("ceo~phone", 1, 2),
        ("sensor-", 100, 65536),
        ("sensor-1", 100, 65536),
        ("sensor", 100, 1000),
        ("100%", 100, 9),
        ("bob", 100, 1000),
    ] {
        let size = InboxSize {
            messages_max,
            bytes_max,
        };
        assert_eq!(sizes.size_of(&ClientId::new(id).unwrap(), usual), size, "{id}");
    }
    // The lists are asked as if there were no sizes.
    let staff = client("a", "a", &["staff"]);
    assert_eq!(rules.write_to(&staff, "ceo"), Err(Denied::Rule(4)));
    assert_eq!(rules.write_to(&staff, "ceo~phone"), BUILT_IN);
}

#[test]
fn a_size_says_nothing_about_who_may_write() {
    // Goal: rules of sizes alone change nothing for senders, and hide no list behind them; without any, nobody is asked for a size.
    let size = "[[inbox]]\nof = \"*\"\nmessages_max = 5\n";
    let list = "[[inbox]]\nof = \"bob\"\ndeny = [\"*\"]\n";
    let (alice, nobody) = (client("alice", "alice", &[]), client("anonymous~1", "", &[]));
    let sized = rules(size);
    assert_eq!(sized.write_to(&alice, "bob"), BUILT_IN);
    assert_eq!(sized.write_to(&nobody, "bob"), Err(Denied::NoUser));
    assert_eq!(
        rules(&format!("{size}{list}")).write_to(&alice, "bob"),
        Err(Denied::Rule(6))
    );
    assert!(rules(list).sizes().is_none() && Rules::without_file(true).sizes().is_none());
}
