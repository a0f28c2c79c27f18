//! Sizes of inboxes by rule.

use inbox_types::{ClientId, InboxSize};

use super::*;

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
