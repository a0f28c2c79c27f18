//! How fast mail is sent to the client (`delivery.rate`): a bucket that holds one second's worth. Mail that has its time to come waits in the
//! outbox, in order, and holds nothing else up.

use std::time::Duration;

use super::Session;

/// What the bucket holds.
const BURST: Duration = Duration::from_secs(1);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Rate {
    /// What one message takes.
    interval: Duration,
    /// When the bucket is full again. It is empty one second before that.
    full_at: Duration,
    /// Not even one more may be sent, as far as is known.
    is_dry: bool,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        Rate {
            interval: BURST / per_second.max(1),
            full_at: Duration::ZERO,
            is_dry: false,
        }
    }

    /// How many may be sent at `now`.
    fn left(&mut self, now: Duration) -> usize {
        let left = (now + BURST).saturating_sub(self.full_at.max(now));
        let left = left.as_nanos() / self.interval.as_nanos().max(1);
        self.is_dry = left == 0;
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    fn take(&mut self, sent: usize, now: Duration) {
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        self.full_at = self.full_at.max(now) + self.interval.saturating_mul(sent);
        self.left(now);
    }

    /// When the next one may be sent.
    fn next(&self) -> Duration {
        (self.full_at + self.interval).saturating_sub(BURST)
    }
}

impl Session {
    /// A connection begins. One that comes again has not earned a full bucket.
    pub(super) fn is_paced_from_now(&mut self) {
        let rate = self.shared.mqtt.delivery_rate;
        self.rate = self.rate.take().or_else(|| rate.map(|rate| Box::new(Rate::new(rate))));
    }

    /// How many pieces of mail may be sent at `now`, of `most`.
    #[inline]
    pub(super) fn paced(&mut self, most: usize, now: Duration) -> usize {
        match &mut self.rate {
            Some(rate) if !inbox_types::fault!(IgnoreRate) => most.min(rate.left(now)),
            _ => most,
        }
    }

    /// So many were sent.
    #[inline]
    pub(super) fn spend(&mut self, sent: usize, now: Duration) {
        if let Some(rate) = &mut self.rate {
            rate.take(sent, now);
        }
    }

    /// Whether mail has to wait although the client would take it.
    #[inline]
    pub(super) fn mail_has_to_wait(&self) -> bool {
        self.rate.as_ref().is_some_and(|rate| rate.is_dry)
    }

    /// When mail that waits may be sent, if nothing but the rate holds it up.
    pub(crate) fn next_mail_at(&self) -> Option<Duration> {
        let rate = self.rate.as_ref().filter(|rate| rate.is_dry)?;
        let (waiting, _) = self.outbox.mail_waiting();
        (waiting > 0 && self.can_send_mail()).then(|| rate.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_a_second_and_fills_evenly() {
        // Goal: at most one second's worth at once, then one for each interval; a long silence earns no more than that; rates that do not divide a
        // second, and the highest one, too.
        for per_second in [1_u32, 3, 10, 10_000_000] {
            let mut rate = Rate::new(per_second);
            let mut now = Duration::from_secs(100);
            let burst = rate.left(now);
            assert!(burst as u64 >= u64::from(per_second) && burst as u64 <= u64::from(per_second) + 1);
            rate.take(burst, now);
            assert_eq!((rate.left(now), rate.is_dry), (0, true));
            for _ in 0..5 {
                assert!(rate.next() > now);
                now = rate.next();
                assert_eq!((rate.left(now), rate.is_dry), (1, false));
                rate.take(1, now);
            }
            now += Duration::from_secs(3600);
            assert_eq!(rate.left(now), burst);
        }
    }
}
