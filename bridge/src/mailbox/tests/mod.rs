//! Tests of one inbox: its books, and every transition of its state machine.

mod amending;
mod amending_lives;
mod audit;
mod committing;
mod desk;
mod margins;
mod quota;
mod reading;
mod settling;
mod sharing;
mod unread;
