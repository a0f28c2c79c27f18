//! Sessions that the store has, when the broker starts.

use std::sync::Arc;
use std::time::Duration;

use inbox_types::Kept as Keeps;
use pubsub::{SessionKey, Sink, SubscribeError};

use super::{Kept, Remains, SessionTable, Sessions};
use crate::keeping::{Found, Restored};
use crate::session::{Outbox, Resumed, Session, Shared};

/// A session that the store had, and what is to be done for it.
pub struct Resumption {
    /// By which the router is to know it.
    pub key: SessionKey,
    /// What is to take its messages.
    pub outbox: Arc<Outbox>,
    /// Its subscriptions.
    pub subscriptions: Vec<Resumed>,
    /// Of an earlier life of the same client.
    pub remains: Remains,
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
            let subscribed = self.router.subscribe(key, sink.clone(), number, &filter, share, false);
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

    /// All of them are here: those beyond `mqtt.sessions_max` end. Gives how many there are.
    pub async fn restored(&self) -> usize {
        self.make_room().await;
        self.kept()
    }
}

impl Sessions {
    /// Keeps what the store has of a session for as long as it has left. If its time is over, it is the next one that is reaped.
    pub fn restore(&mut self, restored: Restored, shared: &Arc<Shared>) -> Resumption {
        self.last_key += 1;
        let key = SessionKey(self.last_key);
        let left = restored.left();
        let (mut session, subscriptions) = Session::restored(restored, key, shared.clone());
        let (id, expiry) = (session.id().clone(), session.link().session_expiry);
        let now = shared.node.now();
        let age = shared.node.inboxes.age(now);
        let waited = left.map_or(Duration::ZERO, |left| {
            Duration::from_micros(age.0.saturating_sub(left.0))
        });
        if left.is_none() {
            // It had a connection when the broker ended.
            session.is_left();
        }
        let outbox = session.outbox().clone();
        let remains = self.take_kept(&id).map_or_else(Remains::default, Remains::of);
        let lives = Duration::from_secs(expiry.into()).saturating_sub(waited);
        let expires = (expiry != u32::MAX).then(|| now.mono + lives);
        let kept = Kept {
            session,
            expires,
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
}
