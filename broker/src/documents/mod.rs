//! The documents against the code: what a table or a name in them says is so, or a test here fails.
//!
//! Tables are found by their heading and read cell by cell, names by the backticks around them. The example of the configuration is
//! checked in `config/tests/every_key.rs`, exit codes in `exit.rs`, and `docs/conformance.md` in the black-box tests.

mod architecture;
mod configuration;
mod deployment;
mod names;
mod observing;
mod page;
mod reasons;
mod shipping;
mod storage;
