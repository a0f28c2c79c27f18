//! Seqs as hexadecimal text, in place: most messages for an MQTT 5 client carry one.

/// `value` in base 16, with 16 digits.
pub(super) fn hexadecimal(value: u64, room: &mut [u8; 16]) -> &str {
    let (high, low) = room.split_at_mut(8);
    high.copy_from_slice(&eight((value >> 32) as u32));
    low.copy_from_slice(&eight(value as u32));
    // Digits are ASCII.
    std::str::from_utf8(room).unwrap_or_default()
}

/// `value` in base 16, with 8 digits, all of which are made at once.
fn eight(value: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut digits = u64::from(value);
    // One half byte moves to each byte.
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF;
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF;
    digits = (digits | digits << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    let are_letters = ((digits + 6 * ONES) >> 4) & ONES;
    let to_letters = u64::from(b'a' - b'0' - 10);
    (digits + u64::from(b'0') * ONES + to_letters * are_letters).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use inbox_types::{Seq, message_id};

    use super::*;

    #[test]
    fn a_seq_is_written_as_everywhere_else() {
        // Goal: what a recipient compares with (contract rule 7) does not depend on who wrote it.
        let all_digits = 0x0123_4567_89AB_CDEF;
        for value in [0, 1, 9, 10, 15, 16, 1_780_000_000_123_456, all_digits, u64::MAX] {
            assert_eq!(hexadecimal(value, &mut [0; 16]), message_id(None, Seq(value)));
        }
    }
}
