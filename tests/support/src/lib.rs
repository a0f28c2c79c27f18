//! What the tests of every crate, and the benchmarks, share: looks at processes, and free ports.

pub mod net;
pub mod process;
