//! What the list holds, in how much memory, and how its limits refuse.

use inbox_types::Expiry;

use super::*;
use crate::tests::{message, retained};

const ROOMY: Room = Room {
    messages_max: 10,
    bytes_max: 1000,
    cache_bytes_max: 10_000,
};

fn of(topic: &str, payload: &str, ends: Option<u64>) -> Arc<OrdinaryMessage> {
    Arc::new(OrdinaryMessage {
        expiry: ends.map(|ends| Expiry::of(Age(0), ends, None)),
        ..retained(topic, payload)
    })
}

fn put(index: &mut Index, message: &Arc<OrdinaryMessage>, now: u64) -> Result<u64, PublishError> {
    index.put(message, Age(now), &mut Vec::new())
}

fn topics(index: &Index, filter: &str, now: u64) -> Vec<String> {
    let matching = index.matching(filter, None, u64::MAX, Age(now));
    assert!(matching.more_after.is_none());
    matching.found.iter().map(|found| found.topic.to_string()).collect()
}

#[test]
fn mqtt_3_3_1_5_the_latest_message_is_retained() {
    // Goal: one message per topic, the latest; it goes as if it had never been; topics with a $ are found by their filters alone.
    let mut index = Index::new(ROOMY);
    put(&mut index, &of("a/b", "1", None), 0).unwrap();
    let stamp = put(&mut index, &of("a/b", "22", None), 0).unwrap();
    put(&mut index, &of("$SYS/x", "3", None), 0).unwrap();
    let found = index.matching("a/+", None, stamp, Age(0)).found;
    assert_eq!(&*found[0].message.as_ref().unwrap().payload, b"22");
    assert!(index.is_current("a/b", stamp, Age(0)) && !index.is_current("a/b", stamp - 1, Age(0)));
    assert_eq!(topics(&index, "#", 0), ["a/b"]);
    assert_eq!(topics(&index, "$SYS/#", 0), ["$SYS/x"]);
    assert!(index.remove("a/b") && !index.remove("a/b") && index.remove("$SYS/x"));
    assert_eq!((index.len(), index.bytes, index.memory()), (0, 0, 0));
}

#[test]
fn filters_find_what_they_match_wherever_their_wildcards_are() {
    // Goal: looking only at names with the right beginning misses none: `a/#` matches `a`, too, and `ab` is between `a` and `a/b` or is not.
    let mut index = Index::new(ROOMY);
    let all = ["a", "a!", "a/", "a/b", "a/b/c", "ab", "b/a", "é/ü"];
    for topic in all {
        put(&mut index, &of(topic, "x", None), 0).unwrap();
    }
    for filter in [
        "#", "a/#", "a/+", "+", "+/#", "a/b/#", "+/b/c", "a", "ab/#", "é/+", "a/b/+",
    ] {
        let expected: Vec<_> = all.iter().filter(|topic| crate::matches(topic, filter)).collect();
        assert_eq!(
            topics(&index, filter, 0).iter().collect::<Vec<_>>(),
            expected,
            "{filter}"
        );
    }
}

#[test]
fn mqtt_3_3_2_5_an_expired_message_is_not_seen_and_reading_does_not_age_it() {
    // Goal: it is there to the last moment, however often it was read, and then not; sweeping takes it out, a part of the topics at a time.
    let mut index = Index::new(ROOMY);
    for topic in ["a/1", "a/2", "a/3"] {
        put(&mut index, &of(topic, "1", Some(99)), 0).unwrap();
    }
    put(&mut index, &of("a/4", "1", None), 0).unwrap();
    for now in 0..100 {
        assert_eq!(topics(&index, "#", now).len(), 4, "at {now}");
        assert!(index.sweep(10, Age(now)).is_empty());
    }
    assert_eq!(topics(&index, "#", 100), ["a/4"]);
    assert_eq!(index.sweep(2, Age(100)).len(), 2);
    assert_eq!(index.sweep(2, Age(100)), [Box::from("a/3")]);
    assert_eq!((index.len(), index.ending), (1, 0));
}

#[test]
fn topics_of_the_broker_do_not_count() {
    // Goal: what the broker itself retains takes no room of clients, and always has some.
    let room = Room {
        messages_max: 1,
        bytes_max: 20,
        ..ROOMY
    };
    let mut index = Index::new(room);
    put(&mut index, &of("a/1", "x", None), 0).unwrap();
    for topic in ["$SYS/1", "$SYS/2", "$SYS/1"] {
        put(&mut index, &of(topic, "a value of the broker", None), 0).unwrap();
    }
    assert_eq!((index.len(), index.bytes), (1, 4));
    assert_eq!(topics(&index, "$SYS/+", 0), ["$SYS/1", "$SYS/2"]);
    assert_eq!(
        put(&mut index, &of("a/2", "x", None), 0),
        Err(PublishError::RetainedFull)
    );
}

#[test]
fn a_full_list_refuses_and_stays_as_it_was() {
    // Goal: both limits refuse, a refusal changes nothing, and replacing and expiry make room; the store is told what is expired.
    let room = Room {
        messages_max: 2,
        bytes_max: 20,
        ..ROOMY
    };
    let mut index = Index::new(room);
    put(&mut index, &of("a/1", "xx", None), 0).unwrap();
    put(&mut index, &of("a/2", "xx", Some(49)), 0).unwrap();
    assert_eq!(
        put(&mut index, &of("a/3", "x", None), 0),
        Err(PublishError::RetainedFull)
    );
    let larger = of("a/1", "0123456789abc", None);
    assert_eq!(put(&mut index, &larger, 0), Err(PublishError::RetainedFull));
    assert_eq!(topics(&index, "#", 0), ["a/1", "a/2"]);
    put(&mut index, &of("a/1", "0123456789ab", None), 0).unwrap();
    let (later, mut expired) = (Age(2_000_000), Vec::new());
    index.put(&of("a/3", "xx", None), later, &mut expired).unwrap();
    assert_eq!(
        (topics(&index, "#", later.0), index.bytes),
        (vec!["a/1".into(), "a/3".into()], 20)
    );
    assert_eq!(expired, [Box::from("a/2")]);
}

#[test]
fn messages_leave_memory_when_the_store_has_them_and_others_need_the_room() {
    // Goal: nothing leaves that the store does not have; the first ones leave first; the books are even when all are gone.
    let one = cost(&message("a/0", "x"));
    let room = Room {
        cache_bytes_max: 2 * one,
        ..ROOMY
    };
    let mut index = Index::new(room);
    let stamps: Vec<_> = (0..5)
        .map(|n| put(&mut index, &of(&format!("a/{n}"), "x", None), 0).unwrap())
        .collect();
    let in_memory = |index: &Index| -> Vec<bool> {
        let found = index.matching("#", None, u64::MAX, Age(0)).found;
        found.iter().map(|found| found.message.is_some()).collect()
    };
    assert_eq!(in_memory(&index), [true; 5]);
    for n in [0, 1, 3, 4] {
        index.is_kept(&format!("a/{n}"), stamps[n]);
    }
    assert_eq!(in_memory(&index), [false, false, true, true, true]);
    index.was_read(stamps[0], &of("a/0", "x", None));
    assert_eq!(in_memory(&index), [true, false, true, false, true]);
    // One that was replaced meanwhile is not what the store has.
    put(&mut index, &of("a/2", "y", None), 0).unwrap();
    index.is_kept("a/2", stamps[2]);
    assert_eq!((in_memory(&index)[2], index.cached_bytes), (true, 2 * one));
    for n in 0..5 {
        index.remove(&format!("a/{n}"));
    }
    assert_eq!((index.cached_bytes, index.cached.len(), index.memory()), (0, 0, 0));
    for n in 0..5 {
        index.restore((*of(&format!("a/{n}"), "x", None)).clone());
    }
    assert_eq!(in_memory(&index), [true, true, false, false, false]);
}

#[test]
fn very_many_messages_are_found_in_pages() {
    // Goal: a page is bounded in messages, in bytes, and in topics that are looked at; together they have everything once, and none that is newer.
    let room = Room {
        messages_max: 100_000,
        bytes_max: u64::MAX,
        cache_bytes_max: usize::MAX,
    };
    let mut index = Index::new(room);
    for n in 0..40_000 {
        put(&mut index, &of(&format!("few/{n:05}"), "x", None), 0).unwrap();
    }
    put(&mut index, &of("few/20000/x", "x", None), 0).unwrap();
    let up_to = index.last();
    put(&mut index, &of("few/30000", "newer", None), 0).unwrap();
    let all = |filter: &str| {
        let (mut pages, mut topics, mut after) = (0, Vec::new(), None::<Box<str>>);
        loop {
            let Matching { found, more_after } = index.matching(filter, after.as_deref(), up_to, Age(0));
            assert!(found.len() <= PAGE_MESSAGES_MAX);
            pages += 1;
            topics.extend(found.into_iter().map(|found| found.topic));
            after = more_after;
            if after.is_none() {
                return (pages, topics);
            }
        }
    };
    let (pages, topics) = all("#");
    assert_eq!((pages, topics.len()), (40, 40_000));
    assert!(topics.is_sorted() && !topics.contains(&"few/30000".into()));
    assert_eq!(all("few/+/x"), (3, vec!["few/20000/x".into()]));
}
