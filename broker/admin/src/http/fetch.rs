//! The least that a broker is asked: one small document, for health checks.

use std::io::Read;
use std::time::{Duration, Instant};

use super::remote::{Question, Remote, UrlError};

/// An answer is at most so long.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Gets `path` from the server at `url`. Gives the status and the body.
///
/// # Errors
/// See [`UrlError`].
pub fn fetch(url: &str, path: &str, patience: Duration) -> Result<(u16, String), UrlError> {
    let remote = Remote::at(url, None)?;
    let (status, body) = remote.exchange(Question::new("GET", path, patience), Some(Instant::now() + patience))?;
    let mut bytes = Vec::new();
    let read = body.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|why| UrlError::Unreachable {
        url: url.to_owned(),
        why,
    })?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}
