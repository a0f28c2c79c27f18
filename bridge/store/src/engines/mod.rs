//! The engines: one file names each foreign crate, and speaks [`crate::tree::Tree`] to everyone else.

pub(crate) mod fjall;
pub(crate) mod sled;
