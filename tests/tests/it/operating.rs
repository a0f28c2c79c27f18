//! Operating the broker: start, stop, configuration, exit codes, and the commands on a stopped broker's directory.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use inbox_tests::{
    Broker, Connect, Packet, Props, PublishPacket, RawClient, Version, inboxd_command, property, run, run_inboxd,
    succeeds,
};
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
    let line = broker.stdout().concat();
    let second = line.rsplit_once(" second=127.0.0.1:").expect("it is named").1;
    let port: u16 = second.parse().unwrap();
    assert_ne!(port, broker.port());
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut other = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
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
fn listening_beyond_loopback_needs_a_word() {
    // Goal: refused with exit code 78 and a sentence that names the key, unless `mqtt.allow_anonymous = true`.
    let directory = tempfile::tempdir().unwrap();
    let output = serve(&directory.path().join("data"), &["--listen", "0.0.0.0:0"]);
    fails(&output, 78, &["allow_anonymous"]);
    assert!(
        !directory.path().join("data").exists(),
        "nothing is created before the configuration is right"
    );
}

#[test]
fn bad_configurations_are_told_by_key() {
    // Goal: exit code 78 and a sentence that names the key, and for an unknown one the nearest; for check-config and
    // for the start alike.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("inboxd.toml");
    let data = directory.path().join("data");
    for (config, words) in [
        ("[inbox]\nmesages_max = 5\n", ["mesages_max", "messages_max"].as_slice()),
        ("[mqt]\nlisten = \"127.0.0.1:0\"\n", &["mqt", "mqtt"]),
        ("[inbox]\nmessages_max = \"many\"\n", &["messages_max"]),
        ("[inbox]\nmessages_max = -1\n", &["messages_max"]),
        ("[inbox]\nwhen_full = \"explode\"\n", &["when_full", "drop-oldest"]),
        ("[inbox]\nprefix = \"no-slash\"\n", &["prefix"]),
        ("[inbox]\nprefix = \"$SYS/\"\n", &["prefix"]),
        ("[inbox]\nprefix = \"a/+/\"\n", &["prefix"]),
        ("[mqtt]\nin_flight_max = 0\n", &["in_flight_max"]),
        ("[inbox]\ntime_to_live = 30\n", &["time_to_live"]),
        ("shutdown_timeout = \"soon\"\n", &["shutdown_timeout"]),
        ("[mqtt\n", &["inboxd.toml"]),
    ] {
        fs::write(&file, config).unwrap();
        let path = file.to_str().unwrap();
        fails(&run_inboxd(&["check-config", "--config", path]), 78, words);
        fails(&serve(&data, &["--listen", "127.0.0.1:0", "--config", path]), 78, words);
    }
    assert!(!data.exists());
    let missing = directory.path().join("missing.toml");
    fails(
        &run_inboxd(&["check-config", "--config", missing.to_str().unwrap()]),
        78,
        &["missing.toml"],
    );
}

#[test]
fn an_unknown_variable_is_told_with_the_nearest_key() {
    // Goal: the environment is configuration like the file (`INBOXD_`, `__` between levels).
    let directory = tempfile::tempdir().unwrap();
    let mut command = inboxd_command();
    command
        .args(["check-config"])
        .env("INBOXD_INBOX__MESAGES_MAX", "5")
        .current_dir(directory.path());
    let output = run(&mut command);
    fails(&output, 78, &["INBOXD_INBOX__MESAGES_MAX"]);
    let stderr = text(&output.stderr).to_lowercase();
    assert!(stderr.contains("messages_max"), "{stderr}");
}

#[test]
fn two_listeners_with_one_address_are_a_mistake_of_the_configuration() {
    // Goal: check-config and serve say which two they are, instead of asking for another broker that has the port.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("inboxd.toml");
    fs::write(
        &file,
        "[mqtt]\nlisten = \"127.0.0.1:18973\"\n[[listener]]\nname = \"lan\"\nlisten = \"127.0.0.1:18973\"\n",
    )
    .unwrap();
    let (path, data) = (file.to_str().unwrap(), directory.path().join("data"));
    let words = ["\"mqtt\"", "\"lan\"", "127.0.0.1:18973"];
    fails(&run_inboxd(&["check-config", "--config", path]), 69, &words);
    let serve = ["serve", "--config", path, "--data", data.to_str().unwrap()];
    fails(&run_inboxd(&serve), 69, &words);
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn check_config_says_ok() {
    // Goal: exit code 0 and a sentence on standard output for a good file, which is not otherwise touched.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("inboxd.toml");
    fs::write(&file, "[inbox]\nmessages_max = 5\n").unwrap();
    let output = run_inboxd(&["check-config", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).to_lowercase().contains("ok"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn print_config_shows_what_is_in_force() {
    // Goal: file below environment below flags, and the output is a configuration file that gives the same again.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("inboxd.toml");
    let config = "[inbox]\nmessages_max = 5\n[mqtt]\nlisten = \"127.0.0.1:1\"\nin_flight_max = 7\n";
    fs::write(&file, config).unwrap();
    let print = |file: &Path| {
        let mut command = inboxd_command();
        command.args(["print-config", "--config"]).arg(file);
        command.args(["--listen", "127.0.0.1:3"]);
        command
            .env("INBOXD_MQTT__LISTEN", "127.0.0.1:2")
            .env("INBOXD_INBOX__MESSAGES_MAX", "6");
        succeeds(&run(&mut command))
    };
    let printed = print(&file);
    for line in [
        "messages_max = 6",
        "listen = \"127.0.0.1:3\"",
        "in_flight_max = 7",
        "prefix = \"\"",
    ] {
        assert!(printed.contains(line), "{line:?} is missing in:\n{printed}");
    }
    let again = directory.path().join("again.toml");
    fs::write(&again, &printed).unwrap();
    assert_eq!(print(&again), printed);
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    // Goal: exit code 2 and the usage; --help and --version answer on standard output with 0.
    let output = run_inboxd(&["--no-such-flag"]);
    assert_eq!(output.status.code(), Some(2));
    for flag in ["--help", "--version"] {
        let output = run_inboxd(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("inboxd"));
    }
}

/// A stopped broker with three messages for bob and one for carol.
fn stopped_with_mail() -> Broker {
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for text in ["one", "two"] {
        alice.publish("bob", text, 1);
    }
    let props = Props::new().user("id", "order-17").four(property::MESSAGE_EXPIRY, 3600);
    alice.publish_packet(PublishPacket::new("bob", b"\x1b[31mthree\0", 1, 0).props(props));
    alice.publish("carol", "four", 1);
    assert_eq!(broker.terminate().code, Some(0));
    broker
}

#[test]
fn inbox_list_and_show_tell_what_waits() {
    // Goal: names and counts, then each message with sender and id; no control character reaches the terminal.
    let broker = stopped_with_mail();
    let list = broker.run_on_data(&["inbox", "list"]);
    assert_eq!(list.status.code(), Some(0), "{}", text(&list.stderr));
    let list = text(&list.stdout);
    let line = |name: &str| {
        list.lines()
            .find(|line| line.contains(name))
            .unwrap_or_else(|| panic!("{name}: {list}"))
    };
    assert!(line("bob").contains('3') && line("carol").contains('1'), "{list}");

    let show = broker.run_on_data(&["inbox", "show", "bob"]);
    assert_eq!(show.status.code(), Some(0), "{}", text(&show.stderr));
    let show = text(&show.stdout);
    for word in ["one", "two", "three", "alice", "order-17"] {
        assert!(show.contains(word), "{word:?} is missing in:\n{show}");
    }
    assert!(
        show.chars().all(|c| !c.is_control() || c == '\n'),
        "control characters in:\n{show:?}"
    );
    let order = ["one", "two", "three"].map(|word| show.find(word));
    assert!(order.is_sorted(), "acceptance order");
    assert!(!show.contains("four"));
}

#[test]
fn inbox_list_and_show_speak_json() {
    // Goal: `--json` gives what a program can read, line by line or as one document.
    let broker = stopped_with_mail();
    for args in [
        ["inbox", "list", "--json"].as_slice(),
        &["inbox", "show", "bob", "--json"],
    ] {
        let output = broker.run_on_data(args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let stdout = text(&output.stdout);
        let values: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&stdout)
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("JSON");
        assert!(
            !values.is_empty() && stdout.contains("bob") | stdout.contains("alice"),
            "{stdout}"
        );
    }
}

#[test]
fn inbox_purge_empties_one_inbox() {
    // Goal: the mail of bob goes, that of carol stays, and how much went is told (rule 5).
    let mut broker = stopped_with_mail();
    let purge = broker.run_on_data(&["inbox", "purge", "bob", "--yes"]);
    assert_eq!(purge.status.code(), Some(0), "{}", text(&purge.stderr));
    assert!(text(&purge.stdout).contains('3'), "{}", text(&purge.stdout));
    broker.restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.expect_nothing();
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    assert_eq!(carol.texts(1), ["four"]);
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
