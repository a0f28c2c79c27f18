//! Rules against models: what a filter means by the book, and going through all rules from the first to the last.

use proptest::prelude::*;

use super::super::client_pattern::ClientPattern;
use super::super::topic_rule::TopicRule;
use super::*;

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
