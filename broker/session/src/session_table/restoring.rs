//! Sessions that the store has, when the broker starts.

use std::sync::Arc;
use std::time::Duration;

use inbox_types::Kept as Keeps;
use pubsub::{SessionKey, Sink, SubscribeError};

use super::{Kept, Remains, SessionTable, Sessions};
use crate::keeping::PendingWill;
use crate::keeping::{Found, FoundWill, Restored, RestoredWill};
use crate::session::{Outbox, Resumed, Session, Shared};

/// A session that the store had, and what is to be done for it.
pub(crate) struct Resumption {
    /// By which the router is to know it.
    pub(crate) key: SessionKey,
    /// What is to take its messages.
    pub(crate) outbox: Arc<Outbox>,
    /// Its subscriptions.
    pub(crate) subscriptions: Vec<Resumed>,
    /// Of an earlier life of the same client.
    pub(crate) remains: Remains,
}

impl SessionTable {
    /// Takes in what was found in the store. Nobody is connected yet, and nothing is published.
    ///
    /// # Errors
    /// The router is no more.
    pub async fn restore(&self, found: Found) -> Result<(), SubscribeError> {
        let restored = match found {
            Found::Session(restored) => restored,
            Found::Remains(prefix) => {
                self.shared.node.inboxes.forget(Keeps::Session, prefix);
                return Ok(());
            }
        };
        let resumption = self.state.lock().restore(*restored, &self.shared);
        let sink: Arc<dyn Sink> = resumption.outbox;
        for Resumed { number, filter, share } in resumption.subscriptions {
            let (key, share) = (resumption.key, share.as_deref());
            let subscribed = self
                .router
                .subscribe(key, sink.clone(), number, filter.clone(), share, false);
            match subscribed.await {
                Ok(()) => {}
                Err(SubscribeError::Stopped) => return Err(SubscribeError::Stopped),
                Err(why) => {
                    tracing::error!(%filter, %why, "a subscription of a kept session cannot be made any more; its client has to subscribe again");
                }
            }
        }
        self.bury(resumption.remains).await;
        Ok(())
    }

    /// Takes in the record of a will, after all sessions.
    pub async fn restore_will(&self, found: FoundWill) {
        let remains = self.state.lock().restore_will(found, &self.shared);
        self.bury(remains).await;
    }

    /// All of them are here: those beyond `mqtt.sessions_max` end. Gives how many there are.
    pub async fn restored(&self) -> usize {
        self.make_room().await;
        self.router.trim();
        self.kept()
    }
}

impl Sessions {
    /// Keeps what the store has of a session for as long as it has left. If its time is over, it is the next one that is reaped.
    pub(crate) fn restore(&mut self, restored: Restored, shared: &Arc<Shared>) -> Resumption {
        self.last_key += 1;
        let key = SessionKey(self.last_key);
        let now = shared.node.now();
        let lives = restored.lives(shared.node.inboxes.age(now));
        let had_connection = restored.left().is_none();
        let (mut session, subscriptions) = Session::restored(restored, key, shared);
        let id = session.identity().client_id().clone();
        if had_connection {
            let mut woken = session.wake();
            woken.is_left();
            session = woken.rest();
        }
        let outbox = session.outbox().clone();
        let remains = self.take_kept(&id).map_or_else(Remains::default, Remains::of);
        let kept = Kept {
            session,
            expires: lives.map(|lives| now.mono + lives),
            will: None,
        };
        self.put(id, kept);
        Resumption {
            key,
            outbox,
            subscriptions,
            remains,
        }
    }

    /// Has a will published that the store has, unless its client comes back in time. Gives an earlier one of the same client: it was being published.
    pub(crate) fn restore_will(&mut self, found: FoundWill, shared: &Shared) -> Remains {
        let restored = match found {
            FoundWill::Will(_) if inbox_types::fault!(ForgetWill) => return Remains::default(),
            FoundWill::Will(restored) => *restored,
            FoundWill::Damaged(key) => {
                shared.node.inboxes.keep(Keeps::Will, key, None, None);
                return Remains::default();
            }
            FoundWill::Unknown => return Remains::default(),
        };
        let due = will_due(&restored, shared);
        let who = restored.who.clone();
        let will = Arc::new(PendingWill::restored(restored));
        let earlier = match self.take_kept(who.client_id()) {
            Some(mut kept) => {
                let earlier = kept
                    .will
                    .replace(Box::new((will, due)))
                    .map(|will| (who.clone(), will.0));
                kept.session.was_of(who.clone());
                self.put(who.client_id().clone(), kept);
                earlier
            }
            None => self.bereft.put(due, who, will),
        };
        Remains::of_will(earlier)
    }
}

/// When it is due: when its delay has passed, and its client had the time to come back that `will.after_restart` gives it.
fn will_due(restored: &RestoredWill, shared: &Shared) -> Duration {
    let now = shared.node.now();
    let age = shared.node.inboxes.age(now);
    let left = match restored.due {
        Some(due) => due.since(age),
        None => Duration::from_secs(restored.will.delay.into()),
    };
    match inbox_types::fault!(HurryWill) {
        true => now.mono,
        false => now.mono + left.max(shared.mqtt.will_after_restart.unwrap_or_default()),
    }
}
