//! MQTT over TLS.

use std::fs;
use std::process::Output;

use inbox_test_support::certificates::{Authority, Signed};
use inbox_tests::tools::{mosquitto_pub, mosquitto_sub, mosquitto_sub_live, mosquitto_sub_output};
use inbox_tests::{Broker, RawClient, Version, run_inboxd, told};
use rustix::process::Signal;

use super::{CONNECT, Files, text, tls_listener};

/// Arguments for a client of the listener `tls`, with these before them.
fn args<'a>(port: &'a str, ca: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["-p", port, "--cafile", ca][..], more].concat()
}

#[test]
fn mosquitto_exchanges_mail_over_tls() {
    // Goal: mosquitto_pub and mosquitto_sub with --cafile, in TLS 1.2 and 1.3; a client that trusts somebody else goes away, and the log says so.
    let files = Files::of_a_broker();
    let broker = Broker::with_config(&tls_listener(&files, "tls", ""));
    let (port, ca) = (broker.port_of("tls").to_string(), text(&files, "ca.pem"));
    for version in ["tlsv1.2", "tlsv1.3"] {
        mosquitto_pub(
            &broker,
            &args(
                &port,
                &ca,
                &["--tls-version", version, "-q", "1", "-t", "bob", "-m", version],
            ),
        );
        let read = [
            "--tls-version",
            version,
            "--tls-alpn",
            "mqtt",
            "-i",
            "bob",
            "-q",
            "1",
            "-t",
            "bob",
            "-C",
            "1",
        ];
        assert_eq!(mosquitto_sub(&broker, &args(&port, &ca, &read)), [version]);
    }
    fs::write(files.path("other.pem"), Authority::new("other").pem).unwrap();
    let other = text(&files, "other.pem");
    let output = mosquitto_sub_output(&broker, &args(&port, &other, &["-t", "bob", "-C", "1", "-W", "5"]));
    assert!(!output.status.success());
    broker.wait_for_log("cause=connect_tls");
    assert_eq!(
        told(broker.socket("tls"), CONNECT)[..1],
        [0x15],
        "MQTT without TLS gets an alert"
    );
    // Somebody else's bytes, and none at all.
    told(broker.socket("tls"), b"GET / HTTP/1.1\r\n\r\n");
    drop(broker.socket("tls"));
    RawClient::clean(&broker, Version::V5, "ann").ping();
}

#[test]
fn client_certificates_are_required_where_that_is_said() {
    // Goal: client_certificates = "required": with one that is signed by client_ca a client is let in; with none, or one of somebody else, it is not.
    let files = Files::of_a_broker();
    let more = format!(
        "client_certificates = \"required\"\nclient_ca = {:?}",
        text(&files, "ca.pem")
    );
    let broker = Broker::with_config(&tls_listener(&files, "tls", &more));
    files.write("ann-", &files.authority.client("ann"));
    files.write("eve-", &Authority::new("inboxd tests").client("ann"));
    let (port, ca) = (broker.port_of("tls").to_string(), text(&files, "ca.pem"));
    let with = |who: &str| -> Output {
        let (cert, key) = (
            text(&files, &format!("{who}-cert.pem")),
            text(&files, &format!("{who}-key.pem")),
        );
        let own = [
            "--cert", &cert, "--key", &key, "-i", "ann", "-t", "ann", "-q", "1", "-C", "1", "-W", "10",
        ];
        mosquitto_sub_output(&broker, &args(&port, &ca, &own))
    };
    RawClient::clean(&broker, Version::V5, "bob").publish("ann", "hello", 1);
    let eve = with("eve");
    assert!(!eve.status.success() && eve.stdout.is_empty());
    let none = mosquitto_sub_output(
        &broker,
        &args(&port, &ca, &["-i", "ann", "-t", "ann", "-C", "1", "-W", "3"]),
    );
    assert!(!none.status.success() && none.stdout.is_empty());
    broker.wait_for_log("cause=connect_client_certificate");
    assert_eq!(with("ann").stdout, b"hello\n");
}

#[test]
fn sighup_renews_certificates_and_ends_no_connection() {
    // Goal: new files are for new clients, and who is connected stays; files that were renewed badly change nothing, and the log says what is wrong.
    let files = Files::of_a_broker();
    let broker = Broker::with_config(&tls_listener(&files, "tls", ""));
    let (port, ca) = (broker.port_of("tls").to_string(), text(&files, "ca.pem"));
    let bob = mosquitto_sub_live(&broker, &args(&port, &ca, &["-i", "bob", "-q", "1", "-t", "bob"]));
    let publish =
        |ca: &str, text: &str| mosquitto_pub(&broker, &args(&port, ca, &["-q", "1", "-t", "bob", "-m", text]));

    let other = Authority::new("other");
    let fresh = other.broker();
    fs::write(files.path("other.pem"), &other.pem).unwrap();
    files.write(
        "",
        &Signed {
            key: files.authority.broker().key,
            ..fresh.clone()
        },
    );
    broker.signal(Signal::HUP);
    broker.wait_for_log("does not go with the certificate");
    publish(&ca, "the old one is in force");
    bob.wait_for(|line| line == "the old one is in force");

    files.write("", &fresh);
    broker.signal(Signal::HUP);
    broker.wait_for_log(" reloaded=certificates");
    publish(&text(&files, "other.pem"), "the new one is in force");
    bob.wait_for(|line| line == "the new one is in force");
    let old = mosquitto_sub_output(&broker, &args(&port, &ca, &["-t", "x", "-C", "1", "-W", "3"]));
    assert!(!old.status.success());
}

#[test]
fn check_config_looks_into_the_files_of_tls() {
    // Goal: a certificate whose time is over is told about, and files that cannot be used are a mistake of the configuration that names the listener.
    let files = Files::of_a_broker();
    let config = files.path("inboxd.toml");
    fs::write(&config, tls_listener(&files, "tls", "")).unwrap();
    let check = || {
        let data = text(&files, "data");
        let output = run_inboxd(&["check-config", "--config", config.to_str().unwrap(), "--data", &data]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(), (Some(0), String::new()));
    files.write("", &files.authority.expired_broker());
    let (code, said) = check();
    assert!(code == Some(0) && said.contains("was valid until"), "{said}");
    fs::remove_file(files.path("key.pem")).unwrap();
    let (code, said) = check();
    assert!(
        code == Some(78) && said.contains("the listener \"tls\"") && said.contains("key.pem"),
        "{said}"
    );
}

#[test]
fn a_slow_handshake_ends_with_the_time_for_connect() {
    // Goal: mqtt.connect_timeout covers the handshake: who says nothing, or half a ClientHello, is closed, and others are served meanwhile.
    let files = Files::of_a_broker();
    let config = format!(
        "{}[mqtt]\nconnect_timeout = \"500ms\"\n",
        tls_listener(&files, "tls", "")
    );
    let broker = Broker::with_config(&config);
    let slow: Vec<_> = (0..50).map(|_| broker.socket("tls")).collect();
    let (port, ca) = (broker.port_of("tls").to_string(), text(&files, "ca.pem"));
    mosquitto_pub(&broker, &args(&port, &ca, &["-q", "1", "-t", "bob", "-m", "x"]));
    for socket in slow {
        assert_eq!(told(socket, b""), b"");
    }
    broker.wait_for_log("cause=connect_timeout");
}
