//! What passes: a machine that has none of something for a while.

/// What a machine can have none of for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// File descriptors.
    Descriptors,
    /// Space for another name in a directory.
    Names,
    /// Space for the first bytes of a file.
    Bytes,
}
