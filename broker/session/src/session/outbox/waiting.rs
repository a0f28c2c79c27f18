//! What waits in an outbox.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;

use inbox_types::{AttachmentId, Charge, Delivery, MemoryBudget, Outcome, Ticket};
use tokio::sync::Notify;

use crate::session::order::{Asked, Order};

/// Made when something waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) mail: VecDeque<(AttachmentId, Delivery)>,
    /// The sum of the sizes in `mail`.
    pub(super) mail_bytes: usize,
    pub(super) charge: Charge,
    /// What the session had encoded and the socket not taken when it last looked here, in bytes.
    pub(super) unwritten: usize,
    /// Those of `mail` with QoS 0.
    pub(super) mail_qos0: usize,
    pub(super) ordinary: VecDeque<pubsub::OrdinaryDelivery>,
    /// Those of `ordinary` that come from the retained messages.
    pub(super) retained: usize,
    /// The sum of their sizes.
    pub(super) retained_bytes: usize,
    /// Who has more of them, and is to be told when there is room.
    pub(super) hungry: Vec<Arc<Notify>>,
    /// The sum of the sizes of the others.
    pub(super) ordinary_bytes: usize,
    pub(super) outcomes: Vec<(Ticket, Outcome)>,
    /// The first of `ordinary` cannot be sent yet: see [`Outbox::take_ordinary`].
    pub(super) ordinary_is_early: bool,
    /// Places of messages that the client has, durably.
    pub(super) taken: Vec<NonZeroU64>,
    pub(super) order: Option<Order>,
    pub(super) asked: Vec<Asked>,
    pub(super) overflowed: u64,
    pub(super) mail_overflowed: u64,
    pub(super) waker: Option<Waker>,
}

impl Waiting {
    pub(super) fn new(budget: &Arc<MemoryBudget>) -> Self {
        Waiting {
            mail: VecDeque::new(),
            mail_bytes: 0,
            charge: Charge::new(budget),
            unwritten: 0,
            mail_qos0: 0,
            ordinary: VecDeque::new(),
            retained: 0,
            retained_bytes: 0,
            hungry: Vec::new(),
            ordinary_bytes: 0,
            outcomes: Vec::new(),
            ordinary_is_early: false,
            taken: Vec::new(),
            order: None,
            asked: Vec::new(),
            overflowed: 0,
            mail_overflowed: 0,
            waker: None,
        }
    }

    /// Whether nothing is lost with it.
    pub(super) fn is_nothing(&self) -> bool {
        let (messages, told) = (
            self.mail.len() + self.ordinary.len(),
            self.overflowed + self.mail_overflowed,
        );
        let outcomes = self.outcomes.len() + self.taken.len();
        messages == 0 && told == 0 && outcomes == 0 && self.hungry.is_empty() && self.order.is_none()
    }
}
