//! Seqs as hexadecimal text, in place: most messages for an MQTT 5 client carry one.

/// `value` in base 16, with 16 digits.
pub(super) fn hexadecimal(value: u64, room: &mut [u8; 16]) -> &str {
    for (two, byte) in room.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        two.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    // Digits are ASCII.
    std::str::from_utf8(room).unwrap_or_default()
}

fn digit(value: u8) -> u8 {
    match value {
        0..10 => b'0' + value,
        _ => b'a' - 10 + value,
    }
}

#[cfg(test)]
mod tests {
    use inbox_types::{Seq, message_id};

    use super::*;

    #[test]
    fn a_seq_is_written_as_everywhere_else() {
        // Goal: what a recipient compares with (contract rule 7) does not depend on who wrote it.
        for value in [0, 1, 9, 10, 15, 16, 99, 100, 1_780_000_000_123_456, u64::MAX] {
            assert_eq!(hexadecimal(value, &mut [0; 16]), message_id(None, Seq(value)));
        }
    }
}
