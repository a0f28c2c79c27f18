//! What the tests of every crate, and the benchmarks, share: packets made by hand, looks at processes, free ports, and
//! WebSocket frames.

pub mod certificates;
pub mod net;
pub mod packets;
pub mod process;
pub mod websocket;
