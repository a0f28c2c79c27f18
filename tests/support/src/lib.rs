//! What the tests of every crate, and the benchmarks, share: packets made by hand, looks at processes, and free ports.

pub mod certificates;
pub mod net;
pub mod packets;
pub mod process;
