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
    /// Space for most of what is written to a file behind its end: a part finds some.
    Space,
    /// The same, and a file is not cut off either: a file system that writes nothing in place needs space for that, too.
    SpaceToCut,
}
