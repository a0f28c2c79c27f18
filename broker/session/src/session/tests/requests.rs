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
