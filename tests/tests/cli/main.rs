//! The command line of the SDK (`inbox`) against the broker, as a script and as a pair of people see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is tests: a failed assumption is a failed test"
)]

mod chatting;
mod listening;
mod people;
mod sending;
mod settings;
