//! Operating the broker: start, stop, configuration, exit codes, and the commands on a stopped broker's directory.

mod configuration;
mod inboxes;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use inbox_tests::{Broker, Connect, Packet, RawClient, Version, run_inboxd};
use rustix::process::Signal;

/// A start that fails, which answers nothing on standard output.
fn fails(output: &Output, code: i32, words: &[&str]) {
    inbox_tests::fails(output, code, words);
    assert_eq!(text(&output.stdout), "");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `inboxd serve` on a free port and this directory, with more arguments.
fn serve(data: &Path, more: &[&str]) -> Output {
    let mut args = vec!["serve", "--data", data.to_str().unwrap()];
    args.extend(more);
    run_inboxd(&args)
}

#[test]
fn the_ready_line_is_all_that_standard_output_ever_shows() {
    // Goal: one line, with the real port, and nothing before or after it, through traffic and shutdown.
    let mut broker = Broker::start();
    let port = broker.port();
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "x", 1);
    let exit = broker.terminate();
    let http = broker.port_of("http");
    assert_eq!(
        exit.stdout,
        [format!("inboxd ready http=127.0.0.1:{http} mqtt=127.0.0.1:{port}")]
    );
}

#[test]
fn every_listener_is_named_and_serves() {
    // Goal: a listener of [[listener]] serves beside the one of mqtt.listen, and the ready line names both; mail goes from one to the other.
    let config = "[[listener]]\nname = \"second\"\nlisten = \"127.0.0.1:0\"\n";
    let mut broker = Broker::with_config(config);
    assert_ne!(broker.port_of("second"), broker.port());
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut other = broker.socket("second");
    // CONNECT of "alice" with MQTT 3.1.1, and a publish to "bob" with QoS 1.
    other
        .write_all(b"\x10\x11\0\x04MQTT\x04\x02\0\0\0\x05alice\x32\x08\0\x03bob\0\x01x")
        .unwrap();
    let Packet::Publish(mail) = bob.next() else {
        panic!("bob gets the mail first")
    };
    assert_eq!(mail.payload, b"x");
    assert_eq!(broker.terminate().code, Some(0));
}

#[test]
fn sigterm_and_sigint_end_the_broker_in_order() {
    // Goal: MQTT 5 clients are told 0x8B, 3.1.1 clients are closed, the exit code is 0, and the mail is kept.
    for signal in [Signal::TERM, Signal::INT] {
        let mut broker = Broker::start();
        let mut new = RawClient::reader(&broker, Version::V5, "new", 1);
        let mut old = RawClient::clean(&broker, Version::V311, "old");
        old.publish("bob", "kept", 1);
        broker.signal(signal);
        new.expect_disconnect(&[0x8b]);
        old.expect_close();
        assert_eq!(broker.wait().code, Some(0));
        broker.restart();
        let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
        assert_eq!(bob.texts(1), ["kept"]);
    }
}

#[test]
fn a_client_that_does_not_read_does_not_stop_the_shutdown() {
    // Goal: exit 0 within `shutdown_timeout`, with a connection whose socket is full.
    let mut broker = Broker::with_config("shutdown_timeout = \"2s\"\n");
    let mut deaf = RawClient::clean(&broker, Version::V5, "deaf");
    deaf.subscribe("deaf", 0);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for _ in 0..50 {
        alice.publish("deaf", vec![b'x'; 200_000], 1);
    }
    assert_eq!(broker.terminate().code, Some(0));
}

#[test]
fn a_shutdown_keeps_wills_of_clients_that_were_there() {
    // Goal: section 3.14.2.1: the server ends the connection, so a will that is for an inbox waits there. Publishing it
    // before the end or not at all are both defensible, losing other mail is not: bob's message must be there.
    let mut broker = Broker::start();
    let connect = Connect::new(Version::V5, "alice").will(inbox_tests::Will::new("bob", "gone"));
    let (mut alice, _) = RawClient::connect(&broker, &connect);
    alice.publish("bob", "mail", 1);
    assert_eq!(broker.terminate().code, Some(0));
    broker.restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.receive_and_ack().text(), "mail");
}

#[test]
fn a_port_in_use_is_named() {
    // Goal: exit code 69, and a sentence with the address.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    fails(
        &serve(&directory.path().join("data"), &["--listen", &address]),
        69,
        &[&address],
    );
}

#[test]
fn a_data_path_that_is_a_file_is_refused() {
    // Goal: exit code 77 or 65, and a sentence with the path; the file is not touched.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    fs::write(&path, "precious").unwrap();
    let output = serve(&path, &["--listen", "127.0.0.1:0"]);
    let code = output.status.code();
    assert!(
        [Some(77), Some(65), Some(73)].contains(&code),
        "{code:?}: {}",
        text(&output.stderr)
    );
    fails(&output, code.unwrap(), &[path.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_directory_of_another_program_is_refused_untouched() {
    // Goal: exit code 65, a sentence with the path, and no file added or changed.
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.tex"), "precious").unwrap();
    let output = serve(directory.path(), &["--listen", "127.0.0.1:0"]);
    fails(&output, 65, &[directory.path().to_str().unwrap()]);
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["thesis.tex"]);
}

#[test]
fn a_directory_in_use_is_refused() {
    // Goal: exit code 75 for a second broker, and for commands that need the directory for themselves; the first goes on.
    let broker = Broker::start();
    let data = broker.data();
    fails(
        &serve(&data, &["--listen", "127.0.0.1:0"]),
        75,
        &[data.to_str().unwrap()],
    );
    let (from, to) = (data.to_str().unwrap(), data.with_file_name("to"));
    let output = run_inboxd(&[
        "store",
        "convert",
        "--from",
        from,
        "--to",
        to.to_str().unwrap(),
        "--engine",
        "sled",
    ]);
    fails(&output, 75, &[from]);
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "x", 1);
}

#[test]
fn a_corrupt_store_is_refused_with_a_sentence() {
    // Goal: exit code 65 or 74 and a sentence, not a panic, when every file of the store is overwritten with noise.
    let mut broker = Broker::start();
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "x", 1);
    assert_eq!(broker.terminate().code, Some(0));
    let mut spoilt = 0;
    let mut directories = vec![broker.data()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if directory != broker.data() {
                // What lies at the top is the manifest and the lock; what lies below is the engine's.
                let length = fs::metadata(&path).unwrap().len() as usize;
                fs::write(&path, vec![0xa5; length]).unwrap();
                spoilt += 1;
            }
        }
    }
    assert!(spoilt > 0, "the store has files of its own in a directory of its own");
    let output = serve(&broker.data(), &["--listen", "127.0.0.1:0"]);
    let code = output.status.code();
    assert!(
        [Some(65), Some(74)].contains(&code),
        "{code:?}: {}",
        text(&output.stderr)
    );
    fails(&output, code.unwrap(), &[]);
}

#[test]
fn logs_go_to_standard_error_as_json_when_asked() {
    // Goal: `--log-format json` makes every line of standard error one JSON object.
    let args = vec!["--log-format".into(), "json".into()];
    let mut broker = Broker::start_with(inbox_tests::BrokerOptions {
        args,
        ..Default::default()
    });
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "x", 1);
    let exit = broker.terminate();
    assert!(exit.stderr.lines().count() > 0, "the start and the end are logged");
    for line in exit.stderr.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value.is_object(), "{line}");
    }
}
