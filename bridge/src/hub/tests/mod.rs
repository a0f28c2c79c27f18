//! Tests of all inboxes together: single steps of the hub, and whole random lives against a plain model.

mod absence;
mod events;
mod keeping;
pub(crate) mod kit;
mod life;
mod model;
mod notices;
mod ops;
mod property;
mod purging;
mod rooms;
mod sizes;
mod steps;
