//! The dashboard in a real browser: what the broker serves, and what it shows of a broker that is there.
//!
//! The pages and what is expected of them are in `dashboard/tests/e2e`; here they meet the broker.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use inbox_tests::{Broker, run_within};

/// All tests of a file together: some tens of seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(480);

/// Where the dashboard is, with what its tests need.
fn dashboard() -> PathBuf {
    let directory = std::env::var_os("INBOX_TEST_DASHBOARD");
    let directory = directory.expect(
        "INBOX_TEST_DASHBOARD is not set: it is the directory `dashboard`, after `cargo xtask dashboard`. `cargo xtask test` sets it",
    );
    PathBuf::from(directory)
}

/// Runs the tests of this file in Chromium, with more environment.
fn playwright(spec: &str, env: &[(&str, &str)]) {
    let directory = dashboard();
    let pictures = tempfile::tempdir().unwrap();
    // npx (Debian: npm) starts Node, which starts the browser; each test in there has a time of its own.
    let mut npx = Command::new("npx");
    npx.args(["--no-install", "playwright", "test", spec, "--output"])
        .arg(pictures.path())
        .current_dir(directory)
        .envs(env.iter().copied());
    let output = run_within(PATIENCE, &mut npx);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("passed"), "nothing was tried: {said}");
}

#[test]
fn every_view_shows_a_real_broker() {
    // Goal: in the page that the broker serves, with its Content-Security-Policy and over its own WebSocket: live figures, inboxes looked into, purged and
    // erased, clients, events, a trace; by keyboard, on a phone, in both themes; no complaint of the browser, nor of axe.
    let broker = Broker::with_config("[http]\nlisten = \"127.0.0.1:0\"\n");
    let url = format!("http://127.0.0.1:{}/", broker.port_of("http"));
    playwright("views", &[("INBOX_DASHBOARD_URL", &url)]);
}

#[test]
fn what_goes_wrong_is_told_with_what_to_do() {
    // Goal: wrong logins, missing roles, tokens that end, takeovers, restarts, silence, hostile names, 100,000 inboxes: against a mock that does all of it
    // at will.
    playwright("failures", &[]);
}

#[test]
fn what_is_old_or_asked_for_anew_can_be_read() {
    // Goal: figures from before a lost connection, and lists whose answer is waited for, have the contrast of any other text, in both themes.
    playwright("contrast", &[]);
}
