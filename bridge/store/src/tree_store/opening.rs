//! Opening a store: what it is at its first moment, or what its last use left.

use std::path::PathBuf;
use std::time::Duration;

use super::checkpointer::Recent;
use super::reservation::{self, reservation, wrong_length};
use crate::acknowledged::{ACKNOWLEDGED, Acknowledged};
use crate::directory::{DataDirectory, OpenError};
use crate::error::StoreError;
use crate::fault::store_fault;
use crate::key;
use crate::log::{LOG, Log, LogError};
use crate::tree::Tree;
use inbox_types::Seq;

/// What an open store works with.
pub(super) struct Begun {
    pub(super) acknowledged: Acknowledged,
    pub(super) log: Log,
    pub(super) recent: Recent,
    /// Whether its format keeps totals of inboxes.
    pub(super) keeps_totals: bool,
}

/// Something that was there is not any more.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("its tree is there, and what was in it is not")]
    Everything,
    #[error(
        "it ends with commit {last}, and commit {acknowledged} was acknowledged; to go on without what is missing, remove {}",
        .file.display()
    )]
    End {
        last: u64,
        acknowledged: u64,
        /// The file that says so.
        file: PathBuf,
    },
}

/// Writes what every store holds from the first moment, or reads what the last use left, and checks that nothing acknowledged is
/// missing.
pub(super) fn begin<T: Tree>(tree: &T, directory: &DataDirectory) -> Result<Begun, OpenError> {
    let damaged = |error| match error {
        StoreError::Failed(why) => directory.damaged(why),
        StoreError::Damaged { why, .. } => directory.damaged(why),
        StoreError::Troubled(trouble) => OpenError::io(&directory.engine_dir(), trouble.into()),
    };
    if directory.is_new() {
        let zero = 0_u64.to_be_bytes();
        let numbers = [key::HIGHEST, key::COMMITS];
        let written = numbers.into_iter().try_for_each(|key| tree.insert(key, &zero));
        written
            .and_then(|()| tree.insert(key::RESERVED, &reservation(Seq::ZERO, Duration::ZERO)))
            .and_then(|()| tree.sync())
            .map_err(|error| damaged(error.into()))?;
    }
    let engine_dir = directory.engine_dir();
    let (acknowledged, number) =
        Acknowledged::open(&*directory.files(), &engine_dir).map_err(|why| OpenError::io(&engine_dir, why))?;
    let read = |key| read_number(tree, key).map_err(damaged);
    let (Some(reserved), Some(commits)) = (reservation::read(tree).map_err(damaged)?, read(key::COMMITS)?) else {
        return Err(directory.damaged(Lost::Everything));
    };
    // Format 1 has no such number, and nothing above the reservation.
    let highest = read(key::HIGHEST)?.map_or(reserved.seq, Seq);
    let mut recent = Recent::new(highest, reserved.seq, reserved.age.unwrap_or_default());
    let log_dir = engine_dir.join(LOG);
    let log = Log::open(directory.files(), &log_dir, commits, |mut batch| {
        if store_fault!(HalfABatch) {
            batch.tables.clear();
            batch.removals.clear();
        }
        recent.replay(&batch);
    })
    .map_err(|error| match error {
        LogError::Io(why) => OpenError::io(&log_dir, why),
        LogError::Damaged(why) => directory.damaged(why),
    })?;
    let synced = directory.files().sync_dir(&engine_dir);
    synced.map_err(|why| OpenError::io(&engine_dir, why))?;
    if log.last() < number {
        return Err(directory.damaged(Lost::End {
            last: log.last(),
            acknowledged: number,
            file: engine_dir.join(ACKNOWLEDGED),
        }));
    }
    Ok(Begun {
        acknowledged,
        log,
        recent,
        keeps_totals: reserved.age.is_some(),
    })
}

fn read_number(tree: &impl Tree, key: &[u8]) -> Result<Option<u64>, StoreError> {
    let Some(value) = tree.get(key)? else { return Ok(None) };
    match <[u8; 8]>::try_from(value.as_ref()) {
        Ok(bytes) => Ok(Some(u64::from_be_bytes(bytes))),
        Err(_) => Err(wrong_length(key, value.as_ref())),
    }
}
