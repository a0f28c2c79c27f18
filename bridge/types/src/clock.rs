//! Where times come from. The inboxes and the sessions never read a clock: they are told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Microseconds since the Unix epoch, by the system clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub u64);

/// Names one boot of one machine, in which [`Now::mono`] goes on without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BootId(pub u64);

impl BootId {
    /// Of a machine that does not say: it is like no other boot, nor like itself.
    pub const UNKNOWN: BootId = BootId(0);

    pub(crate) fn is_same(self, other: BootId) -> bool {
        self == other && self != BootId::UNKNOWN
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the system clock, which may jump: for what users see.
    pub wall: Micros,
    /// Since some fixed moment of this boot of the machine, never going back: for deadlines and waiting.
    pub mono: Duration,
}

impl Now {
    /// [`Now::mono`] in microseconds.
    #[inline]
    pub fn mono_micros(self) -> u64 {
        micros(self.mono)
    }
}

/// At most `u64::MAX`. Each message needs it, so without 128-bit numbers.
#[inline]
pub(crate) fn micros(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from(time.subsec_micros()))
}

/// Where times come from.
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Now;

    /// [`Now::mono`] alone, for who needs it for each message.
    fn mono(&self) -> Duration {
        self.now().mono
    }

    /// In which boot of which machine [`Now::mono`] counts. A clock that does not know is never the same one after a restart.
    fn boot(&self) -> BootId {
        BootId::UNKNOWN
    }
}

/// The clock that goes on while the machine is suspended: mail grows older then, too.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MONOTONIC: ClockId = ClockId::Boottime;
/// Elsewhere the monotonic clock does that by itself, or nothing does.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MONOTONIC: ClockId = ClockId::Monotonic;

/// A number that the kernel makes anew at each boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The clocks of the machine.
#[derive(Debug)]
pub struct SystemClock {
    boot: BootId,
}

impl Default for SystemClock {
    fn default() -> Self {
        let id = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        SystemClock { boot: boot_id(&id) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            wall: Micros(u64::try_from(wall.as_micros()).unwrap_or(u64::MAX)),
            mono: self.mono(),
        }
    }

    fn mono(&self) -> Duration {
        let mono = clock_gettime(MONOTONIC);
        Duration::new(
            u64::try_from(mono.tv_sec).unwrap_or_default(),
            u32::try_from(mono.tv_nsec).unwrap_or_default(),
        )
    }

    fn boot(&self) -> BootId {
        self.boot
    }
}

/// The first 16 hexadecimal digits of the kernel's number, which is random throughout.
fn boot_id(text: &str) -> BootId {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).map_or(BootId::UNKNOWN, BootId)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the machine's clocks go on, and two looks at the boot agree.
    #[test]
    fn the_system_clock_goes_on_within_one_boot() {
        let clock = SystemClock::default();
        let (first, second) = (clock.now(), clock.now());
        assert!(first.mono <= second.mono && first.wall.0 > 0);
        assert_eq!(clock.boot(), SystemClock::default().boot());
    }

    #[test]
    fn a_boot_id_is_read_from_its_first_digits() {
        assert_eq!(boot_id("0000000a-0000-000b-ffff-ffffffffffff\n"), BootId(0xa_0000_000b));
        assert_eq!(boot_id(""), BootId::UNKNOWN);
    }
}
