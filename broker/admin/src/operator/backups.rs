//! A backup of the store while it is in use.
//!
//! **Promise:** one at a time, on a thread that may wait for the disk, with a bounded amount of memory; it ends when whoever asked has gone, when the
//! disk is needed for mail, and when the broker ends, and mail goes on meanwhile.

use std::io::{self, ErrorKind, Write};

use access::AUDIT_TARGET;
use bytes::Bytes;
use inbox_bridge::{BackedUp, BackupError, BackupOptions, write_backup};
use tokio::sync::mpsc;

use super::{Operator, Parts};
use crate::error::OperatorError;
use crate::http::Pieces;

/// Pieces that wait for whoever asked, and how long each is, in bytes.
const PIECES_MAX: usize = 4;
const PIECE_BYTES: usize = 256 * 1024;

impl Operator {
    /// Begins a backup.
    ///
    /// # Errors
    /// One is under way, or the store cannot be read.
    pub async fn backup(&self, by: &str) -> Result<Pieces, OperatorError> {
        let parts = self.0.clone();
        let place = parts.backups.clone().try_acquire_owned();
        let place = place.map_err(|_| OperatorError::BackupUnderWay)?;
        tracing::warn!(target: AUDIT_TARGET, event = "operate", what = "backup", by, "an operator takes a backup, which holds everybody's mail");
        let (pieces, taken) = mpsc::channel(PIECES_MAX);
        let by = by.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut out = Out {
                pieces,
                piece: Vec::with_capacity(PIECE_BYTES),
            };
            let done = write(&parts, &mut out);
            match &done {
                Ok(BackedUp { copied, bytes, .. }) => {
                    tracing::info!(by, messages = copied.messages, bytes, "a backup was taken");
                }
                Err(error) => tracing::warn!(by, %error, "a backup ended early"),
            }
            if let Err(error) = done {
                // Whoever asked may have gone.
                let _heard = out.pieces.blocking_send(Err(error));
            }
            drop(place);
        });
        Pieces::of(taken).begun().await.map_err(|error| match error {
            BackupError::Store(error) => OperatorError::Store(error),
            error => OperatorError::Backup(error),
        })
    }
}

fn write(parts: &Parts, out: &mut Out) -> Result<BackedUp, BackupError> {
    let options = BackupOptions {
        created_at: parts.shared.node.now().wall,
        disk_free_bytes_min: parts.hub.limits().disk_free_bytes_min,
    };
    let done = write_backup(&*parts.store, out, &options, &mut |_| ())?;
    out.flush().map_err(BackupError::Write)?;
    Ok(done)
}

/// Whoever asked, as something to write to.
struct Out {
    pieces: mpsc::Sender<Result<Bytes, BackupError>>,
    piece: Vec<u8>,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.pieces
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::Error::new(ErrorKind::BrokenPipe, "whoever asked for it has gone"))
    }
}
