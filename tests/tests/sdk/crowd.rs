//! Many clients that write to each other while links are cut and the broker is killed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use inbox_client::{Inbox, Status};
use inbox_tests::{Broker, Kind, Relay, Trick, Way, wait_until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::tempdir;
use tokio::task::{JoinSet, block_in_place};

use crate::{on_disk, options, within};

const CLIENTS: usize = 20;
const MESSAGES_EACH: usize = 50;
/// Of these, each fifth kills the broker.
const TROUBLES: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_loses_doubles_and_reorders_nothing_whatever_happens() {
    // Goal: the oracle of the contract: every `send` that returned is handed once to an application that acknowledges, in order per sender and
    // recipient, over cuts, silence, lost packets and kills of the broker.
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut broker = Broker::start();
    let folder = tempdir().unwrap();
    let received = Arc::new(AtomicUsize::new(0));
    let (mut relays, mut inboxes) = (Vec::new(), Vec::new());
    for number in 0..CLIENTS {
        let (relay, name) = (Relay::to(broker.port()), format!("c{number}"));
        // Some keep nothing: for a process that lives, that is no different.
        let mut options = match number % 2 {
            0 => on_disk(relay.port(), &name, &folder),
            _ => options(relay.port(), &name),
        };
        let short = Duration::from_millis(500);
        (options.heartbeat.first, options.heartbeat.shortest) = (short, short);
        inboxes.push(within(Inbox::connect(options)).await.unwrap());
        relays.push(relay);
    }
    let mut senders = JoinSet::new();
    for inbox in &inboxes {
        let (inbox, mut random) = (inbox.clone(), StdRng::seed_from_u64(random.random()));
        senders.spawn(async move {
            let mut sent: HashMap<String, usize> = HashMap::new();
            for _ in 0..MESSAGES_EACH {
                let to = format!("c{}", random.random_range(0..CLIENTS));
                let number = sent.entry(to.clone()).or_default();
                inbox.send(&to, number.to_string()).await.unwrap().id();
                *number += 1;
            }
            (inbox.client_id().to_owned(), sent)
        });
    }
    for inbox in &inboxes {
        let (inbox, received) = (inbox.clone(), received.clone());
        tokio::spawn(async move {
            let mut next: HashMap<String, usize> = HashMap::new();
            while let Some(delivery) = inbox.recv().await {
                let expected = next.entry(delivery.from.clone()).or_default();
                assert_eq!(
                    delivery.text(),
                    Ok(expected.to_string().as_str()),
                    "from {}",
                    delivery.from
                );
                *expected += 1;
                delivery.ack().await.unwrap();
                received.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let all = CLIENTS * MESSAGES_EACH;
    for trouble in 0..TROUBLES {
        block_in_place(|| {
            wait_until("some more messages came", || {
                received.load(Ordering::Relaxed) >= trouble * all / (2 * TROUBLES)
            });
        });
        let whose = random.random_range(0..CLIENTS);
        let relay = &relays[whose];
        let (way, kind) = match random.random_range(0..4) {
            0 => (Way::ToBroker, Kind::Publish),
            1 => (Way::ToClient, Kind::PubAck),
            2 => (Way::ToClient, Kind::Publish),
            _ => (Way::ToBroker, Kind::PubAck),
        };
        match trouble % 10 {
            0 | 5 => relay.trick(way, kind, Trick::CutInstead),
            1 | 6 => relay.trick(way, kind, Trick::CutAfter),
            2 | 7 | 8 => relay.cut(),
            3 => {
                let is_inboxd = true;
                let connected = || inboxes[whose].status() == Status::Connected { is_inboxd };
                block_in_place(|| wait_until("it is connected", connected));
                relay.go_silent(true);
                let before = relay.connections();
                block_in_place(|| {
                    wait_until("the silence is noticed", || relay.connections() > before);
                });
                relay.go_silent(false);
                relay.cut();
            }
            // 4 and 9.
            _ => {
                block_in_place(|| broker.crash_and_restart());
                relays.iter().for_each(|relay| relay.lead_to(broker.port()));
            }
        }
    }
    let mut sent = 0;
    while let Some(sender) = within(senders.join_next()).await {
        sent += sender.unwrap().1.values().sum::<usize>();
    }
    assert_eq!(sent, all);
    block_in_place(|| {
        wait_until("everything came", || received.load(Ordering::Relaxed) >= all);
    });
    for inbox in &inboxes {
        assert!(within(inbox.flushed()).await);
    }
    assert_eq!(received.load(Ordering::Relaxed), all);
}
