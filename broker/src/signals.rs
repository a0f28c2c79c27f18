//! What the system tells the process.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Ready when the process is told to end: by SIGTERM, or by SIGINT. From here on SIGHUP does not end it.
///
/// # Errors
/// The system takes no handlers.
pub fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    ignore_hangups()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// SIGHUP is what a terminal sends when it is closed, and what asks a service to read its configuration again. The broker does not do
/// that yet, and must not end by it.
fn ignore_hangups() -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP is ignored: a changed configuration takes effect when the broker is started again");
        }
    });
    Ok(())
}
