//! Payloads that say which message they are of.

/// What a message says.
pub(super) fn payload(at: usize, length: usize) -> Vec<u8> {
    let mut out = format!("m{at}.").into_bytes();
    out.resize(out.len().max(length), b'x');
    out
}

/// Which message a payload belongs to.
pub(super) fn mail_of(payload: &[u8]) -> Option<usize> {
    let end = payload.iter().position(|&byte| byte == b'.')?;
    std::str::from_utf8(payload.get(1..end)?).ok()?.parse().ok()
}
