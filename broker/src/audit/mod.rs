//! The audit log: who came in and how, who was turned away and why, and what operators did.
//!
//! Records have the target `audit`, and a field `event` that says what each is about. [`crate::logging`] writes them. No record holds a
//! password, a token or a key.
//!
//! **Promise:** the audit log keeps no client waiting, and floods fill no disk with it. What was left out or missed is told by number. Refusals
//! have a queue of their own, so that whoever makes many of them hides no login behind them.

mod writer;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use admin::Performed;
use inbox_bridge::ClientId;
use mqtt_session::Shared;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Level;

use crate::logging::AUDIT_TARGET as TARGET;
use writer::Writer;

/// The broker is ready.
pub(crate) fn started(listeners: &str, data_dir: &Path) {
    let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
    let data_dir = data_dir.display();
    tracing::info!(target: TARGET, event = "start", version, pid, listeners, %data_dir, "the broker started");
}

/// The broker has ended, for this reason if it is not what it was asked to do.
pub(crate) fn stopped(why: Option<&impl Error>) {
    let why = why.map(ToString::to_string);
    tracing::info!(target: TARGET, event = "stop", why, "the broker stopped");
}

/// A part of the configuration was read again, or was kept for this reason.
pub(crate) fn reloaded(part: &str, why_not: Option<&(dyn Error + Send + Sync)>) {
    let why = why_not.map(ToString::to_string);
    let outcome = if why.is_none() { "reloaded" } else { "kept" };
    tracing::info!(target: TARGET, event = "reload", part, outcome, why, "a part of the configuration was to be reloaded");
}

/// The operator removed messages of an inbox.
pub(crate) fn purged(inbox: &ClientId, messages: u64, bytes: u64, complete: bool) {
    let uid = rustix::process::getuid().as_raw();
    tracing::warn!(target: TARGET, event = "purge", %inbox, messages, bytes, complete, uid, "purged by the operator");
}

/// An operator asked over HTTP for something that would have changed something, and was refused.
pub(crate) fn requested(performed: &Performed<'_>) {
    let Performed {
        command,
        parameters,
        who,
        peer,
        error,
    } = performed;
    tracing::warn!(target: TARGET, event = "request", command, %parameters, who, %peer, why = %error, "a request of an operator was refused");
}

/// The task that writes what clients do.
pub(crate) struct Auditor {
    task: JoinHandle<()>,
    finish: oneshot::Sender<()>,
}

impl Auditor {
    /// Listens, unless nobody wants to read it.
    pub(crate) fn start(shared: Arc<Shared>) -> Self {
        let (finish, finished) = oneshot::channel();
        let task = match tracing::enabled!(target: TARGET, Level::INFO) {
            true => {
                let writer = Writer::listening(shared);
                tokio::spawn(writer.write_until(finished))
            }
            false => tokio::spawn(std::future::ready(())),
        };
        Auditor { task, finish }
    }

    /// Writes what is still to be written.
    pub(crate) async fn finish(self) {
        drop(self.finish);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the audit log ended before the broker did; tell the authors of inboxd");
        }
    }
}
