//! The board: what the broker tells of itself under `$SYS`, for whoever is subscribed.
//!
//! | topic | retained | |
//! |---|---|---|
//! | `$SYS/broker/…` | yes | numbers under the names that Mosquitto gives them |
//! | `$SYS/inboxd/overview`, `…/top`, `…/clients`, `…/metrics` | yes | JSON |
//! | `$SYS/inboxd/version` | yes | text |
//! | `$SYS/inboxd/event/NAME` | no | JSON, as it happens |
//!
//! **Promise:** what nobody is subscribed to is not published, but for what is retained, every ten seconds; with a million inboxes it costs no
//! more than with ten.

mod census;
mod events;
mod figures;
mod load;
mod mosquitto;
mod refused;

use std::sync::Arc;
use std::time::Duration;

use inbox_bridge::{Heard, Listener};
use mqtt_session::Shared;
use pubsub::Router;
use serde_json::{Map, Value};

pub(crate) use census::oldest_at;
pub use figures::Figures;

use crate::prometheus::Measured;
use crate::speaking::Speaker;
use events::{EVENTS_MAX, KINDS};
use mosquitto::Mosquitto;

/// Every topic below `$SYS/inboxd/`.
pub const TOPICS: [&str; 14] = [
    "$SYS/inboxd/version",
    "$SYS/inboxd/metrics",
    "$SYS/inboxd/overview",
    "$SYS/inboxd/top",
    "$SYS/inboxd/clients",
    "$SYS/inboxd/event/connected",
    "$SYS/inboxd/event/disconnected",
    "$SYS/inboxd/event/takeover",
    "$SYS/inboxd/event/refused",
    "$SYS/inboxd/event/inbox-full",
    "$SYS/inboxd/event/expired",
    "$SYS/inboxd/event/dropped",
    "$SYS/inboxd/event/idle",
    "$SYS/inboxd/event/purged",
];

/// How often what is retained is published anew while nobody watches.
const SELDOM: Duration = Duration::from_secs(10);
/// And while somebody does.
const OFTEN: Duration = Duration::from_secs(1);

/// What the board shows that is known elsewhere.
pub struct BoardOptions {
    /// The version of the broker.
    pub version: &'static str,
    /// Every counter.
    pub metrics: Arc<dyn Measured>,
}

/// See the module's documentation.
pub struct Board {
    shared: Arc<Shared>,
    speaker: Speaker,
    figures: Arc<Figures>,
    options: BoardOptions,
    mosquitto: Mosquitto,
    events: Listener,
}

impl Board {
    /// One that shows `figures`.
    pub fn new(shared: Arc<Shared>, router: Router, figures: Arc<Figures>, options: BoardOptions) -> Self {
        Board {
            events: shared.node.events.listen(&KINDS, EVENTS_MAX),
            speaker: Speaker::new(shared.clone(), router),
            mosquitto: Mosquitto::default(),
            shared,
            figures,
            options,
        }
    }

    /// Publishes, for ever.
    pub async fn run(mut self) {
        let version = self.options.version;
        self.speaker.say("$SYS/inboxd/version", version.into(), true).await;
        let mut ticks = tokio::time::interval(OFTEN);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            let heard = tokio::select! {
                _ = ticks.tick() => None,
                heard = self.events.next() => Some(heard),
            };
            match heard {
                Some(heard) => self.tell(heard).await,
                None => {
                    let now = self.shared.node.now().mono;
                    self.shared.metrics.refusals.tell_left_out(now);
                    let is_due = last.is_none_or(|last| now >= last + SELDOM);
                    self.tick(is_due).await;
                    if is_due {
                        last = Some(now);
                    }
                }
            }
        }
    }

    async fn tick(&mut self, is_due: bool) {
        let watched = |topic| self.speaker.is_heard(topic);
        let (overview, top) = (watched("$SYS/inboxd/overview"), watched("$SYS/inboxd/top"));
        if overview {
            self.shared.node.timings.want(self.shared.node.now().mono);
        }
        if overview || top || is_due {
            let figures = self.figures.clone();
            // It waits for the disk. What it could not do is done the next time.
            let _panicked = tokio::task::spawn_blocking(move || figures.take_census()).await;
        }
        if overview || is_due {
            // The rates are those of the time since then.
            self.figures.measure();
            let overview = self.figures.overview().to_string();
            self.speaker.say("$SYS/inboxd/overview", overview, true).await;
        }
        if top || is_due {
            let top = self.figures.top().to_string();
            self.speaker.say("$SYS/inboxd/top", top, true).await;
        }
        if watched("$SYS/inboxd/clients") || is_due {
            let clients = self.figures.clients().to_string();
            self.speaker.say("$SYS/inboxd/clients", clients, true).await;
        }
        if is_due {
            let numbers = self.options.metrics.numbers().into_iter();
            let metrics: Map<_, _> = numbers.map(|(name, number)| (name.to_owned(), number.into())).collect();
            let metrics = Value::Object(metrics).to_string();
            self.speaker.say("$SYS/inboxd/metrics", metrics, true).await;
            let now = self.shared.node.now();
            for (topic, value) in self.mosquitto.values(&self.figures.counts(), now.mono) {
                self.speaker.say(&topic, value, true).await;
            }
        }
    }

    async fn tell(&self, heard: Heard) {
        match heard {
            Heard::Event(event) => {
                for (name, payload) in events::told(&event, self.shared.node.now().wall) {
                    let topic = format!("$SYS/inboxd/event/{name}");
                    if self.speaker.is_heard(&topic) {
                        self.speaker.say(&topic, payload.to_string(), false).await;
                    }
                }
            }
            Heard::Missed(missed) => tracing::warn!(
                missed,
                "events came faster than they are published under $SYS; the counters have them"
            ),
        }
    }
}
