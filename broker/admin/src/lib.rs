//! What operators see and ask for.
//!
//! Requests come over MQTT ([`answer_requests`]) or HTTP ([`HttpPort`]), and one [`Operator`] answers them all. The board under `$SYS` is
//! published by [`Board`], metrics are there to be scraped. `ARCHITECTURE.md` has the map.

mod answer;
mod board;
mod bounds;
mod error;
mod http;
mod operator;
mod prometheus;
mod requests;
mod speaking;
mod trace;

pub use board::{Board, BoardOptions, Figures, TOPICS};
pub use error::{Code, OperatorError};
pub use http::{
    Answer, ApiError, AskError, Health, HttpPort, Live, Operations, Part, Performed, Pieces, Question, Remote, Request,
    RunFile, RunFileError, Server, Settings, Site, State, Stopper, Token, TokenError, UrlError, Wanted, fetch,
    url_part,
};
pub use operator::{Operator, exported, properties, session, subscription};
pub use prometheus::{Measure, Measured, metric_of};
pub use requests::answer_requests;
pub use speaking::Speaker;
pub use trace::Trace;
