//! The fuzz target `backups`: what is read as a backup is one as a whole, or refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "for tests only")]

use super::format::Writer;
use super::verify_backup;

/// After an even first byte the others are a file. After an odd one they are records (kind, length in two bytes, body), which get their
/// checksums here: random bytes never have the right ones.
pub fn backups(data: &[u8]) {
    let Some((&form, bytes)) = data.split_first() else {
        return;
    };
    let mut file = match form % 2 {
        0 => bytes.to_vec(),
        _ => with_checksums(bytes),
    };
    if verify_backup(&mut &file[..]).is_err() {
        return;
    }
    let place = file.len() * usize::from(form) / 256;
    assert!(
        verify_backup(&mut &file[..place]).is_err(),
        "a part of a backup is none"
    );
    file[place] ^= 1 << (form % 8);
    assert!(verify_backup(&mut &file[..]).is_err(), "a bit of it is another one");
}

fn with_checksums(mut bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file).unwrap();
    while let [kind, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        writer.write_parts(*kind, [body, &[]]).unwrap();
        bytes = rest;
    }
    file
}
