//! The own lines of a chat, and how far each of them is.

use std::collections::BTreeMap;
use std::time::Duration;

use inbox_client::{Sent, SentState};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::shown::Style;

/// Changes that wait to be shown.
const CHANGES_MAX: usize = 100;
/// On a terminal, what changes again within this time is shown once.
const SETTLING: Duration = Duration::from_millis(250);

/// Lines whose messages may still get further.
pub(super) struct OwnLines {
    lines: BTreeMap<u64, Own>,
    next: u64,
    changes: mpsc::Sender<u64>,
    settling: Duration,
    style: Style,
}

struct Own {
    text: String,
    sent: Sent,
    /// How far it was when that was shown.
    shown: u8,
}

impl OwnLines {
    /// None yet; the numbers of lines that changed come out of the channel.
    pub(super) fn new(style: Style, is_for_people: bool) -> (Self, mpsc::Receiver<u64>) {
        let (changes, changed) = mpsc::channel(CHANGES_MAX);
        let own = OwnLines {
            lines: BTreeMap::new(),
            next: 0,
            changes,
            settling: if is_for_people { SETTLING } else { Duration::ZERO },
            style,
        };
        (own, changed)
    }

    /// Takes a line in that was just sent. It may be with the broker by now, which is to be shown.
    pub(super) fn watch(&mut self, sent: Sent, text: String) {
        self.watch_from(0, sent, text);
    }

    /// Takes a line in that was sent earlier: how far it is now is nothing new.
    pub(super) fn watch_earlier(&mut self, sent: Sent, text: String) {
        self.watch_from(rank(&sent.state()), sent, text);
    }

    fn watch_from(&mut self, shown: u8, sent: Sent, text: String) {
        let number = self.next;
        self.next += 1;
        let (mut watched, changes, settling) = (sent.clone(), self.changes.clone(), self.settling);
        tokio::spawn(async move {
            loop {
                if watched.state() != SentState::Waiting && changes.send(number).await.is_err() {
                    return;
                }
                if !watched.changed().await {
                    // The last change may be one that nobody was told of.
                    let _ended = changes.send(number).await;
                    return;
                }
                sleep(settling).await;
            }
        });
        self.lines.insert(number, Own { text, sent, shown });
    }

    /// What is to be shown of a line, if it got any further.
    pub(super) fn step(&mut self, number: u64) -> Option<String> {
        let own = self.lines.get_mut(&number)?;
        let state = own.sent.state();
        let rank = rank(&state);
        if rank <= own.shown {
            return None;
        }
        own.shown = rank;
        let line = self.style.mark(&state, &own.text);
        if matches!(state, SentState::Read | SentState::Failed(_)) {
            self.lines.remove(&number);
        }
        line
    }

    /// What was not shown yet of all lines.
    pub(super) fn last_steps(&mut self) -> Vec<String> {
        let numbers: Vec<u64> = self.lines.keys().copied().collect();
        numbers.into_iter().filter_map(|number| self.step(number)).collect()
    }

    /// How many the broker does not have yet.
    pub(super) fn waiting(&self) -> usize {
        let waits = |own: &&Own| own.sent.state() == SentState::Waiting;
        self.lines.values().filter(waits).count()
    }
}

/// Nothing goes back.
fn rank(state: &SentState) -> u8 {
    match state {
        SentState::Waiting => 0,
        SentState::Stored(_) => 1,
        SentState::Delivered => 2,
        SentState::Read => 3,
        SentState::Failed(_) => 4,
    }
}
