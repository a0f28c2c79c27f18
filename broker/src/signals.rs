//! What the system tells the process.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the broker heeds. From when they are taken on, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangups: Hangups,
}

/// SIGHUP: what a terminal sends when it is closed, and what asks a service to read its files again. It is remembered until somebody looks,
/// several as one.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Signals {
    /// Takes the signals. To be called within a runtime.
    ///
    /// # Errors
    /// The system takes no handlers.
    pub fn take() -> io::Result<Self> {
        // A write beyond the limit on file sizes is then an error, which passes or is told, and no end without a word. The system's handler
        // stays when nobody listens.
        let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangups: Hangups(signal(SignalKind::hangup())?),
        })
    }

    /// A future that is ready when the process is told to end, by SIGTERM or by SIGINT; and SIGHUP.
    pub fn split(self) -> (impl Future<Output = ()>, Hangups) {
        let Signals {
            mut terminate,
            mut interrupt,
            hangups,
        } = self;
        let told_to_end = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        (told_to_end, hangups)
    }
}

impl Hangups {
    /// Waits for the next one; `None`: there will be none.
    pub async fn next(&mut self) -> Option<()> {
        self.0.recv().await
    }
}
