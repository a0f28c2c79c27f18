//! A share of `cargo xtask crash`.

use inbox_tests::crash::{Options, run};

#[test]
fn eight_kills_lose_nothing() {
    // Goal: all contract rules that the ledger of `inbox_tests::crash` checks hold over kill -9 at random moments, start-up
    // and shutdown included. The seed is always the same, so that a failure here is the change's fault.
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        kills: 8,
        seed: 8,
        verbose: true,
    };
    let report = run(directory.path(), &options);
    assert!(report.is_clean(), "{report}");
    assert!(report.pubacks > 1000, "there was traffic: {report}");
}
