//! What operators see and ask.
//!
//! Requests come over MQTT ([`answer_requests`]) or HTTP, and one [`Operator`] answers them all. The board under `$SYS` is published by
//! [`Board`]. `ARCHITECTURE.md` has the map.

mod board;
mod error;
mod operator;
mod requests;
mod speaking;
mod trace;

pub use board::{Board, BoardOptions, Figures, TOPICS};
pub use error::OperatorError;
pub use operator::Operator;
pub use requests::answer_requests;
pub use speaking::Speaker;
pub use trace::Trace;
