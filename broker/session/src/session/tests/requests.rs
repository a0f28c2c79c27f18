//! Requests about the client's own inbox.

use super::*;

#[test]
fn requests_that_wait_for_the_disk_are_bounded() {
    // Goal: regression: with QoS 0 nothing made a client wait that changed its lists faster than the disk took them, and what waited
    // counted nowhere. Beyond the memory budget they are refused; when it is durable, they are taken again.
    const BUDGET: usize = 4 << 20;
    let limits = Limits {
        memory_bytes_max: BUDGET,
        ..Limits::default()
    };
    let world = World::with(limits, |_| {});
    let budget = &world.shared.node.budgets.all;
    let mut bob = world.client(V5, "bob");
    let senders: Vec<String> = (0..40).map(|n| format!("\"client:{}{n}\"", "x".repeat(1000))).collect();
    let request = format!("{{\"set\": [{}]}}", senders.join(","));
    for _ in 0..300 {
        bob.send(publish(V5, 0, 0, "$inbox/block", &request));
    }
    assert!(
        (BUDGET..BUDGET + 2 * request.len()).contains(&budget.used()),
        "{}",
        budget.used()
    );
    bob.send(publish(V5, 1, 1, "$inbox/block", &request));
    assert!(matches!(&bob.said()[..], [Said::Ack { reason: 0x97, .. }, ..]), "full");
    while budget.used() >= BUDGET {
        world.commit();
    }
    bob.send(publish(V5, 1, 2, "$inbox/block", "{\"set\": []}"));
    world.commit();
    assert!(matches!(&bob.said()[..], [Said::Ack { id: 2, reason: 0, .. }]), "free");
}

/// A world with somebody who answers operators, who are everybody if `all` is set.
fn operated(all: bool, most: usize) -> (World, flume::Receiver<crate::OperatorsRequest>) {
    let mut world = World::new();
    let (operators, requests) = crate::Operators::bounded(most);
    let shared = Arc::get_mut(&mut world.shared).expect("nobody else has it yet");
    shared.operators = operators;
    shared
        .access
        .enforce(access::Rules::without_file(false).operated_by_all(all));
    (world, requests)
}

#[test]
fn what_operators_ask_is_handed_on_with_where_it_is_to_be_answered() {
    // Goal: the command, the parameters, the QoS, and Response Topic and Correlation Data (MQTT 5, section 4.10) of a request; it is acknowledged
    // at once, and beyond what may wait it is refused.
    let (world, requests) = operated(true, 2);
    let mut olga = world.client(V5, "olga");
    let reply_to = [&[0x08, 0, 4][..], b"olga", &[0x09, 0, 2], b"no"].concat();
    let topic = "$SYS/inboxd/api/inbox/show";
    olga.send(publish_with(V5, 0x32, 1, topic, &reply_to, "{\"client\":\"bob\"}"));
    olga.send(publish_with(V5, 0x30, 0, "$SYS/inboxd/api/overview", &reply_to, ""));
    assert!(matches!(&olga.said()[..], [Said::Ack { id: 1, reason: 0, .. }]));
    let first = requests.try_recv().unwrap();
    assert_eq!(
        (&*first.command, &first.parameters[..]),
        ("inbox/show", &b"{\"client\":\"bob\"}"[..])
    );
    assert_eq!(
        (first.who.client_id().as_str(), first.qos),
        ("olga", inbox_types::Qos::AtLeastOnce)
    );
    assert_eq!(
        (&*first.reply.topic, first.reply.correlation_data.as_deref()),
        ("olga", Some(&b"no"[..]))
    );
    olga.send(publish_with(V5, 0x32, 2, topic, &reply_to, ""));
    olga.send(publish_with(V5, 0x32, 3, topic, &reply_to, ""));
    let said = olga.said();
    assert!(
        matches!(
            &said[..],
            [
                Said::Ack { id: 2, reason: 0, .. },
                Said::Ack {
                    id: 3,
                    reason: 0x97,
                    ..
                }
            ]
        ),
        "{said:?}"
    );
    assert_eq!(requests.len(), 2);
    // Nobody would hear what came of it.
    olga.send(publish(V5, 1, 4, topic, ""));
    assert!(matches!(
        &olga.said()[..],
        [Said::Ack {
            id: 4,
            reason: 0x83,
            ..
        }]
    ));
    assert_eq!(requests.len(), 2);
}

#[test]
fn others_are_not_taken_for_operators() {
    // Goal: who has not the role is refused, MQTT 3.1.1 by a notice; nothing is handed on.
    let (world, requests) = operated(false, 2);
    let mut eve = world.client(V5, "eve");
    eve.send(publish(V5, 1, 1, "$SYS/inboxd/api/inbox/purge", "{\"client\":\"bob\"}"));
    eve.send(publish(V5, 0, 0, "$SYS/inboxd/api/inbox/purge", "{\"client\":\"bob\"}"));
    assert!(matches!(
        &eve.said()[..],
        [Said::Ack {
            id: 1,
            reason: 0x87,
            ..
        }]
    ));
    let mut old = world.client(V311, "old");
    old.send(publish(
        V311,
        1,
        1,
        "$SYS/inboxd/api/inbox/purge",
        "{\"client\":\"bob\"}",
    ));
    assert_eq!(world.stored("old").len(), 1, "it is told by a notice");
    assert!(requests.is_empty());
}

#[test]
fn where_nobody_answers_operators_their_topics_are_like_others_of_the_broker() {
    // Goal: no answer is promised that nobody would give.
    let world = World::new();
    let shared = &world.shared;
    shared
        .access
        .enforce(access::Rules::without_file(false).operated_by_all(true));
    let mut olga = world.client(V5, "olga");
    let reply_to = [&[0x08, 0, 4][..], b"olga"].concat();
    olga.send(publish_with(V5, 0x32, 1, "$SYS/inboxd/api/overview", &reply_to, ""));
    assert!(matches!(
        &olga.said()[..],
        [Said::Ack {
            id: 1,
            reason: 0x90,
            ..
        }]
    ));
}
