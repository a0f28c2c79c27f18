//! The part of a checkpoint that is about one inbox: its blocks are made to say what the log says of it.
//!
//! **Promise:** at every moment, after any crash too, the inbox's blocks and the log together hold every message. Doing it again
//! changes nothing, so an interrupted one is done again. There is one caller at a time for all inboxes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use parking_lot::RwLock;

use crate::blocks::{self, Block, Envelope, Placed, Strays};
use crate::error::{Failure, ForeignRecord, StoreError};
use crate::index::Pending;
use crate::record::PIECE_BYTES;
use crate::store::InboxRecord;
use crate::totals::{self, Said};
use crate::tree::Tree;
use crate::{chunk, envelope, key, record};
use inbox_types::{ClientId, Entry, Seq};

/// An envelope and its place.
type Encoded = (Seq, Vec<u8>);

/// Writes what is new, and takes away what was removed. Messages above `before` are known not to be in any block, nor below
/// one that is; `None` after a crash, which may also have left blocks that overlap. `reading` is held by readers, and here while
/// blocks are taken apart.
pub(crate) fn inbox(
    tree: &impl Tree,
    inbox: &ClientId,
    todo: &Pending,
    before: Option<Seq>,
    reading: &RwLock<()>,
    strays: Strays<'_>,
) -> Result<(), StoreError> {
    let said = match before {
        Some(_) => totals::read(tree, inbox)?,
        None => {
            trim(tree, inbox, strays)?;
            // It may be from before the blocks that the crash met.
            Said::Damaged
        }
    };
    let before = before.unwrap_or(Seq(u64::MAX));
    let added = match todo.puts.first() {
        Some(first) if first.seq <= before => {
            let _alone = reading.write();
            merge(tree, inbox, first.seq, &todo.puts, strays)?
        }
        _ => {
            write_groups(tree, inbox, &encoded(&todo.puts))?;
            Some(in_total(&todo.puts))
        }
    };
    let removed = remove(tree, inbox, &todo.removals, strays)?;
    let record = match (said, added, removed) {
        (Said::Nothing, Some(added), Some(removed)) => added.minus(removed),
        (Said::Total(total), Some(added), Some(removed)) => total.plus(added).minus(removed),
        _ => None,
    };
    let record = match record {
        Some(record) => record,
        None => totals::count(tree, inbox, strays)?,
    };
    totals::write(tree, inbox, record)
}

fn in_total<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> InboxRecord {
    let mut record = InboxRecord::default();
    entries.into_iter().for_each(|entry| record.add(entry.message.size()));
    record
}

/// Removes the pieces of `message`, unless it has a first value after all.
pub(crate) fn remove_stray(tree: &impl Tree, message: &[u8]) -> Result<(), StoreError> {
    if tree.get(message)?.is_some() {
        return Ok(());
    }
    let (from, to) = (key::piece(message, 0), key::piece(message, u32::MAX));
    let range = tree.range(Bound::Included(from), Bound::Included(to));
    for pair in range {
        tree.remove(pair?.0.as_ref())?;
    }
    Ok(())
}

fn encoded(puts: &[Entry]) -> Vec<Encoded> {
    let encode = |entry: &Entry| {
        let mut out = Vec::with_capacity(entry.message.size() + 64);
        envelope::encode_into(&entry.message, &mut out);
        (entry.seq, out)
    };
    puts.iter().map(encode).collect()
}

/// Writes `items`, in order, as blocks, the last one first. Returns the seqs that these are under.
fn write_groups(tree: &impl Tree, inbox: &ClientId, items: &[Encoded]) -> Result<Vec<Seq>, StoreError> {
    let mut rest = items;
    let mut written = Vec::new();
    let mut value = Vec::new();
    for group in chunk::groups(items.iter().map(|(_, envelope)| envelope.len()))
        .into_iter()
        .rev()
    {
        let (others, group) = rest.split_at(rest.len().saturating_sub(group));
        rest = others;
        let Some((first, envelope)) = group.first() else {
            continue;
        };
        let key = key::message(inbox, *first);
        if envelope.len() > PIECE_BYTES {
            // The first value comes last: what it announces is there when it is.
            for (number, piece) in (1..).zip(record::cut(envelope, &mut value)) {
                tree.insert(&key::piece(&key, number), piece)?;
            }
        } else {
            let group: Vec<(Seq, &[u8])> = group.iter().map(|(seq, envelope)| (*seq, &**envelope)).collect();
            encode_chunk(inbox, *first, &group, &mut value)?;
        }
        tree.insert(&key, &value)?;
        written.push(*first);
    }
    Ok(written)
}

fn encode_chunk(inbox: &ClientId, key: Seq, items: &[(Seq, &[u8])], value: &mut Vec<u8>) -> Result<(), StoreError> {
    // Envelopes that cannot say their size are damaged, and never get here.
    let foreign = |_| Failure::Foreign(ForeignRecord::Envelope { inbox: inbox.clone() });
    chunk::encode(key, items, value).map_err(|why| foreign(why).into())
}

/// Writes messages that may lie among those that are there, or be there already: every block from `first` on is written anew.
/// Returns what the inbox holds more now; `None` when something damaged is in the way.
fn merge(
    tree: &impl Tree,
    inbox: &ClientId,
    first: Seq,
    puts: &[Entry],
    strays: Strays<'_>,
) -> Result<Option<InboxRecord>, StoreError> {
    let mut items = BTreeMap::new();
    let (mut old, mut damaged) = (Vec::new(), Vec::new());
    for block in blocks::of(tree, inbox, first, strays)? {
        let block = block?;
        match envelopes(tree, &block)? {
            Some(envelopes) => {
                items.extend(envelopes);
                old.push(block);
            }
            None => damaged.push(block.from),
        }
    }
    let is_whole = damaged.is_empty();
    let added = in_total(puts.iter().filter(|entry| !items.contains_key(&entry.seq)));
    items.extend(encoded(puts));
    // A damaged block stays where it is, to be purged by an operator, and what lies behind it stays behind it.
    damaged.retain(|seq| !items.contains_key(seq));
    let mut new = BTreeSet::new();
    for seq in damaged.into_iter().rev().chain([Seq::ZERO]) {
        let behind: Vec<Encoded> = items.split_off(&seq).into_iter().collect();
        new.extend(write_groups(tree, inbox, &behind)?);
    }
    old.retain(|block| !new.contains(&block.from));
    old.iter().try_for_each(|block| remove_block(tree, block))?;
    Ok(is_whole.then_some(added))
}

/// The envelopes of a block; `None` when one of them cannot be read.
fn envelopes<T: Tree>(tree: &T, block: &Block<T>) -> Result<Option<Vec<Encoded>>, StoreError> {
    let mut items = Vec::new();
    for placed in block.messages() {
        match block.envelope(tree, &placed)? {
            Ok(envelope) if envelope::size(envelope.bytes()).is_ok() => {
                items.push((placed.seq, envelope.bytes().to_vec()));
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(items))
}

/// Takes messages out of the blocks that hold them, where there are any. `removals` are in order. Returns what was there;
/// `None` when something damaged was among it.
fn remove(
    tree: &impl Tree,
    inbox: &ClientId,
    removals: &[Seq],
    strays: Strays<'_>,
) -> Result<Option<InboxRecord>, StoreError> {
    let mut removed = InboxRecord::default();
    let (Some(first), Some(last)) = (removals.first(), removals.last()) else {
        return Ok(Some(removed));
    };
    let mut is_whole = true;
    let mut value = Vec::new();
    for block in blocks::of(tree, inbox, *first, strays)? {
        let block = block?;
        if block.from > *last {
            break;
        }
        is_whole &= !block.is_damaged();
        let messages = block.messages();
        let (gone, kept): (Vec<_>, Vec<_>) = messages
            .iter()
            .partition(|placed| removals.binary_search(&placed.seq).is_ok());
        gone.iter().for_each(|placed| removed.add(placed.size));
        if kept.is_empty() {
            remove_block(tree, &block)?;
        } else if !gone.is_empty() {
            rewrite(tree, inbox, &block, kept.into_iter(), &mut value)?;
        }
    }
    Ok(is_whole.then_some(removed))
}

/// Takes out of every block what belongs to the next one: it would come back when that one goes.
fn trim(tree: &impl Tree, inbox: &ClientId, strays: Strays<'_>) -> Result<(), StoreError> {
    let mut value = Vec::new();
    for block in blocks::of(tree, inbox, Seq::ZERO, strays)? {
        let block = block?;
        if block.overlaps() {
            let kept = block.messages();
            rewrite(tree, inbox, &block, kept.iter(), &mut value)?;
        }
    }
    Ok(())
}

/// Leaves of a block of several messages only these.
fn rewrite<'a, T: Tree>(
    tree: &T,
    inbox: &ClientId,
    block: &'a Block<T>,
    kept: impl Iterator<Item = &'a Placed<'a>>,
    value: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let mut items = Vec::new();
    for placed in kept {
        // These are whole in it.
        let Ok(Envelope::Borrowed(envelope)) = block.envelope(tree, placed)? else {
            unreachable!("a message that is cut, or damaged, is alone in its block")
        };
        items.push((placed.seq, envelope));
    }
    if items.is_empty() {
        return remove_block(tree, block);
    }
    encode_chunk(inbox, block.from, &items, value)?;
    Ok(tree.insert(block.key.as_ref(), value)?)
}

/// The first value goes first: pieces alone are seen by nobody.
fn remove_block<T: Tree>(tree: &T, block: &Block<T>) -> Result<(), StoreError> {
    let key = block.key.as_ref();
    tree.remove(key)?;
    (1..=block.pieces()).try_for_each(|number| Ok(tree.remove(&key::piece(key, number))?))
}
