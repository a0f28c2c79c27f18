//! Following messages from their acceptance to their end, live: where is my message?
//!
//! **Promise:** nothing is followed unless somebody asks; a trace ends by itself, follows a bounded number of messages, and holds up nobody: what it
//! could not keep up with is told as `missed`.

mod follower;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use inbox_bridge::{EventKind, Heard, Listener, Node, PAGE_BYTES_MAX, PageLimit, Seq, Store};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::bounds::{SECONDS, SECONDS_MAX, within};
use crate::error::{OperatorError, client_id};
use follower::{Follower, Wanted};

/// Traces at a time.
const TRACES_MAX: usize = 8;
/// Events that wait for a trace.
const EVENTS_MAX: usize = 8192;
/// Messages that waited before, which are told at the beginning.
const WAITING_MAX: usize = 100;

/// Parameters of a trace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traced {
    from: Option<String>,
    to: Option<String>,
    id: Option<String>,
    seconds: Option<u64>,
}

/// The traces that are under way.
#[derive(Debug, Default)]
pub(crate) struct Traces(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    last: u64,
    stops: BTreeMap<u64, watch::Sender<bool>>,
}

/// One trace: what it tells, until it is over or dropped.
pub struct Trace {
    number: u64,
    traces: Arc<Traces>,
    follower: Follower,
    listener: Listener,
    stop: watch::Receiver<bool>,
    node: Node,
    until: Instant,
    /// Told before anything that is heard.
    first: VecDeque<Value>,
    is_over: bool,
}

impl Traces {
    /// Begins a trace. `store` is looked into for what waits already; that blocks.
    pub(crate) fn start(
        self: &Arc<Self>,
        node: &Node,
        store: &dyn Store,
        traced: Traced,
    ) -> Result<Trace, OperatorError> {
        let seconds = within("seconds", traced.seconds, SECONDS, 1, SECONDS_MAX)?;
        let to_id = |text: Option<String>| text.as_deref().map(client_id).transpose();
        let wanted = Wanted {
            from: to_id(traced.from)?,
            to: to_id(traced.to)?,
            id: traced.id,
        };
        if wanted == Wanted::default() {
            return Err(OperatorError::TracesAll);
        }
        let (number, stop) = {
            let mut running = self.0.lock();
            if running.stops.len() >= TRACES_MAX {
                return Err(OperatorError::TooManyTraces(TRACES_MAX));
            }
            running.last += 1;
            let number = running.last;
            let (sender, stop) = watch::channel(false);
            running.stops.insert(number, sender);
            (number, stop)
        };

        let kinds = [&EventKind::OF_MESSAGES[..], &[EventKind::Refused]].concat();
        let mut trace = Trace {
            number,
            traces: self.clone(),
            // First: what comes while the store is read is not missed. It may be told twice.
            listener: node.events.listen(&kinds, EVENTS_MAX),
            stop,
            node: node.clone(),
            until: Instant::now() + Duration::from_secs(seconds as u64),
            first: VecDeque::new(),
            follower: Follower::new(wanted.clone()),
            is_over: false,
        };
        if let Some(inbox) = &wanted.to {
            let limit = PageLimit {
                messages: WAITING_MAX,
                bytes: PAGE_BYTES_MAX,
            };
            for entry in store.read(inbox, Seq::ZERO, limit)?.entries {
                trace.first.extend(trace.follower.finds(inbox, &entry));
            }
        }
        Ok(trace)
    }

    /// Ends a trace. Tells whether there was one.
    pub(crate) fn stop(&self, number: u64) -> bool {
        let running = self.0.lock();
        running.stops.get(&number).is_some_and(|stop| !stop.send_replace(true))
    }
}

impl Trace {
    /// Its number, by which it is stopped.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What is to be told next; `None` when it is over.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(first) = self.first.pop_front() {
                return Some(self.told("event", first));
            }
            if self.is_over {
                return None;
            }
            let next = tokio::select! {
                heard = timeout_at(self.until, self.listener.next()) => heard.map_err(|_elapsed| "time"),
                // An error would mean that nobody can stop it any more.
                _ = self.stop.wait_for(|stop| *stop) => Err("stopped"),
            };
            match next {
                Err(why) => {
                    self.is_over = true;
                    return Some(self.told("ended", json!(why)));
                }
                Ok(Heard::Missed(missed)) => return Some(self.told("missed", json!(missed))),
                Ok(Heard::Event(event)) => {
                    if let Some(said) = self.follower.hears(&event, self.node.now().wall) {
                        return Some(self.told("event", said));
                    }
                }
            }
        }
    }

    fn told(&self, name: &str, value: Value) -> Value {
        let mut told = json!({"trace": self.number});
        if let Some(fields) = told.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
        told
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.traces.0.lock().stops.remove(&self.number);
    }
}
