//! Numbers as text, in place: a message for an MQTT 5 client carries three of them.

/// Room for any `u64` in base 10 or 16.
pub(super) type Room = [u8; 20];

/// `value` in base 10.
pub(super) fn decimal(value: u64, room: &mut Room) -> &str {
    digits::<10>(value, 1, room)
}

/// `value` in base 16, with 16 digits.
pub(super) fn hexadecimal(value: u64, room: &mut Room) -> &str {
    digits::<16>(value, 16, room)
}

fn digits<const BASE: u64>(mut value: u64, least: usize, room: &mut Room) -> &str {
    let mut written = 0;
    for place in room.iter_mut().rev() {
        if value == 0 && written >= least {
            break;
        }
        let digit = (value % BASE) as u8;
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        value /= BASE;
        written += 1;
    }
    let text = room.get(room.len() - written..).unwrap_or_default();
    // Digits are ASCII.
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use inbox_types::{Seq, message_id};

    use super::*;

    #[test]
    fn numbers_are_written_as_everywhere_else() {
        // Goal: what a recipient compares with (contract rule 7) does not depend on who wrote it.
        for value in [0, 1, 9, 10, 15, 16, 99, 100, 1_780_000_000_123_456, u64::MAX] {
            assert_eq!(decimal(value, &mut [0; 20]), value.to_string());
            assert_eq!(hexadecimal(value, &mut [0; 20]), message_id(None, Seq(value)));
        }
    }
}
