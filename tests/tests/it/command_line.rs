//! The command line: what it must not create, what it understands, and what it checks.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use inbox_tests::{Broker, BrokerOptions, RawClient, Version, inboxd_command, run_inboxd, stderr, succeeds};
use rustix::process::Signal;

#[test]
fn commands_on_inboxes_never_make_a_store() {
    // Goal: a mistyped --data is told, and nothing is created: not in an empty directory either.
    let directory = tempfile::tempdir().unwrap();
    let (absent, empty) = (directory.path().join("tpyo"), directory.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    for data in [&absent, &empty] {
        for command in [
            ["inbox", "list"].as_slice(),
            &["inbox", "show", "bob"],
            &["inbox", "purge", "bob", "--yes"],
        ] {
            let output = run_inboxd(&[command, &["--data", data.to_str().unwrap()]].concat());
            assert_eq!(output.status.code(), Some(65), "{command:?}: {}", stderr(&output));
            assert!(
                stderr(&output).contains("there is no store"),
                "{command:?}: {}",
                stderr(&output)
            );
        }
    }
    assert!(!absent.exists());
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}

#[test]
fn sighup_ends_nothing_and_is_told() {
    // Goal: a closed terminal and logrotate do not end the broker: its clients stay connected.
    let mut broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    for _ in 0..3 {
        broker.signal(Signal::HUP);
    }
    broker.wait_for_log("SIGHUP: ");
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "still here", 1);
    assert_eq!(bob.receive_and_ack().text(), "still here");
    assert_eq!(broker.terminate().code, Some(0));
}

/// What `check-config` and `serve` end with on the same arguments and environment.
fn both(args: &[&str], env: &[(&str, &str)], data: &Path) -> (Option<i32>, Option<i32>, String) {
    let run = |command: &str| {
        let mut inboxd = inboxd_command();
        inboxd.arg(command).args(["--data", data.to_str().unwrap()]).args(args);
        inbox_tests::run(inboxd.envs(env.iter().copied()))
    };
    let (checked, served) = (run("check-config"), run("serve"));
    (checked.status.code(), served.status.code(), stderr(&checked))
}

#[test]
fn check_config_says_no_to_what_serve_says_no_to() {
    // Goal: the same exit code for RUST_LOG, an address of another machine, and a data directory that is somebody else's.
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let loopback = ["--listen", "127.0.0.1:0"];
    let (checked, served, said) = both(&loopback, &[("RUST_LOG", "inbxd")], &data);
    assert_eq!((checked, served), (Some(78), Some(78)), "{said}");
    assert!(said.contains("RUST_LOG"), "{said}");

    let elsewhere = [("INBOXD_MQTT__ALLOW_ANONYMOUS", "true")];
    let (checked, served, said) = both(&["--listen", "192.0.2.1:1883"], &elsewhere, &data);
    assert_eq!((checked, served), (Some(69), Some(69)), "{said}");
    assert!(said.contains("192.0.2.1:1883"), "{said}");

    let foreign = directory.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "precious").unwrap();
    let (checked, served, said) = both(&loopback, &[], &foreign);
    assert_eq!((checked, served), (Some(65), Some(65)), "{said}");

    let file = directory.path().join("file");
    fs::write(&file, "a file").unwrap();
    let (checked, served, said) = both(&loopback, &[], &file);
    assert_eq!(checked, served, "{said}");
    assert_ne!(checked, Some(0), "{said}");
}

#[test]
fn check_config_passes_beside_the_broker_that_runs_on_it() {
    // Goal: what a careful operator does before a restart: the port and the directory are in use by the broker itself.
    let broker = Broker::start();
    let listen = format!("127.0.0.1:{}", broker.port());
    let output = broker.run_on_data(&["check-config", "--listen", &listen]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = run_inboxd(&["check-config", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn variables_of_a_kubernetes_service_are_passed_over_with_a_note() {
    // Goal: a Service called inboxd does not keep its own pods from starting; a misspelt setting still does.
    let env = [
        ("INBOXD_SERVICE_HOST", "10.96.0.7"),
        ("INBOXD_SERVICE_PORT", "1883"),
        ("INBOXD_SERVICE_PORT_MQTT", "1883"),
        ("INBOXD_PORT", "tcp://10.96.0.7:1883"),
        ("INBOXD_PORT_1883_TCP", "tcp://10.96.0.7:1883"),
        ("INBOXD_PORT_1883_TCP_PROTO", "tcp"),
        ("INBOXD_PORT_1883_TCP_PORT", "1883"),
        ("INBOXD_PORT_1883_TCP_ADDR", "10.96.0.7"),
    ];
    let checked = inbox_tests::run(inboxd_command().arg("check-config").envs(env));
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    for (name, _) in env {
        assert!(
            stderr(&checked).contains(name),
            "{name} is missing in {}",
            stderr(&checked)
        );
    }
    let broker = Broker::start_with(BrokerOptions {
        env: env.map(|(name, value)| (name.into(), value.into())).to_vec(),
        ..BrokerOptions::default()
    });
    broker.wait_for_log("INBOXD_PORT_1883_TCP_ADDR");
    let slip = inbox_tests::run(inboxd_command().arg("check-config").env("INBOXD_MQTT_PORT", "1884"));
    assert_eq!(slip.status.code(), Some(78), "{}", stderr(&slip));
}

#[test]
fn a_broker_starts_as_users_of_mosquitto_start_theirs() {
    // Goal: `-c FILE -p PORT -v`, and a host name for an address; clients of both families of addresses get through where there are.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("inboxd.toml");
    fs::write(&file, "[inbox]\nprefix = \"inbox/\"\n").unwrap();
    let printed = run_inboxd(&["print-config", "-c", file.to_str().unwrap(), "-p", "18830", "-v"]);
    let text = succeeds(&printed);
    for line in [
        "listen = \"127.0.0.1:18830\"",
        "prefix = \"inbox/\"",
        "level = \"debug\"",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    let broker = Broker::start_with(BrokerOptions {
        listen: Some("localhost:0".to_owned()),
        ..BrokerOptions::default()
    });
    assert!(TcpStream::connect(("localhost", broker.port())).is_ok());
}
