//! The answers of the application to what came in.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::outgoing::request;
use super::{Command, Shared, now_us};
use crate::arrivals::{Answered, Key, Ticket, Verdict};
use crate::delivery::{Desk, Pending};
use crate::error::{AckError, SendError, StoreError};
use crate::outbox::Destination;
use crate::store::Change;

/// Where deliveries of an inbox go back to.
#[derive(Debug, Clone)]
pub(crate) struct Counter(pub(crate) Arc<Shared>);

impl Desk for Counter {
    fn settle(&self, ticket: Ticket, verdict: Verdict, done: oneshot::Sender<Result<(), AckError>>) {
        let shared = &self.0;
        let mut state = shared.lock();
        let answered = state.arrivals.settling(ticket, verdict, now_us());
        let standing = state.arrivals.standing().clone();
        drop(state);
        let Some((number, answered)) = answered else {
            // Nothing recognises it, so there is nothing to keep.
            shared.settled(ticket, verdict, None);
            let _nobody = done.send(Ok(()));
            return;
        };
        let changes = vec![
            Change::Answered {
                number,
                answered: answered.clone(),
            },
            Change::Standing(standing),
        ];
        let this = shared.clone();
        shared.store.commit(changes, move |result| {
            let told = match result {
                Ok(()) => {
                    this.settled(ticket, verdict, Some((number, answered)));
                    Ok(())
                }
                Err(why) => {
                    this.lock().arrivals.unsettled(ticket);
                    Err(match why {
                        StoreError::Closed => AckError::Closed,
                        why => why.into(),
                    })
                }
            };
            // The application may have stopped waiting; the answer goes out all the same.
            let _nobody = done.send(told);
        });
    }

    fn let_go(&self, ticket: Ticket) {
        self.0.lock().arrivals.let_go(ticket);
    }

    fn mark_read(&self, from: &str, id: &str) -> Result<Pending, SendError> {
        self.0.mark_read(from, &[id])
    }
}

impl Shared {
    /// Says that messages of this sender were read, and remembers it.
    pub(crate) fn mark_read(self: &Arc<Self>, from: &str, ids: &[&str]) -> Result<Pending, SendError> {
        let body = serde_json::json!({ "from": from, "ids": ids });
        let topic = Destination::Request("$inbox/read".to_owned());
        let pending = self.submit(topic, request(body.to_string().into()))?;
        let mut state = self.lock();
        let keys = ids.iter().map(|id| Key {
            from: from.to_owned(),
            id: (*id).to_owned(),
        });
        let read = keys.filter_map(|key| state.arrivals.read(&key));
        let changes = read.map(|(number, answered)| Change::Answered { number, answered });
        let changes = changes.collect();
        drop(state);
        self.store.note(changes);
        Ok(pending)
    }

    /// An answer may go out.
    fn settled(&self, ticket: Ticket, verdict: Verdict, answered: Option<(u64, Answered)>) {
        let (packet, forgotten) = self.lock().arrivals.settled(ticket, answered);
        let forget = forgotten.into_iter().map(|number| Change::Forget { number });
        self.store.note(forget.collect());
        if let Some(packet) = packet {
            self.command(Command::Answer { packet, verdict });
        }
    }

    /// Something else is known of the own inbox.
    pub(crate) fn note_standing(&self) {
        let standing = self.lock().arrivals.standing().clone();
        self.store.note(vec![Change::Standing(standing)]);
    }
}
