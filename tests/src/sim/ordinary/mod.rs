//! Ordinary topics in a world: clients that publish and subscribe there, and the book of what they must get, and what they may (`docs/delivery.md`, rule 13 and
//! "Retained messages").
//!
//! Some of the clients have sessions that are kept for ever, the others ones that end with their connections. The book stands where the oracle of mail
//! stands, at the broker's side of the wire, and knows nothing of how the broker keeps anything.

mod book;
mod client;

pub(super) use book::Book;
pub(super) use client::Client;

/// The topics that there are.
const TOPICS: [&str; 3] = ["t/a", "t/b", "t/c"];
/// The filter of all of them. A client that has it has no other: one message comes once.
const ALL: &str = "t/+";

/// Whether this filter matches this one of [`TOPICS`].
fn matches(filter: &str, topic: usize) -> bool {
    filter == ALL || filter == TOPICS[topic]
}
