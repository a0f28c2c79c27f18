//! The HTTP port: health, metrics, the API, the dashboard, and the way to MQTT over WebSocket, all of one origin.
//!
//! It is open before the store is, so that whoever waits for the broker is told what it waits for: a [`Site`] is made first, and gets the
//! [`Live`] broker when there is one.
//!
//! **Promise:** HTTP keeps no MQTT client waiting. Its connections are few and limited, requests have a deadline and a greatest size, whoever
//! does not read its answer is cut off, and no request waits for the disk here.

mod api;
mod assets;
mod fetch;
mod headers;
mod health;
mod operations;
mod page;
mod patient;
mod peer;
mod pieces;
mod remote;
mod routes;
mod run_file;
mod server;
mod site;
#[cfg(test)]
mod tests;
mod token;
mod websocket;

pub use fetch::fetch;
pub use health::{Health, State};
pub use operations::{ApiError, Operations, Performed, Request, Wanted};
pub use pieces::Pieces;
pub use remote::{Answer, AskError, Question, Remote, Stopper, UrlError, url_part};
pub use routes::Part;
pub use run_file::{RunFile, RunFileError};
pub use server::{HttpPort, Server};
pub use site::{Live, Settings, Site};
pub use token::{Token, TokenError};
