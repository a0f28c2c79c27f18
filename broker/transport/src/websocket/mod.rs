//! MQTT over WebSocket (MQTT 5, section 6; RFC 6455): the upgrade, and the stream behind it.

mod frames;
mod stream;
#[cfg(test)]
mod tests;
mod upgrade;

use std::time::Duration;

use access::Origin;
use mqtt_session::Cause;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::entrance::{Entrance, NotEntered};
use crate::listener::Io;
pub use frames::Violation;
#[cfg(any(test, feature = "testing"))]
pub(crate) use frames::{Decoder, End};
pub use stream::WebSocket;
#[cfg(any(test, feature = "testing"))]
pub(crate) use upgrade::answer;
pub(crate) use upgrade::grant;
pub use upgrade::{UpgradeError, UpgradeRequest, WebSocketRules, is_loopback, is_name};

/// A request is at most so long.
pub(crate) const HEAD_BYTES_MAX: usize = 8 * 1024;
/// What one read takes of it.
const READ_BYTES: usize = 1024;
/// How long a client that is refused is given to read why.
const GOODBYE: Duration = Duration::from_millis(500);
/// What is read of it meanwhile.
const GOODBYE_BYTES_MAX: u64 = 64 * 1024;

impl From<UpgradeError> for NotEntered {
    fn from(error: UpgradeError) -> Self {
        let cause = match error {
            UpgradeError::Origin => Cause::WebSocketOrigin,
            _ => Cause::WebSocketUpgrade,
        };
        NotEntered::refused(cause, error)
    }
}

/// Lets clients in that come by WebSocket, over what is below.
#[derive(Debug)]
pub struct OverWebSocket<E> {
    /// What comes before the HTTP request.
    pub below: E,
    /// Where MQTT is spoken, and to whom.
    pub rules: WebSocketRules,
}

/// Bytes that an idle connection takes for its WebSocket. Measured.
pub(crate) const IDLE_BYTES: usize = 512;

impl<R: Send + 'static, E: Entrance<R>> Entrance<R> for OverWebSocket<E> {
    type Io = WebSocket<E::Io>;
    const IDLE_BYTES: usize = IDLE_BYTES + E::IDLE_BYTES;

    async fn enter(&self, raw: R, origin: &mut Origin) -> Result<Self::Io, NotEntered> {
        let io = self.below.enter(raw, origin).await?;
        // Boxed, so that the task of a connection does not keep room for it.
        Box::pin(upgrade_to(io, &self.rules, origin)).await
    }
}

async fn upgrade_to<T: Io>(mut io: T, rules: &WebSocketRules, origin: &mut Origin) -> Result<WebSocket<T>, NotEntered> {
    let peer = origin.peer.ip();
    let granted = match read_head(&mut io).await? {
        Ok(head) => upgrade::answer(&head, rules, peer),
        Err(error) => Err(error),
    };
    match granted {
        Ok(granted) => {
            io.write_all(granted.answer().as_bytes()).await?;
            io.flush().await?;
            origin.token = granted.token;
            Ok(WebSocket::new(io))
        }
        Err(error) => {
            let _gone = timeout(GOODBYE, say_no(io, error)).await;
            Err(error.into())
        }
    }
}

/// Reads until the empty line that ends a request.
async fn read_head<T: AsyncRead + Unpin>(io: &mut T) -> Result<Result<Vec<u8>, UpgradeError>, NotEntered> {
    let mut head = Vec::with_capacity(READ_BYTES);
    let mut chunk = [0; READ_BYTES];
    loop {
        let n = io.read(&mut chunk).await?;
        if n == 0 {
            return Err(NotEntered::Lost);
        }
        // The empty line can lie across two reads.
        let searched = head.len().saturating_sub(3);
        head.extend_from_slice(chunk.get(..n).unwrap_or_default());
        let unsearched = head.get(searched..).unwrap_or_default();
        if let Some(at) = unsearched.windows(4).position(|four| four == b"\r\n\r\n") {
            let end = searched + at + 4;
            return Ok(match head.len() {
                length if length > end => Err(UpgradeError::Early),
                length if length > HEAD_BYTES_MAX => Err(UpgradeError::TooLong),
                _ => Ok(head),
            });
        }
        if head.len() >= HEAD_BYTES_MAX {
            return Ok(Err(UpgradeError::TooLong));
        }
        // Whoever speaks MQTT or TLS here sends no empty line.
        if !head.first().is_some_and(u8::is_ascii_uppercase) {
            return Ok(Err(UpgradeError::NotHttp));
        }
    }
}

/// Answers, and reads what still comes, so that the system does not reset the connection before the client has read the answer.
async fn say_no<T: AsyncRead + AsyncWrite + Unpin>(mut io: T, error: UpgradeError) -> std::io::Result<()> {
    io.write_all(error.answer().as_bytes()).await?;
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(GOODBYE_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}
