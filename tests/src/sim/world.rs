//! One simulated world: clients, their network, a broker and its disk. Each step is one thing that happens, chosen by chance.

mod broker;
mod clients;
mod ending;
mod link;
mod machine;
mod ordinary;
mod users;
mod wills;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inbox_bridge::{
    ClientId, Entry, Fetched, Left, Limits, Listener, Observer, PageLimit, PendingCommit, Place, ReadRequest, Seq,
    Store, StoreError,
};
use inbox_bridge::{Sizes, WhenFull, take_given, take_given_back};
use inboxd::config::MqttLimits;
use inboxd::single::Single;

use super::Check;
use super::client::Client;
use super::clock::SimClock;
use super::disk::Disk;
use super::oracle::{Oracle, Terms};
use super::ordinary::Book;
use super::random::Random;
use super::trace::Trace;
use link::{Link, show};
use ordinary::Ordinary;
use users::Users;
use wills::WILL_AFTER_RESTART;

/// Memory budgets that two connections use up, and that all of them and a few messages do.
const MEMORY_BYTES_SMALL: [usize; 2] = [12_000, 40_000];
const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// See the module's documentation.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) trace: Trace,
    pub(super) oracle: Oracle,
    clock: Arc<SimClock>,
    disk: Disk,
    watcher: Arc<Watcher>,
    limits: Limits,
    mqtt: MqttLimits,
    names: Vec<String>,
    broker: Option<Single>,
    /// What that tells its operator.
    events: Option<Listener>,
    /// Steps until the process of a broker whose disk failed has ended.
    dying: Option<usize>,
    /// More than the memory budget was used while the last packets were taken.
    is_over_budget: bool,
    clients: Vec<Client>,
    /// The connection that each client believes to have.
    current: Vec<Option<usize>>,
    links: Vec<Link>,
    /// Those of `links` where anything can still happen.
    alive: Vec<usize>,
    commit: Option<(PendingCommit, Option<u64>)>,
    pages: VecDeque<(ReadRequest, Option<Fetched>)>,
    swept_to: Option<ClientId>,
    /// At the end each client comes when all others have gone.
    ends_in_turn: bool,
    /// Reads of this run of the broker that are to be tried again.
    retried: u64,
    pub(super) crashes: u64,
    /// Where clients have users.
    users: Option<Users>,
    /// Where there are ordinary topics.
    ordinary: Option<Ordinary>,
}

/// Keeps what the broker tells its operator.
#[derive(Default)]
struct Watcher(Mutex<Vec<(ClientId, u64, &'static str)>>);

impl Observer for Watcher {
    fn left(&self, inbox: &ClientId, seq: Seq, _from: &ClientId, why: Left) {
        self.0.lock().unwrap().push((inbox.clone(), seq.0, why.as_str()));
    }
    fn store_failed(&self, _error: &StoreError) {}
    fn unreadable(&self, _inbox: &ClientId, _error: &StoreError) {}
    fn disk_is_full(&self, _is_full: bool, _free_bytes: u64) {}
}

/// One seed in four: the others mean what they meant before there were ordinary topics.
pub(super) fn has_ordinary_topics(seed: u64) -> bool {
    seed % 4 == 1
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = World::of_anybody(seed);
        if seed % Users::ONE_IN == Users::ONE_IN - 1 {
            world.have_users();
        }
        if has_ordinary_topics(seed) {
            world.have_ordinary();
        }
        world
    }

    /// Clients are who they say they are.
    fn of_anybody(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let clients = random.between(2, 5);
        let names: Vec<String> = (0..clients).map(|at| format!("c{at}")).collect();
        let mut limits = Limits {
            inbox_messages_max: random.pick(&[2, 5, 20, 100_000, 100_000]) as u64,
            inbox_bytes_max: random.pick(&[4_000, 1 << 30, 1 << 30]) as u64,
            when_full: random.pick(&[WhenFull::Refuse, WhenFull::Refuse, WhenFull::DropOldest]),
            time_to_live: Duration::from_secs(random.pick(&[30, 3600, 30 * 24 * 3600]) as u64),
            commit_hold: Duration::from_millis(random.pick(&[0, 3, 50]) as u64),
            ack_flush_interval: Duration::from_millis(random.pick(&[0, 200, 200]) as u64),
            qos0_settle: Duration::from_millis(random.pick(&[0, 1000, 1000, 1000]) as u64),
            memory_bytes_max: random.pick(&[
                MEMORY_BYTES_SMALL[0],
                MEMORY_BYTES_SMALL[1],
                usize::MAX,
                usize::MAX,
                usize::MAX,
            ]),
            idle_expiry: random
                .pick(&[None, None, None, Some(20), Some(200)])
                .map(Duration::from_secs),
            // Simulated time goes on by leaps.
            dedupe_window: Duration::from_secs(365 * 24 * 3600),
            ..Limits::default()
        };
        let mut mqtt = MqttLimits {
            // Its oracle knows sessions as long as the broker lives.
            durable_sessions: false,
            will_after_restart: Some(WILL_AFTER_RESTART),
            // The network may hold a CONNECT up for longer than the default.
            connect_timeout: Duration::from_secs(24 * 3600),
            in_flight_max: random.pick(&[1, 3, 100]) as u16,
            unacknowledged_publishes_max: random.pick(&[1, 4, 1000]) as u16,
            queue_messages_max: random.pick(&[1, 1, 1, 1000]),
            ..MqttLimits::default()
        };
        mqtt.ack_timeout = random
            .pick(&[None, None, None, Some(2), Some(20)])
            .map(Duration::from_secs);
        mqtt.delivery_rate = random.pick(&[None, None, None, Some(5), Some(50)]);
        mqtt.untaken_bytes_max = random.pick(&[1, 100, 256 * 1024, 256 * 1024, 256 * 1024]);
        limits.sizes = Sizes {
            kept_max: random.pick(&[1, 3, 512]),
            shards_are_fixed: true,
            ..Sizes::default()
        };
        // Often of a small inbox, where a sender comes to its share.
        limits.sender_share = random.pick(&[100, 100, 20, 50]) as u8;
        let _of_an_earlier_run = (take_given(), take_given_back());
        let terms = Terms {
            in_flight_max: usize::from(mqtt.in_flight_max),
            flush: limits.ack_flush_interval.as_micros() as u64,
            will_after_restart: WILL_AFTER_RESTART.as_micros() as u64,
            settle: limits.qos0_settle.as_micros() as u64,
            are_small: limits.inbox_messages_max < 100_000 || limits.inbox_bytes_max < 1 << 30,
            has_little_memory: MEMORY_BYTES_SMALL.contains(&limits.memory_bytes_max),
            time_to_live: limits.time_to_live.as_micros() as u64,
            idle_expiry: limits.idle_expiry.map(|expiry| expiry.as_micros() as u64),
            sender_messages_max: limits.sender_max(limits.inbox_size()).map(|(messages, _)| messages),
            ack_timeout: mqtt.ack_timeout.map(|timeout| timeout.as_micros() as u64),
            delivery_rate: mqtt.delivery_rate.map(u64::from),
            drops_oldest: limits.when_full == WhenFull::DropOldest,
            waiting_max: 2 * usize::from(mqtt.in_flight_max) + mqtt.queue_messages_max,
            untaken_bytes_max: mqtt.untaken_bytes_max,
        };
        // Not all clients together have room in a small budget.
        let ends_in_turn = MEMORY_BYTES_SMALL.contains(&limits.memory_bytes_max) || random.percent(30);
        let mut trace = Trace::new(seed);
        trace.say(
            0,
            format_args!("{clients} clients, {limits:?}, in flight {}", mqtt.in_flight_max),
        );
        let clock = SimClock::new();
        let repeats = !MEMORY_BYTES_SMALL.contains(&limits.memory_bytes_max);
        let new_client = |at| Client::new(at, names.clone(), repeats);
        World {
            disk: Disk::new(random.pick(&[1, 2, 5, 512])),
            oracle: Oracle::new(terms, clients, clock.mono()),
            clients: (0..clients).map(new_client).collect(),
            current: vec![None; clients],
            clock: Arc::new(clock),
            watcher: Arc::default(),
            random,
            trace,
            limits,
            mqtt,
            names,
            broker: None,
            events: None,
            dying: None,
            is_over_budget: false,
            links: Vec::new(),
            alive: Vec::new(),
            commit: None,
            pages: VecDeque::new(),
            swept_to: None,
            ends_in_turn,
            retried: 0,
            crashes: 0,
            users: None,
            ordinary: None,
        }
    }

    /// One thing happens.
    pub(super) fn step(&mut self) -> Check {
        if self.broker.is_none() {
            return self.start();
        }
        if let Some(left) = self.dying.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return self.crash();
            }
        }
        if self.users.is_some() && self.random.percent(1) {
            return self.something_of_users();
        }
        if self.ordinary.is_some() && self.random.percent(15) {
            return self.something_ordinary();
        }
        match self.random.below(1000) {
            0..200 => self.client_acts(),
            200..430 => self.some_link(World::arrive),
            430..560 => self.some_link(World::turn),
            560..690 => self.some_link(World::write),
            690..830 => self.some_link(World::client_reads),
            830..880 => self.commit_step(),
            880..930 => self.page_step(),
            930..970 => self.time_passes(),
            970..988 => self.housekeeping(),
            988..992 => self.some_link(World::cut),
            992..994 => self.clock_jumps(),
            994 | 995 if self.random.percent(50) => self.crash(),
            997 => self.reads_lack(),
            996 if self.random.percent(30) => self.disk_fails(),
            _ => Ok(()),
        }
    }

    /// Publishes that were acknowledged with success; messages sent to readers, and those of them that were sent before.
    pub(super) fn seen(&self) -> (u64, u64, u64) {
        let (oracle, book) = (&self.oracle, self.ordinary.as_ref().map(|ordinary| &ordinary.book));
        let (promises, deliveries, repeats) = book.map_or((0, 0, 0), Book::seen);
        (
            oracle.promises + promises,
            oracle.deliveries + deliveries,
            oracle.repeats + repeats,
        )
    }

    fn some_link(&mut self, happen: fn(&mut World, usize) -> Check) -> Check {
        if self.alive.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.alive.len());
        happen(self, self.alive[at])
    }

    fn start(&mut self) -> Check {
        self.trace.say(self.clock.mono(), format_args!("the broker starts"));
        let clock = self.clock.clone();
        let opened = Single::open_for(
            self.rights()?,
            Arc::new(self.disk.clone()),
            self.limits.clone(),
            self.mqtt.clone(),
            clock,
            self.watcher.clone(),
        );
        let broker = opened.map_err(|error| format!("the broker does not start: {error}"))?;
        self.events = Some(wills::listen_to(&broker));
        self.broker = Some(broker);
        self.retried = 0;
        self.oracle.started(self.clock.offset());
        // Of receipts that an earlier run left.
        self.take_notes()
    }

    fn time_passes(&mut self) -> Check {
        let micros = match self.random.below(20) {
            0..10 => self.random.between(1, 2_000) as u64,
            10..16 => self.random.between(1, 300) as u64 * MILLI,
            16..19 => self.random.between(1, 5) as u64 * SECOND,
            _ => self.random.between(10, 60) as u64 * SECOND,
        };
        self.pass(micros);
        Ok(())
    }

    /// Time goes on.
    fn pass(&mut self, micros: u64) {
        self.clock.advance(micros);
        self.oracle.now = self.clock.mono();
    }

    fn clock_jumps(&mut self) -> Check {
        const MONTH: i64 = 30 * 24 * 3600;
        const DECADE: i64 = 122 * MONTH;
        let seconds = self
            .random
            .pick(&[-6 * DECADE, -MONTH, -4000, -60, -1, 1, 60, 4000, MONTH, DECADE]);
        self.trace
            .say(self.clock.mono(), format_args!("the wall clock jumps by {seconds} s"));
        self.clock.jump(seconds * SECOND as i64);
        self.oracle.skew.jumped(self.clock.offset());
        self.oracle.clock_jumped(self.clock.offset());
        Ok(())
    }

    fn housekeeping(&mut self) -> Check {
        let Some(broker) = self.broker.as_mut() else {
            return Ok(());
        };
        broker.reap();
        self.take_notes()?;
        self.oracle.check_wills(true)?;
        let Some(broker) = self.broker.as_mut() else {
            return Ok(());
        };
        broker.keep_age();
        broker.evict_idle(Duration::from_secs(self.random.pick(&[0, 5])));
        let sees_all = !self.disk.lacks();
        broker.look_for_absent(&self.disk);
        if sees_all {
            self.oracle.owners_were_looked_at();
        }
        if self.random.percent(40) {
            self.sweep();
        }
        if let Some(broker) = &self.broker {
            broker.look_after_receipts(&self.disk);
        }
        if self.random.percent(2) {
            self.purge()?;
        }
        self.take_notes()
    }

    /// An operator empties an inbox (rule 5).
    fn purge(&mut self) -> Check {
        // What came before is known, so that it can be told what left.
        self.take_notes()?;
        let Some(broker) = self.broker.as_ref() else {
            return Ok(());
        };
        let name = self.names[self.random.below(self.names.len())].clone();
        let inbox = ClientId::new(&name).map_err(|error| error.to_string())?;
        let everything = PageLimit {
            messages: usize::MAX,
            bytes: usize::MAX,
        };
        let page = self.disk.read(&inbox, Seq::ZERO, everything).unwrap_or_default();
        let places: Vec<_> = page
            .entries
            .into_iter()
            .map(|Entry { seq, message }| Place {
                seq,
                message: Some(message),
            })
            .collect();
        let left = broker.purge(&inbox, &places);
        self.trace.say(
            self.clock.mono(),
            format_args!("an operator empties the inbox of {name}: {} messages", left.len()),
        );
        let mut notes = self.watcher.0.lock().unwrap();
        notes.extend(left.into_iter().map(|seq| (inbox.clone(), seq.0, "purged")));
        Ok(())
    }

    /// Looks through one inbox for expired messages.
    fn sweep(&mut self) {
        let Some(broker) = self.broker.as_ref() else { return };
        let next = self.disk.inboxes(self.swept_to.as_ref(), 1).unwrap_or_default().pop();
        self.swept_to = next.map(|(inbox, _)| inbox);
        let Some(inbox) = self.swept_to.as_ref() else { return };
        let page = self.disk.read(
            inbox,
            Seq::ZERO,
            PageLimit {
                messages: 512,
                bytes: usize::MAX,
            },
        );
        broker.expire(inbox, &page.unwrap_or_default().entries);
    }
}
