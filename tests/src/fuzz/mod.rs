//! What the fuzz targets do with their bytes.
//!
//! `fuzz/` wraps each of these for cargo-fuzz (`cargo xtask fuzz`); an ordinary test gives them the inputs kept in `fuzz/corpus`. A
//! target panics when a rule is broken.

mod clients;
mod config;
mod filters;
mod session;
mod world;

pub use clients::clients;
pub use config::config;
pub use filters::filters;
pub use inbox_bridge::fuzzing::{backups, records};
pub use session::session;
pub use transport::fuzzing::{proxy, websocket};

/// A target: its name, which is also that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("session", session),
    ("clients", clients),
    ("records", records),
    ("backups", backups),
    ("filters", filters),
    ("config", config),
    ("websocket", websocket),
    ("proxy", proxy),
];
