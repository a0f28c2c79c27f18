//! Tables in the tree: the values of their keys, of which a long one is in several pieces.
//!
//! The first value begins with a byte that says whether it is all. It is written after the pieces and removed before them, so what it
//! announces is there. What a crash leaves of a value that was being written is still in the log, and is written again.

use std::ops::Bound;

use crate::blocks::foreign_key;
use crate::error::{Failure, ForeignRecord, StoreError};
use crate::key;
use crate::record::PIECE_BYTES;
use crate::table::{TABLE_VALUE_BYTES_MAX, Table, TableKey};
use crate::tree::{Tree, VALUE_BYTES_MAX};
use bytes::Bytes;

/// Begins a value that is whole.
const WHOLE: u8 = 1;
/// Begins the first piece of a value, after its length as four bytes.
const CUT: u8 = 0;
const CUT_HEADER_BYTES: usize = 5;

const _: () = assert!(PIECE_BYTES + CUT_HEADER_BYTES <= VALUE_BYTES_MAX);

/// A first value.
enum Head<'a> {
    Whole(&'a [u8]),
    Cut { length: usize, first: &'a [u8] },
}

impl<'a> Head<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        match value.split_first()? {
            (&WHOLE, whole) => Some(Head::Whole(whole)),
            (&CUT, rest) => {
                let (length, first) = rest.split_first_chunk::<4>()?;
                let length = u32::from_be_bytes(*length) as usize;
                let is_cut = first.len() == PIECE_BYTES && (PIECE_BYTES..=TABLE_VALUE_BYTES_MAX).contains(&length);
                is_cut.then_some(Head::Cut { length, first })
            }
            _ => None,
        }
    }

    fn pieces(&self) -> u32 {
        match self {
            Head::Whole(_) => 0,
            Head::Cut { length, first } => {
                u32::try_from(length.saturating_sub(first.len()).div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
            }
        }
    }
}

fn damaged(table: Table, key: &[u8]) -> StoreError {
    let key = key.to_vec();
    Failure::Foreign(ForeignRecord::TableValue { key, table: table.id() }).into()
}

/// The value of a key.
pub(crate) fn get(tree: &impl Tree, table: Table, key: &TableKey) -> Result<Option<Bytes>, StoreError> {
    match tree.get(&key::table(table, key.as_bytes()))? {
        Some(head) => load(tree, table, key, head.as_ref()).map(Some),
        None => Ok(None),
    }
}

/// The value of a key whose first value is `head`.
pub(crate) fn load(tree: &impl Tree, table: Table, key: &TableKey, head: &[u8]) -> Result<Bytes, StoreError> {
    let damaged = || damaged(table, key.as_bytes());
    let head = Head::parse(head).ok_or_else(damaged)?;
    let (length, first) = match head {
        Head::Whole(whole) => return Ok(Bytes::copy_from_slice(whole)),
        Head::Cut { length, first } => (length, first),
    };
    // What a damaged head announces must not be allocated before it is there.
    let mut whole = first.to_vec();
    for number in 1..=head.pieces() {
        let piece = tree.get(&key::table_piece(table, key, number))?.ok_or_else(damaged)?;
        whole.extend_from_slice(piece.as_ref());
    }
    match whole.len() == length {
        true => Ok(whole.into()),
        false => Err(damaged()),
    }
}

/// The keys of `table` that begin with `prefix` and are above `after`, in order, each with its first value, to be [`load`]ed. One that
/// the log says something of must not be: an interrupted checkpoint may have left pieces of two values.
pub(crate) fn range<'a, T: Tree>(
    tree: &'a T,
    table: Table,
    prefix: &'a [u8],
    after: Option<&TableKey>,
) -> impl Iterator<Item = Result<(TableKey, T::Slice), StoreError>> + 'a {
    let from = match after.filter(|after| after.as_bytes() >= prefix) {
        Some(after) => Bound::Excluded(key::table(table, after.as_bytes())),
        None => Bound::Included(key::table(table, prefix)),
    };
    let mut range = tree.range(from, Bound::Excluded(key::FIRST.to_vec()));
    std::iter::from_fn(move || {
        let (key, head) = match range.next()? {
            Ok(pair) => pair,
            Err(error) => return Some(Err(error.into())),
        };
        // The range goes on into other tables, and into what is no table.
        let key = match key::parse_table(key.as_ref()) {
            Some((in_table, key)) if in_table == table && key.starts_with(prefix) => key,
            _ => return None,
        };
        let Ok(name) = TableKey::new(Bytes::copy_from_slice(key)) else {
            return Some(Err(foreign_key(key)));
        };
        Some(Ok((name, head)))
    })
}

/// Sets the value of a key, or removes it. After a crash, pieces may be there that no first value announces; `is_behind` says so.
pub(crate) fn write(
    tree: &impl Tree,
    table: Table,
    key: &TableKey,
    value: Option<&[u8]>,
    is_behind: bool,
) -> Result<(), StoreError> {
    let name = key::table(table, key.as_bytes());
    let before = tree.get(&name)?;
    let pieces_before = match &before {
        Some(head) => Head::parse(head.as_ref())
            .ok_or_else(|| damaged(table, key.as_bytes()))?
            .pieces(),
        None => 0,
    };
    let mut pieces = 0;
    match value {
        Some(value) if value.len() <= PIECE_BYTES => tree.insert(&name, &[&[WHOLE], value].concat())?,
        Some(value) => {
            let (first, rest) = value.split_at_checked(PIECE_BYTES).unwrap_or((value, &[]));
            for piece in rest.chunks(PIECE_BYTES) {
                pieces += 1;
                tree.insert(&key::table_piece(table, key, pieces), piece)?;
            }
            let Ok(length) = u32::try_from(value.len()) else {
                unreachable!("a value in a table is limited to far less than 4 GiB")
            };
            tree.insert(&name, &[&[CUT], &length.to_be_bytes()[..], first].concat())?;
        }
        None if before.is_some() => tree.remove(&name)?,
        None => {}
    }
    if is_behind {
        return remove_pieces(tree, table, key, pieces);
    }
    (pieces + 1..=pieces_before).try_for_each(|number| Ok(tree.remove(&key::table_piece(table, key, number))?))
}

/// Removes every piece of a key after the first `kept`.
fn remove_pieces(tree: &impl Tree, table: Table, key: &TableKey, kept: u32) -> Result<(), StoreError> {
    let from = Bound::Excluded(key::table_piece(table, key, kept));
    let range = tree.range(from, Bound::Included(key::table_piece(table, key, u32::MAX)));
    for pair in range {
        tree.remove(pair?.0.as_ref())?;
    }
    Ok(())
}
