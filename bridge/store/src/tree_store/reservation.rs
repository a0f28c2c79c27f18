//! The reservation of seqs, as it is kept in the tree.

use std::time::Duration;

use crate::error::{Failure, ForeignRecord, StoreError};
use crate::tree::Tree;
use crate::{frame, key};
use inbox_types::Seq;

/// What is kept under [`key::RESERVED`]; formats before 3 keep no age.
pub(super) struct Reservation {
    pub(super) seq: Seq,
    pub(super) age: Option<Duration>,
}

/// The value under [`key::RESERVED`].
pub(super) fn reservation(seq: Seq, age: Duration) -> Vec<u8> {
    [seq.0.to_be_bytes(), frame::micros(age).to_be_bytes()].concat()
}

/// Reads it; `None` if there is none.
pub(super) fn read(tree: &impl Tree) -> Result<Option<Reservation>, StoreError> {
    let Some(value) = tree.get(key::RESERVED)? else {
        return Ok(None);
    };
    let value = value.as_ref();
    let number = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
    let (seq, age) = match value.split_first_chunk() {
        Some((seq, [])) => (number(seq), None),
        Some((seq, rest)) => match rest.try_into() {
            Ok(age) => (number(seq), Some(Duration::from_micros(number(&age)))),
            Err(_) => return Err(wrong_length(key::RESERVED, value)),
        },
        None => return Err(wrong_length(key::RESERVED, value)),
    };
    Ok(Some(Reservation { seq: Seq(seq), age }))
}

/// A number that is longer or shorter than it should be.
pub(super) fn wrong_length(key: &[u8], value: &[u8]) -> StoreError {
    let (key, bytes) = (key.to_vec(), value.len());
    Failure::Foreign(ForeignRecord::Number { key, bytes }).into()
}
