//! Which member of a shared subscription gets a message (MQTT 5, section 4.8.2, leaves it to the server).

/// Connected members that are compared at most, so that a group of any size costs a message no more.
const COMPARED_MAX: usize = 64;

/// Of `count` members, the one for whom the fewest messages wait; among equals, the first from `next` on, so that they take turns. `waiting` tells of a
/// member how many wait for it, or nothing if its client is not connected. When none is, it is the next one's turn. `None` only without members.
pub(super) fn choose(count: usize, next: usize, waiting: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let mut turns = (0..count).map(|turn| (next + turn) % count);
    let first = turns.clone().next()?;
    let mut best = None;
    let mut compared = 0;
    let chosen = turns.find_map(|at| {
        let waits = waiting(at)?;
        if best.is_none_or(|(fewest, _)| waits < fewest) {
            best = Some((waits, at));
        }
        compared += 1;
        (waits == 0 || compared == COMPARED_MAX).then_some(best?.1)
    });
    chosen.or(best.map(|(_, at)| at)).or(Some(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the shortest queue gets it; equals take turns; who is away is passed over while somebody is there.
    #[test]
    fn mqtt_4_8_2_the_shortest_queue_is_chosen() {
        let of = |waiting: &[Option<usize>], next| choose(waiting.len(), next, |at| waiting[at]);
        assert_eq!(of(&[], 0), None);
        assert_eq!(of(&[Some(0), Some(0), Some(0)], 1), Some(1));
        assert_eq!(of(&[Some(0), Some(5), Some(3)], 1), Some(0));
        assert_eq!(of(&[Some(7), Some(5), Some(5)], 2), Some(2));
        assert_eq!(of(&[Some(7), Some(5), Some(5)], 0), Some(1));
        assert_eq!(of(&[None, Some(900), None], 0), Some(1));
        assert_eq!(of(&[None, None, None], 2), Some(2));
    }

    /// Goal: with very many members not all are looked at, unless they are away.
    #[test]
    fn a_large_group_is_not_searched_for_each_message() {
        let looked = std::cell::Cell::new(0);
        let counted = |waiting: Option<usize>| {
            looked.set(looked.get() + 1);
            waiting
        };
        assert_eq!(choose(100_000, 99_990, |at| counted(Some(at + 1))), Some(0));
        assert_eq!(looked.replace(0), COMPARED_MAX);
        assert_eq!(choose(1_000, 1, |at| counted((at == 0).then_some(9))), Some(0));
        assert_eq!(looked.get(), 1_000);
    }
}
