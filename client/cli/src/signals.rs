//! Being ended from outside: what is under way is finished first.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until somebody ends this program.
pub(crate) async fn ended() {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
        // Then they end it as they always do.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
