//! What was written to a reader with QoS 0. Nobody acknowledges it, and the bytes may lie in a socket of a client that is about to go. So
//! it stays in the inbox until the connection has been open for [`Limits::qos0_settle`](inbox_types::Limits::qos0_settle) after it was written
//! (contract rule 5), and whoever only looked finds it there again.
//!
//! It takes no place in the window meanwhile: a reader with QoS 0 is as fast as its socket. What waits is as much as was written within
//! that time, at most [`SETTLING_MAX`], and 40 bytes each.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::in_flight::InFlight;
use super::leaving::Fate;
use super::{Context, Durability, Effects, Mailbox};
use inbox_types::{Limits, Message, SETTLING_MAX, Seq};

/// A message that was written with QoS 0, and may come again.
pub(super) struct Settling {
    pub(super) seq: Seq,
    pub(super) size: Option<usize>,
    /// If its sender wants receipts.
    pub(super) message: Option<Arc<Message>>,
    since: Duration,
}

impl From<Settling> for InFlight {
    fn from(settling: Settling) -> Self {
        InFlight::new(settling.seq, settling.size, settling.message)
    }
}

impl Mailbox {
    /// The bytes of a message that its reader is sent with QoS 0 are written.
    pub(crate) fn written(&mut self, seq: Seq, cx: Context, fx: &mut Effects) {
        if cx.limits.qos0_settle.is_zero() || inbox_types::fault!(LeaveWhenWritten) {
            return self.acknowledge(seq, cx, fx);
        }
        let young = self.young_at(seq);
        let is_leaving = self.is_leaving(seq) || matches!(young, Some((_, Durability::CommittingGone)));
        let Some(reader) = self.reader.as_mut() else { return };
        // Of an earlier attachment: the present one is sent it again.
        let Some(sent) = reader.landed(seq) else { return };
        if !sent.gone && !is_leaving {
            let settling = Settling {
                seq,
                size: sent.size,
                message: sent.message,
                since: cx.now.mono,
            };
            super::queue::put_in(&mut reader.settling, settling, |settling| settling.seq);
            // Nobody is about to acknowledge it: it is written now.
            if let Some(young) = young
                .and_then(|(at, _)| self.young.get_mut(at))
                .filter(|young| young.durability == Durability::Waiting)
            {
                young.held_until = young.held_until.min(cx.now.mono);
                fx.commit_by(young.held_until);
            }
            if let Some(deadline) = self.settles_by(cx.limits) {
                fx.commit_by(deadline);
            }
        }
        self.pump(cx, fx);
    }

    /// When the committer is to see what has settled. Together with what settled within a flush interval, so that one commit takes many.
    #[inline]
    pub(super) fn settles_by(&self, limits: &Limits) -> Option<Duration> {
        let reader = self.reader.as_ref()?;
        let oldest = match reader.settles_out_of_order {
            true => reader.settling.iter().map(|settling| settling.since).min()?,
            false => reader.settling.front()?.since,
        };
        Some(oldest + limits.qos0_settle + limits.ack_flush_interval)
    }

    /// What was written long enough ago leaves. Tells whether anything did.
    pub(super) fn settle_due(&mut self, cx: Context, fx: &mut Effects) -> bool {
        let has_settled = |settling: &Settling| settling.since + cx.limits.qos0_settle <= cx.now.mono;
        let mut any = false;
        while self.settle_oldest(has_settled, cx, fx) {
            any = true;
        }
        for settled in self.settled_out_of_order(has_settled) {
            self.leave_read(settled.into(), Fate::Read, cx, fx);
            any = true;
        }
        if any {
            self.pump(cx, fx);
        }
        any
    }

    /// What has settled behind a message that has not, because the reader started over after it was written. All of it is looked through until
    /// it is in order again.
    fn settled_out_of_order(&mut self, has_settled: impl Fn(&Settling) -> bool) -> Vec<Settling> {
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.settles_out_of_order) else {
            return Vec::new();
        };
        let all = mem::take(&mut reader.settling);
        let mut settled = Vec::new();
        for settling in all {
            match has_settled(&settling) {
                true => settled.push(settling),
                false => reader.settling.push_back(settling),
            }
        }
        reader.settles_out_of_order = !reader.settling.iter().is_sorted_by_key(|settling| settling.since);
        settled
    }

    /// Makes room in a full inbox: what was written to its reader already leaves early, the oldest first, while `is_short` of room.
    pub(super) fn settle_for_room(&mut self, is_short: impl Fn(&Mailbox) -> bool, cx: Context, fx: &mut Effects) {
        // One of unknown size would make it necessary to count everything anew, and nothing would be won.
        while is_short(self) && self.settle_oldest(|settling| settling.size.is_some(), cx, fx) {}
    }

    fn settle_oldest(&mut self, may_leave: impl Fn(&Settling) -> bool, cx: Context, fx: &mut Effects) -> bool {
        let Some(reader) = self.reader.as_mut() else {
            return false;
        };
        if !reader.settling.front().is_some_and(may_leave) {
            return false;
        }
        let Some(settled) = reader.settling.pop_front() else {
            return false;
        };
        self.leave_read(settled.into(), Fate::Read, cx, fx);
        true
    }
}

const _: () = assert!(
    SETTLING_MAX >= 100_000,
    "a full inbox of the default size is drained without a pause"
);
