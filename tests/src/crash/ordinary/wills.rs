//! Which wills must be published, by what their clients saw.
//!
//! Each client comes once. The will of one that had CONNACK and went without a word, or was there when the broker ended, comes to the session of whoever
//! watches: at least once, because a crash may come between its publication and the end of its record. That of one that said goodbye does not, once that is
//! durable: when a later CONNACK promised another will.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::checked::WillsChecked;
use super::{During, connect, pause};
use crate::build::{self, Connect, Props, PublishPacket, Version, Will};
use crate::crash::wire::{Next, Wire};
use crate::parse::Packet;
use crate::{DEADLINE, Publish};

const WATCHER: &str = "wills/watcher";
/// Connections that stay open at a time.
const OPEN_MAX: usize = 10;
const VIOLATIONS_MAX: usize = 20;
const MARK: &str = "the end";

/// What a client did after its CONNECT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    /// It may not even have been let in.
    #[default]
    Unknown,
    /// It was told that its will is kept, and never said goodbye.
    Disappeared,
    /// It said goodbye, and saw its connection closed.
    Leaves,
    /// It is known that this is durable.
    Left,
}

#[derive(Debug, Default)]
struct Books {
    /// By number, until they are published. Forgotten are none: a run has some ten thousand.
    fates: BTreeMap<u64, Fate>,
    /// How often, without what came again because it was not acknowledged.
    came: BTreeMap<u64, u64>,
    last: u64,
    /// The session of the watcher is there.
    is_watched: bool,
    violations: Vec<String>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Wills(Mutex<Books>);

impl Wills {
    pub(super) fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.clone()
    }

    pub(super) fn checked(&self) -> WillsChecked {
        let books = self.0.lock().unwrap();
        let of = |fate: Fate| books.fates.values().filter(|known| **known == fate).count() as u64;
        WillsChecked {
            due: of(Fate::Disappeared),
            left: of(Fate::Left),
            published: books.came.len() as u64,
            again: books.came.values().map(|times| times - 1).sum(),
        }
    }

    /// Clients come, and go in every way, until the life is over.
    pub(super) fn come_and_go(&self, during: During, rng: &mut StdRng) {
        self.begin_life();
        let mut open = Vec::new();
        while !(during.is_over)() {
            if !self.0.lock().unwrap().is_watched {
                pause(during, Duration::from_millis(1));
                continue;
            }
            let (number, leaving) = self.comes();
            let version = Version::BOTH[rng.random_range(0..2)];
            let hello = Connect::new(version, &format!("wills/{number}"));
            let hello = hello.will(Will::new(&format!("wills/of/the/{}", number % 7), &number.to_string()));
            let Some((mut wire, _)) = connect(during, &hello) else {
                continue;
            };
            if !(during.counts)() {
                return;
            }
            // With a nearly full disk a will is in memory only.
            let is_kept = !during.may_refuse;
            if is_kept {
                self.is_kept(number, &leaving);
            }
            match rng.random_range(0..10) {
                0..4 => {
                    self.says_goodbye(number);
                    wire.send(&build::disconnect(version, 0, &Props::new()));
                    let is_closed = matches!(wire.next(DEADLINE), Next::Closed);
                    if is_closed && !(during.is_over)() && (during.counts)() {
                        self.has_left(number);
                    }
                }
                4..7 => drop(wire),
                _ => {
                    open.push(wire);
                    if open.len() > OPEN_MAX {
                        open.remove(0);
                    }
                }
            }
            pause(during, Duration::from_millis(rng.random_range(0..20)));
        }
    }

    /// Reads the session that gets all wills, and acknowledges most of it.
    pub(super) fn watch(&self, during: During, rng: &mut StdRng) {
        while !(during.is_over)() {
            let Some(mut wire) = watcher(during) else { continue };
            while !(during.is_over)() {
                match wire.next(Duration::from_millis(5)) {
                    Next::Packet(Packet::Publish(publish)) => {
                        let is_taken = rng.random_bool(0.9);
                        self.seen(during, &publish);
                        if is_taken {
                            wire.send(&build::ack(0x40, publish.packet_id));
                        }
                    }
                    Next::Packet(Packet::SubAck(_)) => self.0.lock().unwrap().is_watched |= (during.counts)(),
                    Next::Nothing => {}
                    Next::Packet(_) | Next::Closed => break,
                }
                if rng.random_bool(0.01) {
                    break;
                }
            }
        }
    }

    /// The last life: whoever is missing is waited for.
    pub(super) fn finish(&self, during: During) {
        let Some(mut wire) = watcher(during) else {
            return self.violation("the last life is not served".into());
        };
        let until = Instant::now() + DEADLINE;
        while self.missing().is_some() && Instant::now() < until {
            if let Next::Packet(Packet::Publish(publish)) = wire.next(Duration::from_millis(100)) {
                self.seen(during, &publish);
                wire.send(&build::ack(0x40, publish.packet_id));
            }
        }
        if let Some(missing) = self.missing() {
            self.violation(format!(
                "the will of client {missing}, which disappeared, was not published"
            ));
        }
        let id = wire.packet_id();
        wire.send(&PublishPacket::new("wills/of/the/mark", MARK, 1, id).encode(Version::V5));
        loop {
            match wire.next(DEADLINE) {
                Next::Packet(Packet::Publish(publish)) => {
                    self.seen(during, &publish);
                    wire.send(&build::ack(0x40, publish.packet_id));
                    if publish.payload == MARK.as_bytes() {
                        return;
                    }
                }
                Next::Packet(_) => {}
                other => return self.violation(format!("{WATCHER} was read to its end, and got {other:?}")),
            }
        }
    }

    /// The broker was started again: a connection that was closed may have been closed by its end.
    fn begin_life(&self) {
        let mut books = self.0.lock().unwrap();
        let leaving = books.fates.values_mut().filter(|fate| **fate == Fate::Leaves);
        leaving.for_each(|fate| *fate = Fate::Unknown);
    }

    /// A client is about to come. Gives its number, and who is leaving.
    fn comes(&self) -> (u64, Vec<u64>) {
        let mut books = self.0.lock().unwrap();
        books.last += 1;
        let number = books.last;
        books.fates.insert(number, Fate::Unknown);
        let recent = books.fates.range(number.saturating_sub(100)..);
        let leaving = recent.filter(|(_, fate)| **fate == Fate::Leaves);
        (number, leaving.map(|(number, _)| *number).collect())
    }

    /// It has CONNACK, and with it everything before it is durable.
    fn is_kept(&self, number: u64, leaving: &[u64]) {
        let mut books = self.0.lock().unwrap();
        books.fates.insert(number, Fate::Disappeared);
        for number in leaving {
            books.fates.insert(*number, Fate::Left);
            let came = books.came.contains_key(number);
            if came {
                wrong(&mut books, published_for_nothing(*number));
            }
        }
    }

    fn says_goodbye(&self, number: u64) {
        self.0.lock().unwrap().fates.insert(number, Fate::Unknown);
    }

    fn has_left(&self, number: u64) {
        self.0.lock().unwrap().fates.insert(number, Fate::Leaves);
    }

    fn seen(&self, during: During, publish: &Publish) {
        if publish.payload == MARK.as_bytes() || !(during.counts)() {
            return;
        }
        let number = std::str::from_utf8(&publish.payload)
            .ok()
            .and_then(|text| text.parse().ok());
        let mut books = self.0.lock().unwrap();
        let fate = number.and_then(|number: u64| books.fates.get(&number).copied());
        match (number, fate) {
            (Some(number), Some(fate)) => {
                let times = books.came.entry(number).or_default();
                *times += u64::from(*times == 0 || !publish.dup);
                if fate == Fate::Left {
                    wrong(&mut books, published_for_nothing(number));
                }
            }
            _ => wrong(&mut books, format!("a will came that no client had: {publish:?}")),
        }
    }

    fn missing(&self) -> Option<u64> {
        let books = self.0.lock().unwrap();
        let due = books.fates.iter().filter(|(_, fate)| **fate == Fate::Disappeared);
        due.map(|(number, _)| *number)
            .find(|number| !books.came.contains_key(number))
    }

    fn violation(&self, what: String) {
        wrong(&mut self.0.lock().unwrap(), what);
    }
}

fn published_for_nothing(number: u64) -> String {
    format!("the will of client {number} was published, and it had said goodbye")
}

fn wrong(books: &mut Books, what: String) {
    if books.violations.len() < VIOLATIONS_MAX {
        eprintln!("VIOLATION of what is said of wills: {what}");
        books.violations.push(what);
    }
}

/// The session that gets all wills.
fn watcher(during: During) -> Option<Wire> {
    let (mut wire, is_present) = connect(during, &Connect::persistent(Version::V5, WATCHER))?;
    if !is_present {
        let id = wire.packet_id();
        wire.send(&build::subscribe(Version::V5, id, "wills/of/the/+", 1, &Props::new()));
    }
    Some(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the books are kept of three clients: one disappears, one leaves, and one comes after it.
    fn told(came: &[&str]) -> Vec<String> {
        let wills = Wills::default();
        let (gone, _) = wills.comes();
        wills.is_kept(gone, &[]);
        let (leaves, _) = wills.comes();
        wills.is_kept(leaves, &[]);
        wills.says_goodbye(leaves);
        wills.has_left(leaves);
        let (later, leaving) = wills.comes();
        assert_eq!(leaving, [leaves]);
        wills.is_kept(later, &leaving);
        let during = During {
            port: 0,
            is_over: &|| false,
            counts: &|| true,
            may_refuse: false,
        };
        for text in came {
            let publish = Publish {
                dup: false,
                qos: 1,
                retain: false,
                topic: "wills/of/1".into(),
                packet_id: 1,
                props: crate::parse::Properties(Vec::new()),
                payload: text.as_bytes().into(),
            };
            wills.seen(during, &publish);
        }
        if let Some(missing) = wills.missing() {
            wills.violation(format!("{missing} is missing"));
        }
        wills.violations()
    }

    #[test]
    fn the_books_notice_wills_that_are_missing_and_wills_that_should_not_come() {
        // Goal: what is right is right, also twice; each thing that is wrong is noticed.
        assert_eq!(told(&["1", "3", "1"]), [""; 0]);
        assert_eq!(told(&["3"]), ["1 is missing"]);
        assert_eq!(told(&["1", "2", "3"]), [published_for_nothing(2)]);
        assert_eq!(told(&["1", "3", "9"]).len(), 1);
    }
}
