//! Queues in seq order, in which mostly one end is meant.

use std::cmp::Ordering;
use std::collections::VecDeque;

use inbox_types::Seq;

/// Where `seq` is in a queue in seq order, or would be. Mostly it is one end: readers acknowledge the oldest, and are sent the newest.
#[inline]
pub(super) fn place_of<T>(queue: &VecDeque<T>, seq: Seq, seq_of: impl Fn(&T) -> Seq) -> usize {
    let is_before = |at: usize| queue.get(at).is_some_and(|item| seq_of(item) < seq);
    let last = queue.len().wrapping_sub(1);
    match () {
        () if is_before(last) => queue.len(),
        () if !is_before(0) => 0,
        () if is_before(last.wrapping_sub(1)) => last,
        () => queue.partition_point(|item| seq_of(item) < seq),
    }
}

/// Where the item with this `seq` is in a queue in seq order. Mostly it is the first, or behind all.
#[inline]
pub(super) fn find<T>(queue: &VecDeque<T>, seq: Seq, seq_of: impl Fn(&T) -> Seq) -> Option<usize> {
    match seq_of(queue.front()?).cmp(&seq) {
        Ordering::Greater => None,
        Ordering::Equal => Some(0),
        Ordering::Less => find_later(queue, seq, seq_of),
    }
}

/// The same, of one that is not the first.
#[inline]
fn find_later<T>(queue: &VecDeque<T>, seq: Seq, seq_of: impl Fn(&T) -> Seq) -> Option<usize> {
    match seq_of(queue.back()?).cmp(&seq) {
        Ordering::Less => None,
        Ordering::Equal => Some(queue.len() - 1),
        Ordering::Greater => {
            let at = place_of(queue, seq, &seq_of);
            queue.get(at).filter(|item| seq_of(item) == seq).map(|_| at)
        }
    }
}

/// Takes an item out, which mostly is the first.
#[inline]
pub(super) fn take_out<T>(queue: &mut VecDeque<T>, at: usize) -> Option<T> {
    match at {
        0 => queue.pop_front(),
        at => queue.remove(at),
    }
}

/// Puts an item in its place, which mostly is behind the others.
#[inline]
pub(super) fn put_in<T>(queue: &mut VecDeque<T>, item: T, seq_of: impl Fn(&T) -> Seq) {
    match place_of(queue, seq_of(&item), seq_of) {
        at if at == queue.len() => queue.push_back(item),
        at => queue.insert(at, item),
    }
}
