//! Letting answers gather before they are read, so that a flood costs few system calls.
//!
//! Woken for every packet, this program would make seven system calls per message, and on a small machine take the
//! processor from the broker that it measures. In a closed loop with many messages in flight nobody is kept waiting if
//! it looks up less often: at most [`SHARE`] of them are here, and the broker still has the rest to work on.

use std::time::Duration;

/// The pause is at most this part of the recent time from PUBLISH to PUBACK.
const SHARE: u64 = 4;
/// With fewer messages in flight the broker could run out of work.
const IN_FLIGHT_MIN: usize = 256;
/// Shorter pauses do not pay, and a broker that answers this quickly is not short of processor time, in nanoseconds.
const PAUSE_NS_MIN: u64 = 250_000;
/// A slow broker's answers come in ones and twos; even so few system calls for each should not be noticed beside it.
const PAUSE_NS_MAX: u64 = 32_000_000;
/// The mean follows about this many acknowledgements.
const MEMORY: u64 = 256;

/// Says how long to pause. It follows the broker's own pace.
#[derive(Debug)]
pub(crate) enum Gather {
    /// As long as the command line says.
    Fixed(Duration),
    /// By the recent mean time from PUBLISH to PUBACK.
    Paced {
        /// In nanoseconds times [`MEMORY`].
        mean: u64,
    },
}

impl Gather {
    /// A pause of `fixed_us` microseconds if given; else by pace, if `in_flight` messages are enough for that.
    pub(crate) fn new(fixed_us: Option<u64>, in_flight: usize) -> Self {
        match fixed_us {
            Some(us) => Gather::Fixed(Duration::from_micros(us)),
            None if in_flight < IN_FLIGHT_MIN => Gather::Fixed(Duration::ZERO),
            None => Gather::Paced { mean: 0 },
        }
    }

    /// A PUBACK came after this time.
    pub(crate) fn observe(&mut self, puback_ns: u64) {
        if let Gather::Paced { mean } = self {
            *mean = *mean - *mean / MEMORY + puback_ns;
        }
    }

    /// How long to wait before looking at the sockets again.
    pub(crate) fn pause(&self) -> Duration {
        match self {
            Gather::Fixed(pause) => *pause,
            Gather::Paced { mean } => match mean / MEMORY / SHARE {
                ..PAUSE_NS_MIN => Duration::ZERO,
                ns => Duration::from_nanos(ns.min(PAUSE_NS_MAX)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the pause follows a slow broker, is never more than a quarter of its pace, and a quick one is not paused for.
    #[test]
    fn the_pause_follows_the_broker() {
        let mut gather = Gather::new(None, 1600);
        assert_eq!(gather.pause(), Duration::ZERO);
        (0..10_000).for_each(|_| gather.observe(20_000_000));
        assert!(
            (4_900_000..=5_000_000).contains(&gather.pause().as_nanos()),
            "{gather:?}"
        );
        (0..10_000).for_each(|_| gather.observe(500_000));
        assert_eq!(gather.pause(), Duration::ZERO);
    }

    /// Goal: with few messages in flight a pause would cost throughput, so there is none unless it is asked for.
    #[test]
    fn few_messages_in_flight_are_not_paused_for() {
        let mut gather = Gather::new(None, 16);
        gather.observe(1_000_000_000);
        assert_eq!(gather.pause(), Duration::ZERO);
        assert_eq!(Gather::new(Some(100), 16).pause(), Duration::from_micros(100));
    }
}
