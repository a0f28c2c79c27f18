//! The keys of engines on disk: which inbox, which message, which piece of it.
//!
//! An inbox's blocks are under `client id, 0x00, seq big-endian`; what does not fit into the first value follows it under the
//! same key and a piece number. Before them, under `client id, 0x00` alone, is what the blocks hold in total. Client IDs hold no NUL,
//! so inboxes lie side by side in the order of their IDs, and keys that begin with a NUL are free for what belongs to no inbox: a few
//! numbers, and the tables.

use crate::table::{Table, TableKey};
use inbox_types::{ClientId, Seq};

/// Where the reservation (contract rule 6) and the age of the store are kept, as of the commit under [`COMMITS`].
pub(crate) const RESERVED: &[u8] = b"\0reserved";
/// Where the number of the last commit is kept that the blocks have. The log goes on from there.
pub(crate) const COMMITS: &[u8] = b"\0commits";
/// Where the seq is kept that no message in a block is above.
pub(crate) const HIGHEST: &[u8] = b"\0highest";
/// Before the key of everything that is of an inbox.
pub(crate) const FIRST: &[u8] = &[1];
/// Begins the key of a first value in a table.
const TABLE: [u8; 2] = [0, 1];
/// Begins the key of a further piece of a value in a table.
const TABLE_PIECE: [u8; 2] = [0, 2];

/// The key of an inbox's totals.
pub(crate) fn totals(inbox: &ClientId) -> Vec<u8> {
    let mut key = Vec::with_capacity(inbox.as_str().len() + 1);
    key.extend_from_slice(inbox.as_str().as_bytes());
    key.push(0);
    key
}

/// The inbox of a key of totals, unchecked; `None` when it is another key.
pub(crate) fn parse_totals(key: &[u8]) -> Option<&[u8]> {
    let inbox = key.strip_suffix(&[0])?;
    (!inbox.is_empty() && !inbox.contains(&0)).then_some(inbox)
}

/// The key of a first value in a table, or the beginning of several of them.
pub(crate) fn table(table: Table, key: &[u8]) -> Vec<u8> {
    [&TABLE[..], &[table.id()], key].concat()
}

/// What a key names in a table.
pub(crate) fn parse_table(key: &[u8]) -> Option<(Table, &[u8])> {
    let (&id, key) = key.strip_prefix(&TABLE)?.split_first()?;
    Some((Table::from_id(id)?, key))
}

/// The key of piece `number`, from 1, of a value in a table. The length of the table's key comes before it, so that the pieces of a
/// value lie side by side.
pub(crate) fn table_piece(table: Table, key: &TableKey, number: u32) -> Vec<u8> {
    let Ok(length) = u16::try_from(key.as_bytes().len()) else {
        unreachable!("a key in a table is limited to far less than 64 KiB")
    };
    [
        &TABLE_PIECE[..],
        &[table.id()],
        &length.to_be_bytes(),
        key.as_bytes(),
        &number.to_be_bytes(),
    ]
    .concat()
}

/// The key of a message.
pub(crate) fn message(inbox: &ClientId, seq: Seq) -> Vec<u8> {
    // Room for a piece number, so that asking for a piece does not allocate again.
    let mut key = Vec::with_capacity(inbox.as_str().len() + 13);
    key.extend_from_slice(inbox.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&seq.0.to_be_bytes());
    key
}

/// The key of piece `number`, from 1, of the message under `message`.
pub(crate) fn piece(message: &[u8], number: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(message.len() + 4);
    key.extend_from_slice(message);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// After every key of `inbox`, and before those of the next one.
pub(crate) fn end(inbox: &ClientId) -> Vec<u8> {
    let mut key = Vec::with_capacity(inbox.as_str().len() + 1);
    key.extend_from_slice(inbox.as_str().as_bytes());
    key.push(1);
    key
}

/// What a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parsed<'a> {
    /// The client ID, unchecked.
    pub(crate) inbox: &'a [u8],
    /// The message.
    pub(crate) seq: Seq,
    /// Whether it is a piece, and not the message's first value.
    pub(crate) is_piece: bool,
}

/// Reads a key; `None` when it is not one of a message.
pub(crate) fn parse(key: &[u8]) -> Option<Parsed<'_>> {
    let nul = key.iter().position(|&byte| byte == 0)?;
    let (inbox, rest) = key.split_at_checked(nul)?;
    let (seq, piece) = rest.get(1..)?.split_first_chunk::<8>()?;
    let is_piece = match piece.len() {
        0 => false,
        4 => true,
        _ => return None,
    };
    (!inbox.is_empty()).then_some(Parsed {
        inbox,
        seq: Seq(u64::from_be_bytes(*seq)),
        is_piece,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(s: &str) -> ClientId {
        ClientId::new(s).unwrap()
    }

    /// Goal: the order of keys is the order of inboxes, then of messages, then of pieces (contract rule 6).
    #[test]
    fn keys_order_as_inboxes_do() {
        let long = TableKey::new(vec![b'k'; 3]).unwrap();
        let mut keys = vec![table(Table::DEDUPE, b"a"), table(Table::RETAINED, b"")];
        keys.extend([
            table_piece(Table::DEDUPE, &long, 1),
            table_piece(Table::DEDUPE, &long, 256),
        ]);
        keys.extend([COMMITS, HIGHEST, RESERVED, FIRST].map(<[u8]>::to_vec));
        for inbox in ["\u{1}", "a", "a\u{1}", "ab", "b", "ä"] {
            keys.push(totals(&id(inbox)));
            for seq in [1, 0xff, 0x100, u64::from(u32::MAX), u64::MAX] {
                let key = message(&id(inbox), Seq(seq));
                keys.extend([key.clone(), piece(&key, 1), piece(&key, 256)]);
            }
            keys.push(end(&id(inbox)));
        }
        // The end of "a" is below every key of "a\u{1}", which holds a NUL where it ends.
        assert!(keys.is_sorted(), "{keys:?}");
    }

    /// Goal: keys of totals and tables say what they were made of, and no key is taken for one of another kind.
    #[test]
    fn kinds_of_keys_are_apart() {
        let (bob, key) = (id("bob"), TableKey::new(&b"bob"[..]).unwrap());
        assert_eq!(parse_totals(&totals(&bob)), Some(&b"bob"[..]));
        assert_eq!(
            parse_table(&table(Table::DEDUPE, b"\0x")),
            Some((Table::DEDUPE, &b"\0x"[..]))
        );
        for other in [
            message(&bob, Seq(256)),
            piece(&message(&bob, Seq(1)), 256),
            table(Table::DEDUPE, b"x\0"),
            table_piece(Table::DEDUPE, &key, 256),
            RESERVED.to_vec(),
        ] {
            assert_eq!(parse_totals(&other), None, "{other:?}");
        }
        for other in [totals(&bob), table_piece(Table::DEDUPE, &key, 1), RESERVED.to_vec()] {
            assert_eq!(parse_table(&other), None, "{other:?}");
            assert_eq!(parse(&other), None, "{other:?}");
        }
    }

    /// Goal: a key says what it was made of, and a foreign one nothing.
    #[test]
    fn a_key_is_read_back() {
        let key = message(&id("bob"), Seq(0x0001_0000_0000_0000));
        let parsed = Parsed {
            inbox: b"bob",
            seq: Seq(0x0001_0000_0000_0000),
            is_piece: false,
        };
        assert_eq!(parse(&key), Some(parsed));
        assert_eq!(
            parse(&piece(&key, 7)),
            Some(Parsed {
                is_piece: true,
                ..parsed
            })
        );
        for foreign in [
            &b""[..],
            b"bob",
            b"bob\0",
            COMMITS,
            RESERVED,
            &key[..key.len() - 1],
            &piece(&key, 1)[..13],
        ] {
            assert_eq!(parse(foreign), None, "{foreign:?}");
        }
    }
}
