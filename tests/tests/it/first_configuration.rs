//! `inboxd init`: from nothing to mail over TLS.

use std::fs;

use inbox_tests::tools::{mosquitto_pub, mosquitto_sub};
use inbox_tests::{Broker, run_inboxd};

/// A configuration that `inboxd init` made, with free ports in the place of those that it names.
pub(crate) fn on_free_ports(config: &str) -> String {
    ["1883", "8883", "8084"].iter().fold(config.to_owned(), |config, port| {
        config.replace(&format!("listen = \"127.0.0.1:{port}\""), "listen = \"127.0.0.1:0\"")
    })
}

#[test]
fn init_makes_a_configuration_that_serves_mail_over_tls() {
    // Goal: the configuration starts, the commands that are printed work with the printed passwords, strangers are refused, --strict
    // complains of the certificate alone, and a second init changes nothing.
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("new");
    let dir = dir.to_str().unwrap();
    let init = run_inboxd(&["init", dir]);
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let said = String::from_utf8(init.stdout).unwrap();

    let config = fs::read_to_string(format!("{dir}/inboxd.toml")).unwrap();
    let mut broker = Broker::with_config(&on_free_ports(&config));
    let (tls, _wss) = (broker.port_of("mqtts").to_string(), broker.port_of("wss"));
    let printed = |command: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(command)).unwrap();
        line.replace("-p 8883", &format!("-p {tls}"))
    };
    let publish = printed("mosquitto_pub ");
    mosquitto_pub(&broker, &publish.split(' ').collect::<Vec<_>>());
    let read = printed("mosquitto_sub ");
    assert_eq!(mosquitto_sub(&broker, &read.split(' ').collect::<Vec<_>>()), ["hello"]);
    let audit = format!("{dir}/audit.log");
    broker.terminate();
    let audit = fs::read_to_string(audit).unwrap();
    assert!(
        audit.contains("\"listener\":\"mqtts\"") && audit.contains("\"roles\":\"ops\""),
        "{audit}"
    );

    let config = format!("{dir}/inboxd.toml");
    let strict = run_inboxd(&["check-config", "--strict", "--config", &config]);
    let complaints = String::from_utf8(strict.stderr).unwrap();
    assert_eq!(strict.status.code(), Some(78), "{complaints}");
    let (others, last) = complaints.trim_end().rsplit_once('\n').unwrap();
    assert!(last.contains("Hardening checklist"), "{complaints}");
    assert!(
        others.lines().all(|line| line.contains("signed by itself")),
        "{complaints}"
    );

    let before = fs::read(&config).unwrap();
    let again = run_inboxd(&["init", dir]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
    assert_eq!(fs::read(&config).unwrap(), before);
}
