//! Commands that ask a broker that runs: its inboxes, traces, backups, and what they say when it cannot be asked.

mod backup;
mod inbox;
mod refused;
mod trace;

use std::process::Output;

use inbox_tests::Broker;

/// What a command that succeeded wrote to standard output.
fn succeeds(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts the exit code, and that standard error is a sentence with every one of `words`.
fn fails(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(!stderr.contains("panicked"), "a panic is no sentence: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is missing in: {stderr}");
    }
}

/// Where the API of this broker is.
fn url(broker: &Broker) -> String {
    format!("http://127.0.0.1:{}", broker.port_of("http"))
}
