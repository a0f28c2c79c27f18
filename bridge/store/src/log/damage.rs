//! What is damaged in a log.

use std::path::PathBuf;

use crate::frame::FrameError;

/// What is damaged in a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogDamage {
    /// A file that this build did not make.
    #[error("{} is not a part of its log", .0.display())]
    Stranger(PathBuf),
    /// A segment.
    #[error("{}: {why}", .path.display())]
    Segment {
        path: PathBuf,
        #[source]
        why: SegmentDamage,
    },
}

/// What is damaged in a segment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentDamage {
    #[error("it does not begin as a part of a log does")]
    Beginning,
    #[error("commit {commit} follows commit {last}")]
    Order { commit: u64, last: u64 },
    #[error("what follows commit {last} is damaged")]
    End { last: u64 },
    #[error("its log goes on to commit {commit}, and commit {missing} is missing")]
    Missing { commit: u64, missing: u64 },
    #[error("commit {commit} in its log cannot be read: {why}")]
    Frame {
        commit: u64,
        #[source]
        why: FrameError,
    },
}
