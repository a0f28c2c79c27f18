//! What a command that has ended is to have said.

use std::process::Output;

/// What a command that succeeded wrote to standard output.
#[track_caller]
pub fn succeeds(output: &Output) -> String {
    let (code, stderr) = (output.status, stderr(output));
    assert!(output.status.success(), "{code}: {stderr}");
    String::from_utf8(output.stdout.clone()).expect("standard output is UTF-8")
}

/// Asserts that a command failed with this exit code, and that standard error is a sentence with every one of `words`.
#[track_caller]
pub fn fails(output: &Output, code: i32, words: &[&str]) {
    let stderr = stderr(output);
    assert_eq!(output.status.code(), Some(code), "standard error: {stderr}");
    assert!(!stderr.contains("panicked"), "a panic is no sentence: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is missing in: {stderr}");
    }
}

/// What a command wrote to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
