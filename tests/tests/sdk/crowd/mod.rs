//! Many clients, of all three SDKs, that write to each other while links are cut and the broker is killed.
//!
//! `INBOX_CROWD=large` makes it as large as `cargo xtask crowd` wants it, and `INBOX_CROWD_SEED` makes the choices of an earlier run again; what happens
//! between them is up to the machine.

mod ledger;
mod peers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use inbox_tests::{Broker, Kind, Relay, Trick, Way};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::tempdir;
use tokio::runtime::Runtime;

use ledger::Ledger;
use peers::{Peer, Said};

/// For so long nobody says anything before it is given up: interpreters need seconds of a processor to start, and there may be less than one.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what is not said.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Size {
    peers: usize,
    messages: usize,
    cuts: usize,
    kills: usize,
}

impl Size {
    fn chosen() -> Self {
        match std::env::var("INBOX_CROWD").as_deref() {
            Ok("large") => Size {
                peers: 20,
                messages: 10_000,
                cuts: 50,
                kills: 10,
            },
            _ => Size {
                peers: 9,
                messages: 1000,
                cuts: 15,
                kills: 3,
            },
        }
    }
}

/// What happens to a peer, or to everybody.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Its connection is cut.
    Cut,
    /// It is cut with the next packet of this kind, which gets there or does not.
    CutAt(Way, Kind, Trick),
    /// Nothing gets through until the peer connects again.
    Silence,
    /// The broker is killed and started again.
    Kill,
}

#[test]
fn a_crowd_loses_doubles_and_reorders_nothing_whatever_happens() {
    // Goal: the oracle of the contract: every `send` that returned is handed once to an application that acknowledges, in order per sender and
    // recipient, over cuts, silence, lost packets and kills of the broker, whichever SDK its sender and its recipient use.
    let size = Size::chosen();
    let seed = std::env::var("INBOX_CROWD_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let runtime = Runtime::new().unwrap();
    let _here = runtime.enter();
    let folder = tempdir().unwrap();
    let mut crowd = Crowd::gather(size.peers, folder.path());
    let began = Instant::now();
    let mut orders = orders(size, &crowd.names(), &mut random).into_iter();
    let troubles = troubles(size, &mut random);
    let share = size.messages / (troubles.len() + 1);
    crowd.write(orders.by_ref().take(share));
    for (number, trouble) in troubles.iter().enumerate() {
        // A share more than is waited for, so that there is something under way.
        crowd.write(orders.by_ref().take(share));
        crowd.until("some more messages came", |crowd| {
            crowd.ledger.received() >= number * share
        });
        let whose = random.random_range(0..size.peers);
        crowd.play(*trouble, whose);
    }
    crowd.write(orders);
    crowd.until("everything came", |crowd| crowd.ledger.received() >= size.messages);
    let took = began.elapsed();
    crowd.part();
    let connections: usize = crowd.relays.iter().map(Relay::connections).sum();
    eprintln!(
        "{} messages between {} clients, {} cuts and {} kills in {:.1} s, {connections} connections: {}",
        size.messages,
        size.peers,
        size.cuts,
        size.kills,
        took.as_secs_f64(),
        crowd.ledger
    );
    // The farewells are messages, too.
    assert!(
        crowd.ledger.holds(size.messages + size.peers),
        "seed {seed}: {}",
        crowd.ledger
    );
}

/// Everybody writes to everybody, themselves too: numbers that go up by one, for each pair. Each order is for the peer with that number.
fn orders(size: Size, names: &[String], random: &mut impl Rng) -> Vec<(usize, String)> {
    let mut next: HashMap<(usize, usize), usize> = HashMap::new();
    let mut order = |message| {
        let (from, to) = (message % size.peers, random.random_range(0..size.peers));
        let number = next.entry((from, to)).or_default();
        let order = format!("send {} {number}", names[to]);
        *number += 1;
        (from, order)
    };
    (0..size.messages).map(&mut order).collect()
}

fn troubles(size: Size, random: &mut impl Rng) -> Vec<Trouble> {
    let mut troubles = vec![Trouble::Kill; size.kills];
    for number in 0..size.cuts {
        let (way, kind) = match random.random_range(0..4) {
            0 => (Way::ToBroker, Kind::Publish),
            1 => (Way::ToClient, Kind::PubAck),
            2 => (Way::ToClient, Kind::Publish),
            _ => (Way::ToBroker, Kind::PubAck),
        };
        troubles.push(match number % 8 {
            0 | 1 => Trouble::CutAt(way, kind, Trick::CutInstead),
            2 | 3 => Trouble::CutAt(way, kind, Trick::CutAfter),
            4 => Trouble::Silence,
            _ => Trouble::Cut,
        });
    }
    troubles.shuffle(random);
    troubles
}

/// The broker, and everybody before it.
struct Crowd {
    broker: Broker,
    relays: Vec<Relay>,
    peers: Vec<Peer>,
    said: Receiver<Said>,
    ledger: Ledger,
    /// So many messages were to be sent up to now.
    ordered: usize,
}

impl Crowd {
    /// Starts so many peers, each with a link of its own, and waits until they are there.
    fn gather(peers: usize, folder: &Path) -> Self {
        let broker = Broker::start();
        let (say, said) = mpsc::channel();
        let relays: Vec<_> = (0..peers).map(|_| Relay::to(broker.port())).collect();
        let start = |(number, relay): (usize, &Relay)| Peer::start(number, relay.port(), folder, say.clone());
        let mut crowd = Crowd {
            broker,
            peers: relays.iter().enumerate().map(start).collect(),
            relays,
            said,
            ledger: Ledger::default(),
            ordered: 0,
        };
        crowd.until("everybody is there", |crowd| crowd.ledger.said("ready") == peers);
        crowd
    }

    fn names(&self) -> Vec<String> {
        self.peers.iter().map(|peer| peer.name.clone()).collect()
    }

    /// Has messages sent.
    fn write(&mut self, orders: impl Iterator<Item = (usize, String)>) {
        for (peer, order) in orders {
            self.peers[peer].order(&order);
            self.ordered += 1;
        }
    }

    /// Has it happen; a cut has happened when this returns.
    fn play(&mut self, trouble: Trouble, whose: usize) {
        let before = self.relays[whose].connections();
        match trouble {
            Trouble::Cut => self.relays[whose].cut(),
            Trouble::CutAt(way, kind, trick) => {
                self.relays[whose].trick(way, kind, trick);
                let enough = self.ordered.min(self.ledger.received() + 20);
                // Where no such packet comes, one may come later: then that is one cut more.
                self.until("it was cut", |crowd| {
                    crowd.relays[whose].tricks_left() == 0 || crowd.ledger.received() >= enough
                });
                self.relays[whose].cut();
            }
            Trouble::Silence => {
                self.relays[whose].go_silent(true);
                self.until("the silence is noticed", |crowd| {
                    crowd.relays[whose].connections() > before
                });
                self.relays[whose].go_silent(false);
                self.relays[whose].cut();
            }
            Trouble::Kill => {
                // Another program may have the port meanwhile.
                self.relays.iter().for_each(|relay| relay.refuse(true));
                self.broker.crash_and_restart();
                for relay in &self.relays {
                    relay.lead_to(self.broker.port());
                    relay.refuse(false);
                }
            }
        }
    }

    /// When everything was sent, each peer has a last message for itself: a repeat would be before it. Then all go.
    fn part(&mut self) {
        let all = self.peers.len();
        self.peers.iter_mut().for_each(|peer| peer.order("flush"));
        self.until("everything was sent", |crowd| crowd.ledger.said("flushed") == all);
        let before = self.ledger.received();
        for peer in &mut self.peers {
            let order = format!("send {} {}", peer.name, self.ledger.next(&peer.name));
            peer.order(&order);
        }
        self.until("the farewells came", |crowd| crowd.ledger.received() >= before + all);
        self.peers.iter_mut().for_each(|peer| peer.order("close"));
        self.until("all have closed", |crowd| crowd.ledger.said("closed 0") == all);
        self.peers.drain(..).for_each(Peer::end);
    }

    /// Hears what is said until this is so.
    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let mut heard_at = Instant::now();
        while !is_so(self) {
            match self.said.recv_timeout(LOOK_EVERY) {
                Ok((peer, line)) => {
                    let name = self.peers.get(peer).map_or("", |peer| &peer.name);
                    self.ledger.hear(name, &line);
                    heard_at = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) if heard_at.elapsed() < PATIENCE => {}
                Err(error) => panic!("waited in vain until {what} ({error}): {}", self.ledger),
            }
        }
    }
}
