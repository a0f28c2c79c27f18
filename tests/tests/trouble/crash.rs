//! A share of `cargo xtask crash`.

use inbox_bridge::Engine;
use inbox_tests::crash::{Options, Parts, Router, run};

#[test]
fn kills_lose_nothing_on_sled() {
    // Goal: all contract rules that the ledger of `inbox_tests::crash` checks hold over kill -9 at random moments, start-up
    // and shutdown included. The seed is always the same, so that a failure here is the change's fault.
    kills_lose_nothing(Engine::Sled);
}

#[test]
fn kills_lose_nothing_on_fjall() {
    // Goal: the same.
    kills_lose_nothing(Engine::Fjall);
}

fn kills_lose_nothing(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        engine,
        router: Router::Either,
        ordinary: Parts::ALL,
        kills: 5,
        seed: 8,
        verbose: true,
    };
    let report = run(directory.path(), &options);
    assert!(report.is_clean(), "{report}");
    assert!(report.pubacks > 1000, "there was traffic: {report}");
    assert!(report.repeated > 20, "some of it was repeated: {report}");
    let asked = report.asked;
    assert!(
        asked.receipts > 50 && asked.in_time > 5 && asked.told > 5,
        "receipts came, and minds were changed: {report}"
    );
    assert!(
        report.bounced > 20 && report.notices > 0,
        "refusals were told by notices: {report}"
    );
}
