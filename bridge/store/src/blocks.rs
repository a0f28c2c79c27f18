//! The inboxes' own records: reading them.
//!
//! An inbox is a row of *blocks*, each under a seq that is not above its first message's: an envelope, an envelope cut into
//! pieces, or a chunk of several. **A block counts only below the next block's seq.** So a block can be taken apart without a
//! moment at which a message is missing: what is written first is the later part. Only a crash can leave blocks that overlap.

use std::ops::Bound;

use crate::chunk::{self, Item};
use crate::error::{DamageKind, Failure, ForeignRecord, StoreError};
use crate::record::Head;
use crate::tree::{Pair, Tree, TreeError};
use crate::{envelope, key};
use inbox_types::{ClientId, Message, Seq};

/// A key that inboxd cannot have written.
pub(crate) fn foreign_key(key: &[u8]) -> StoreError {
    Failure::Foreign(ForeignRecord::Key { key: key.to_vec() }).into()
}

/// Why a message could not be put together.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It was removed while it was read.
    Removed,
    /// It is damaged.
    Damaged(DamageKind),
}

/// One value of an inbox, and where its part of the inbox ends.
#[derive(Debug)]
pub(crate) struct Block<T: Tree> {
    /// Its key.
    pub(crate) key: T::Slice,
    /// The seq in its key.
    pub(crate) from: Seq,
    /// What it holds at and above this belongs to the next block.
    pub(crate) until: Option<Seq>,
    value: T::Slice,
}

/// A message in a block.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    /// Its place.
    pub(crate) seq: Seq,
    /// What it counts, in bytes. One that is damaged counts what it takes up, so that its inbox can still be listed.
    pub(crate) size: usize,
    body: Body<'a>,
}

#[derive(Debug)]
enum Body<'a> {
    Envelope(&'a [u8]),
    /// Its first value; pieces follow.
    Cut(Head<'a>),
    Damaged(fn() -> DamageKind),
}

impl<T: Tree> Block<T> {
    /// Its messages, in order.
    pub(crate) fn messages(&self) -> Vec<Placed<'_>> {
        let value = self.value.as_ref();
        let alone = |body| {
            let head = Head::parse(value);
            let size = head.and_then(|head| envelope::size(head.first).ok());
            vec![Placed {
                seq: self.from,
                size: size.unwrap_or(value.len()),
                body,
            }]
        };
        if chunk::is_chunk(value) {
            return match chunk::parse(value) {
                Some(items) => items
                    .into_iter()
                    .filter(|item| self.has(item.seq))
                    .map(placed)
                    .collect(),
                None => alone(Body::Damaged(|| DamageKind::Directory)),
            };
        }
        match Head::parse(value) {
            Some(head) if head.pieces() > 0 => alone(Body::Cut(head)),
            Some(head) => alone(Body::Envelope(head.first)),
            None => alone(Body::Damaged(|| DamageKind::FirstValue)),
        }
    }

    /// Whether it holds messages that belong to the next block.
    pub(crate) fn overlaps(&self) -> bool {
        let items = chunk::parse(self.value.as_ref()).unwrap_or_default();
        items.iter().any(|item| !self.has(item.seq))
    }

    fn has(&self, seq: Seq) -> bool {
        seq >= self.from && self.until.is_none_or(|until| seq < until)
    }

    /// Whether it cannot be read as a whole, so that what it holds is not known.
    pub(crate) fn is_damaged(&self) -> bool {
        self.messages()
            .iter()
            .any(|placed| matches!(placed.body, Body::Damaged(_)))
    }

    /// How many pieces follow it.
    pub(crate) fn pieces(&self) -> u32 {
        match chunk::is_chunk(self.value.as_ref()) {
            true => 0,
            false => Head::parse(self.value.as_ref()).map_or(0, |head| head.pieces()),
        }
    }

    /// The envelope of one of its messages.
    pub(crate) fn envelope<'a>(
        &self,
        tree: &T,
        placed: &Placed<'a>,
    ) -> Result<Result<Envelope<'a>, Unreadable>, StoreError> {
        match &placed.body {
            Body::Envelope(bytes) => Ok(Ok(Envelope::Borrowed(bytes))),
            Body::Damaged(why) => Ok(Err(Unreadable::Damaged(why()))),
            Body::Cut(head) => Ok(whole(tree, self.key.as_ref(), head)?.map(Envelope::Owned)),
        }
    }

    /// One of its messages.
    pub(crate) fn load(&self, tree: &T, placed: &Placed<'_>) -> Result<Result<Message, Unreadable>, StoreError> {
        let decode = |bytes: &[u8]| envelope::decode(bytes).map_err(|why| Unreadable::Damaged(why.into()));
        Ok(self
            .envelope(tree, placed)?
            .and_then(|envelope| decode(envelope.bytes())))
    }
}

/// The bytes of an envelope.
#[derive(Debug)]
pub(crate) enum Envelope<'a> {
    /// In the block.
    Borrowed(&'a [u8]),
    /// Put together.
    Owned(Vec<u8>),
}

impl Envelope<'_> {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Envelope::Borrowed(bytes) => bytes,
            Envelope::Owned(bytes) => bytes,
        }
    }
}

fn placed(item: Item<'_>) -> Placed<'_> {
    Placed {
        seq: item.seq,
        size: item.size,
        body: Body::Envelope(item.envelope),
    }
}

fn whole(tree: &impl Tree, key: &[u8], head: &Head<'_>) -> Result<Result<Vec<u8>, Unreadable>, StoreError> {
    // What a damaged head announces must not be allocated before it is there.
    let mut whole = head.first.to_vec();
    for number in 1..=head.pieces() {
        match tree.get(&key::piece(key, number))? {
            Some(piece) => whole.extend_from_slice(piece.as_ref()),
            // A removal takes the first value first.
            None if tree.get(key)?.is_none() => return Ok(Err(Unreadable::Removed)),
            None => return Ok(Err(Unreadable::Damaged(DamageKind::PieceMissing(number)))),
        }
    }
    Ok(match whole.len() == head.envelope_bytes {
        true => Ok(whole),
        false => Err(Unreadable::Damaged(DamageKind::Length {
            stated: head.envelope_bytes,
            actual: whole.len(),
        })),
    })
}

/// Is told the keys of messages of which there are pieces and no first value.
pub(crate) type Strays<'a> = &'a dyn Fn(&[u8]);

/// The blocks of one inbox, from the one that `from` belongs to, in order.
pub(crate) fn of<'a, T: Tree>(
    tree: &'a T,
    inbox: &'a ClientId,
    from: Seq,
    strays: Strays<'a>,
) -> Result<impl Iterator<Item = Result<Block<T>, StoreError>>, StoreError> {
    let first = match from {
        // Nothing is below the lowest seqs.
        Seq(0 | 1) => key::message(inbox, Seq::ZERO),
        _ => covering(tree, inbox, from)?.unwrap_or_else(|| key::message(inbox, from)),
    };
    let range = tree.range(Bound::Included(first), Bound::Excluded(key::end(inbox)));
    let mut heads = heads::<T>(range, strays);
    let mut next = heads.next();
    Ok(std::iter::from_fn(move || {
        let (key, from, value) = match next.take()? {
            Ok(head) => head,
            Err(error) => return Some(Err(error)),
        };
        next = heads.next();
        let until = match &next {
            Some(Ok((_, seq, _))) => Some(*seq),
            Some(Err(_)) | None => None,
        };
        Some(Ok(Block {
            key,
            from,
            until,
            value,
        }))
    }))
}

/// The key of the last block of `inbox` that is not above `from`.
fn covering(tree: &impl Tree, inbox: &ClientId, from: Seq) -> Result<Option<Vec<u8>>, StoreError> {
    let first = key::message(inbox, Seq::ZERO);
    let mut last = key::message(inbox, from);
    loop {
        let mut range = tree.range(Bound::Included(first.clone()), Bound::Included(last));
        let Some(item) = range.next_back() else { return Ok(None) };
        let (key, _) = item?;
        let key = key.as_ref();
        let parsed = key::parse(key).ok_or_else(|| foreign_key(key))?;
        // Pieces lie behind their first value; without one they are strays, and of no block.
        let head = key::message(inbox, parsed.seq);
        if !parsed.is_piece || tree.get(&head)?.is_some() {
            return Ok(Some(head));
        }
        last = head;
    }
}

/// The inbox of the first block whose inbox is after `after`, by name.
pub(crate) fn next_inbox<T: Tree>(
    tree: &T,
    after: Option<&ClientId>,
    strays: Strays<'_>,
) -> Result<Option<ClientId>, StoreError> {
    let from = after.map_or(key::FIRST.to_vec(), key::end);
    let first = tree.range(Bound::Included(from.clone()), Bound::Unbounded).next();
    if let Some(pair) = first {
        let (key, _) = pair?;
        if let Some(name) = key::parse_totals(key.as_ref()) {
            return named(name, key.as_ref()).map(Some);
        }
    }
    // Totals are behind it, or there are none: a format without them, or pieces that are left over.
    let range = tree.range(Bound::Included(from), Bound::Unbounded);
    let Some(head) = heads::<T>(range, strays).next() else {
        return Ok(None);
    };
    let (key, ..) = head?;
    let name = key::parse(key.as_ref()).map_or(&[][..], |parsed| parsed.inbox);
    named(name, key.as_ref()).map(Some)
}

fn named(name: &[u8], key: &[u8]) -> Result<ClientId, StoreError> {
    let name = std::str::from_utf8(name).map_err(|_| foreign_key(key))?;
    ClientId::new(name).map_err(|_| foreign_key(key))
}

/// Key, seq and first value of a block.
type FirstValue<T> = (<T as Tree>::Slice, Seq, <T as Tree>::Slice);

/// The first values in `range`, each with its key and the seq in that. Pieces are passed over.
fn heads<'a, T: Tree>(
    mut range: impl Iterator<Item = Result<Pair<T>, TreeError>> + 'a,
    strays: Strays<'a>,
) -> impl Iterator<Item = Result<FirstValue<T>, StoreError>> + 'a {
    let mut last = Vec::new();
    std::iter::from_fn(move || {
        loop {
            let (key, value) = match range.next()? {
                Ok(pair) => pair,
                Err(error) => return Some(Err(error.into())),
            };
            let bytes = key.as_ref();
            if key::parse_totals(bytes).is_some() {
                continue;
            }
            let Some(parsed) = key::parse(bytes) else {
                return Some(Err(foreign_key(bytes)));
            };
            let (seq, is_piece) = (parsed.seq, parsed.is_piece);
            let message = bytes
                .get(..bytes.len() - if is_piece { 4 } else { 0 })
                .unwrap_or_default();
            let is_known = last == message;
            if !is_known {
                last.clear();
                last.extend_from_slice(message);
            }
            match is_piece {
                false => return Some(Ok((key, seq, value))),
                // Its other pieces follow; once is enough.
                true if !is_known => strays(message),
                true => {}
            }
        }
    })
}
