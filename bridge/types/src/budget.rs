//! How much memory clients may make the process use, and who uses it.
//!
//! Whoever keeps bytes that clients sent has a [`Charge`], which counts them until it is dropped. It counts in steps and keeps a
//! little in hand, so that a busy connection rarely touches the shared numbers; these are cut into pieces, so that threads rarely
//! touch the same one. What is counted may be counted twice (a message that waits for the disk and for its reader), never too
//! little but for the steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

/// A charge counts in steps of so many bytes.
const STEP_BYTES: usize = 4096;
/// A charge that falls keeps so many bytes in hand until [`Charge::settle`].
const SLACK_BYTES: usize = 64 * 1024;
const PIECES: usize = 16;

/// How close to its limit the process is. Each step takes the measures of those before it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Pressure {
    /// There is room.
    #[default]
    None = 0,
    /// From 80 %: publishers are read from more slowly.
    SlowDown = 1,
    /// From 90 %: durable mail leaves memory.
    PageOut = 2,
    /// From 100 %: new messages and new clients are refused.
    Refuse = 3,
}

impl Pressure {
    fn of(used: usize, limit: usize) -> Self {
        // Parts of the limit and not multiples of what is used, which might overflow.
        match used {
            used if used >= limit => Pressure::Refuse,
            used if used >= limit - limit / 10 => Pressure::PageOut,
            used if used >= limit - limit / 5 => Pressure::SlowDown,
            _ => Pressure::None,
        }
    }

    /// One or two words, as in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Pressure::None => "none",
            Pressure::SlowDown => "slow down",
            Pressure::PageOut => "page out",
            Pressure::Refuse => "refuse",
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: usize,
    /// Their sum, modulo 2^64, is what is used: one thread may add what another one takes off.
    pieces: [Piece; PIECES],
    /// [`Pressure`] as it was when somebody looked last.
    pressure: AtomicU8,
}

/// On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Piece(AtomicUsize);

impl MemoryBudget {
    /// Room for `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(MemoryBudget {
            limit: limit.max(1),
            pieces: Default::default(),
            pressure: AtomicU8::new(Pressure::None as u8),
        })
    }

    /// In bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// What all charges count together, in bytes.
    pub fn used(&self) -> usize {
        let sum = self
            .pieces
            .iter()
            .fold(0_usize, |sum, piece| sum.wrapping_add(piece.0.load(Relaxed)));
        // The pieces are not read at one moment: a message on its way from one to the other may be missing.
        if sum > usize::MAX / 2 { 0 } else { sum }
    }

    /// How close to the limit it was when a charge grew last, or [`MemoryBudget::look`] was called.
    pub fn pressure(&self) -> Pressure {
        match self.pressure.load(Relaxed) {
            0 => Pressure::None,
            1 => Pressure::SlowDown,
            2 => Pressure::PageOut,
            _ => Pressure::Refuse,
        }
    }

    /// Finds out how close to the limit it is now.
    pub fn look(&self) -> Pressure {
        let pressure = Pressure::of(self.used(), self.limit);
        self.pressure.store(pressure as u8, Relaxed);
        pressure
    }

    /// `bytes` more are used. It is not worth a look each time: what is small adds up first.
    pub fn grow(&self, bytes: usize) {
        let before = self.piece().fetch_add(bytes, Relaxed);
        if before / STEP_BYTES != before.wrapping_add(bytes) / STEP_BYTES {
            self.look();
        }
    }

    /// `bytes` less are used.
    pub fn shrink(&self, bytes: usize) {
        self.piece().fetch_sub(bytes, Relaxed);
        // Whoever was stopped is to go on soon.
        if bytes >= STEP_BYTES && self.pressure() != Pressure::None {
            self.look();
        }
    }

    /// A copy of `bytes` that counts until the last clone of it is dropped, and once however many there are.
    pub fn payload(self: &Arc<Self>, bytes: &[u8]) -> Bytes {
        let mut charge = Charge::new(self);
        charge.take(bytes.len() + size_of::<Counted>());
        Bytes::from_owner(Counted {
            bytes: bytes.into(),
            _charge: charge,
        })
    }

    fn piece(&self) -> &AtomicUsize {
        thread_local! {
            static AT: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Relaxed) % PIECES
            };
        }
        let at = AT.with(|at| *at);
        // There is one of this number; the first one does as well.
        let [first, ..] = &self.pieces;
        &self.pieces.get(at).unwrap_or(first).0
    }
}

/// What the clients of one broker may make it keep.
#[derive(Debug)]
pub struct Budgets {
    /// Everything.
    pub all: Arc<MemoryBudget>,
    /// Of that, large packets that are not whole.
    pub receiving: Arc<MemoryBudget>,
}

/// Packets that are not whole may take this part of the budget, so that they cannot use up all of it.
const RECEIVING_PART: usize = 4;

impl Budgets {
    /// Room for `limit` bytes in all.
    pub fn new(limit: usize) -> Arc<Self> {
        let all = MemoryBudget::new(limit);
        Arc::new(Budgets {
            receiving: MemoryBudget::new(all.limit() / RECEIVING_PART),
            all,
        })
    }

    /// How scarce memory is, for messages or for packets that are not whole.
    pub fn pressure(&self) -> Pressure {
        self.all.pressure().max(self.receiving.pressure())
    }

    /// Whether nothing new is accepted because of the budget.
    pub fn are_used_up(&self) -> bool {
        self.all.pressure() == Pressure::Refuse && !crate::fault!(IgnoreBudget)
    }
}

struct Counted {
    bytes: Box<[u8]>,
    _charge: Charge,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that somebody keeps, counted until it is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<MemoryBudget>,
    bytes: usize,
}

impl Charge {
    /// Counts nothing yet.
    pub fn new(budget: &Arc<MemoryBudget>) -> Self {
        Charge {
            budget: budget.clone(),
            bytes: 0,
        }
    }

    /// Counts `bytes` now, or somewhat more.
    #[inline]
    pub fn cover(&mut self, bytes: usize) {
        if bytes > self.bytes || self.bytes - bytes >= SLACK_BYTES + STEP_BYTES {
            self.settle(bytes);
        }
    }

    /// Counts `bytes` now, and keeps nothing in hand.
    pub fn settle(&mut self, bytes: usize) {
        self.take(bytes.next_multiple_of(STEP_BYTES));
    }

    fn take(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.grow(bytes - self.bytes);
        } else if bytes < self.bytes {
            self.budget.shrink(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.take(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a charge counts what it covers, gives back what it no longer does, and everything when it is dropped.
    #[test]
    fn a_charge_counts_until_it_is_dropped() {
        let budget = MemoryBudget::new(1 << 20);
        let mut charge = Charge::new(&budget);
        charge.cover(1);
        assert_eq!(budget.used(), STEP_BYTES);
        charge.cover(500_000);
        let most = budget.used();
        assert!((500_000..500_000 + STEP_BYTES).contains(&most));
        charge.cover(490_000);
        assert_eq!(budget.used(), most, "a little is kept in hand");
        charge.settle(490_000);
        assert!(budget.used() < most);
        charge.cover(0);
        assert_eq!(budget.used(), 0);
        charge.cover(9);
        std::thread::spawn(move || drop(charge)).join().unwrap();
        assert_eq!(budget.used(), 0, "another thread gives back what this one took");
    }

    /// Goal: a payload counts once, however many hold it, and until the last one lets go.
    #[test]
    fn a_payload_that_is_shared_counts_once() {
        let budget = MemoryBudget::new(1 << 20);
        let payload = budget.payload(&[7; 1000]);
        let used = budget.used();
        assert!((1000..1100).contains(&used), "{used}");
        let part = payload.slice(10..20);
        let clones = vec![payload.clone(); 10];
        assert_eq!(budget.used(), used);
        drop((payload, clones));
        assert_eq!((budget.used(), &*part), (used, &[7; 10][..]));
        drop(part);
        assert_eq!(budget.used(), 0);
    }

    /// Goal: slow down, page out, refuse, in that order; and back again when bytes are given back.
    #[test]
    fn pressure_rises_in_order_and_falls_again() {
        let budget = MemoryBudget::new(1_000_000);
        let mut seen = Vec::new();
        let mut charges = Vec::new();
        for _ in 0..20 {
            let mut charge = Charge::new(&budget);
            charge.cover(50_000);
            charges.push(charge);
            seen.push(budget.pressure());
        }
        assert!(seen.is_sorted());
        seen.dedup();
        let all = [Pressure::None, Pressure::SlowDown, Pressure::PageOut, Pressure::Refuse];
        assert_eq!(seen, all);
        charges.clear();
        assert_eq!((budget.look(), budget.used()), (Pressure::None, 0));
    }
}
