//! What a backup holds on to.

use super::{Place, batch_of, removals};
use crate::error::HoldError;
use crate::frame;

/// What a backup holds on to is every commit since then, in order, and each for itself.
pub(super) fn commits_are_held_for_a_backup(place: &Place) {
    let store = place();
    store.commit(&batch_of("bob", 1..=2)).unwrap();
    let first = store.hold_commits(0).unwrap();
    first.check().unwrap();
    store.commit(&batch_of("bob", 3..=4)).unwrap();
    let second = store.hold_commits(0).unwrap();
    assert_eq!(second.after(), first.after() + 1);
    store.commit(&removals("bob", &[1])).unwrap();
    let mut seen = Vec::new();
    let last = first.read(&mut |number, frame| {
        let batch = frame::decode(frame).unwrap();
        seen.push((number - first.after(), batch.puts.len(), batch.removals.len()));
        Ok(())
    });
    assert_eq!(last.unwrap(), first.after() + 2);
    assert_eq!(seen, [(1, 2, 0), (2, 0, 1)]);
    drop(first);
    let mut seen = 0;
    let last = second.read(&mut |_, _| {
        seen += 1;
        Ok(())
    });
    assert_eq!((last.unwrap(), seen), (second.after() + 1, 1));
    let failed = second.read(&mut |_, _| Err(std::io::ErrorKind::StorageFull.into()));
    assert!(matches!(failed, Err(HoldError::Write(_))));
}
