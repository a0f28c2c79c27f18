//! The log: it ends nothing, blocks nothing, and shows what clients chose without obeying it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use inbox_tests::{AckKind, Broker, BrokerOptions, PublishPacket, RawClient, Running, Version, inboxd_command};
use rustix::process::Signal;

/// A broker whose standard error is what the test says.
struct Speechless {
    running: Running,
    port: u16,
    _data: tempfile::TempDir,
}

impl Speechless {
    fn start(mut command: Command, stderr: Stdio) -> Self {
        let data = tempfile::tempdir().unwrap();
        command
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data.path().join("data"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut running = Running::start(&mut command);
        let mut line = String::new();
        BufReader::new(running.stdout()).read_line(&mut line).unwrap();
        let port = line
            .trim()
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap_or_else(|_| panic!("{line:?}"));
        Speechless {
            running,
            port,
            _data: data,
        }
    }

    /// A refused publish and an accepted one on the same connection.
    fn serves(&self, id: &str) {
        let mut client = RawClient::open_port(self.port, Version::V5);
        client.send(&inbox_tests::Connect::new(Version::V5, id).encode());
        client.connack();
        let refused = client.publish_packet(PublishPacket::new("$x/y", "1", 1, 1)).unwrap();
        assert_eq!((refused.kind, refused.reason), (AckKind::PubAck, 0x90));
        client.publish("bob", "2", 1);
        client.disconnect();
    }

    /// SIGTERM ends it with 0, and in time.
    fn ends(mut self) {
        self.running.signal(Signal::TERM);
        let status = self.running.wait();
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

/// `inboxd` behind a shell that changes its standard error first.
fn through_shell(redirection: &str) -> Command {
    let inboxd = inboxd_command();
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")])
        .arg(inboxd.get_program());
    command.env_remove("RUST_LOG");
    command
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    // Goal: standard error closed, a pipe without a reader, a full disk: records are lost and nothing else.
    let closed = Speechless::start(through_shell("2>&-"), Stdio::null());
    closed.serves("closed");
    closed.ends();

    let (reader, writer) = std::io::pipe().unwrap();
    let dead = Speechless::start(inboxd_command(), writer.into());
    drop(reader);
    dead.serves("dead");
    dead.ends();

    let full = File::options().write(true).open("/dev/full").unwrap();
    let full = Speechless::start(inboxd_command(), full.into());
    full.serves("full");
    full.ends();
}

#[test]
fn a_log_whose_reader_is_stuck_blocks_nobody() {
    // Goal: far more records than pipe and buffer hold, and nobody reads: clients are served, and SIGTERM ends the broker. The
    // limiter would hide the flood, so records of level trace make it.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = inboxd_command();
    command.env("RUST_LOG", "trace");
    let stuck = Speechless::start(command, writer.into());
    for round in 0..300 {
        stuck.serves(&format!("client-{round}-{}", "x".repeat(900)));
    }
    stuck.ends();
    drop(reader);
}

#[test]
fn a_failed_start_is_told_by_its_exit_code_whatever_standard_error_is() {
    // Goal: the last sentence cannot be written, and must neither panic (101) nor hang.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = inboxd_command()
        .args(["check-config", "--config", "/no/such/file"])
        .stderr(full)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(78));
}

#[test]
fn answers_to_a_reader_that_went_away_are_no_error() {
    // Goal: `inboxd inbox list | head -1` and its siblings end with 0 and without a panic.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for inbox in 0..50 {
        alice.publish(&format!("inbox-{inbox}"), "x", 1);
    }
    assert_eq!(broker.terminate().code, Some(0));
    let data = broker.data();
    let data = data.to_str().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (mosquitto, imported, saved) = (path("mosquitto.conf"), path("inboxd.toml"), path("saved"));
    std::fs::write(&mosquitto, "listener 1884\nallow_anonymous true\n").unwrap();
    let running = Broker::with_config("[http]\nlisten = \"127.0.0.1:0\"\n");
    let url = format!("http://127.0.0.1:{}", running.port_of("http"));
    for args in [
        ["inbox", "list", "--data", data].as_slice(),
        &["inbox", "show", "inbox-1", "--json", "--data", data],
        &["inbox", "list", "--server", &url],
        &["health", "--server", &url],
        &["import-config", &mosquitto, "--out", &imported],
        &["backup", &saved, "--data", data],
        &["restore", "--verify", &saved],
        &["acl", "test", "alice", "alice", "publish", "bob"],
        &["print-config"],
        &["check-config", "--listen", "127.0.0.1:0"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = inboxd_command()
            .args(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
}

#[test]
fn what_a_client_chose_cannot_forge_a_record() {
    // Goal: one record is one line, and nothing steers a terminal, in either format, for client IDs, topics and filters.
    let chosen = "eve\n2026-01-01T00:00:00.000000Z ERROR inboxd: FATAL \u{1b}[2J\u{9b}2J\u{202e}\u{2066}";
    for format in ["pretty", "json"] {
        let mut broker = Broker::start_with(BrokerOptions {
            args: vec!["--log-format".into(), format.into()],
            env: vec![("RUST_LOG".into(), "debug".into())],
            ..BrokerOptions::default()
        });
        let mut eve = RawClient::clean(&broker, Version::V5, chosen);
        eve.publish_packet(PublishPacket::new(format!("${chosen}"), "1", 1, 1));
        eve.subscribe(chosen.trim_end_matches('\u{2066}'), 1);
        eve.subscribe(&format!("$x/{chosen}"), 1);
        eve.vanish();
        let mut five = RawClient::open(&broker, Version::V5);
        let will = inbox_tests::Will::new(&format!("${chosen}"), "gone");
        five.send(
            &inbox_tests::Connect::new(Version::V5, &format!("{chosen}2"))
                .will(will)
                .encode(),
        );
        five.vanish();
        broker.wait_for_log("eve");
        let exit = broker.terminate();
        assert!(exit.stderr.contains("eve"), "{}", exit.stderr);
        for line in exit.stderr.lines() {
            assert!(!line.starts_with("2026-01-01T00:00:00.000000Z"), "forged: {line}");
            assert!(
                !line.chars().any(char::is_control) && !line.contains(['\u{202e}', '\u{2066}']),
                "{line:?}"
            );
            if format == "json" {
                let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                assert!(value["message"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn debug_shows_inboxd_and_not_its_engines() {
    // Goal: whoever asks for debug asks what the broker does.
    for engine in ["sled", "fjall"] {
        let mut broker = Broker::start_with(BrokerOptions {
            args: vec!["--verbose".into(), "--log-format".into(), "json".into()],
            config: Some(format!("[store]\nengine = \"{engine}\"\n")),
            ..BrokerOptions::default()
        });
        RawClient::clean(&broker, Version::V5, "alice").publish("bob", "x", 1);
        let exit = broker.terminate();
        assert!(exit.stderr.contains("DEBUG"), "{}", exit.stderr);
        for line in exit.stderr.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let target = value["target"].as_str().unwrap();
            let foreign = ["sled", "fjall", "lsm_tree", "rumqttd", "tokio", "mio"];
            assert!(!foreign.iter().any(|name| target.starts_with(name)), "{line}");
        }
    }
}

#[test]
fn a_start_is_logged() {
    // Goal: the first question of everybody who reads a log: which version, where it listens, on which data, on which engine.
    let broker = Broker::start();
    broker.wait_for_log("the broker is ready");
    let log = broker.stderr();
    let port = format!("127.0.0.1:{}", broker.port());
    for word in ["version=", &port, "engine=sled", broker.data().to_str().unwrap()] {
        assert!(log.contains(word), "{word:?} is missing in {log}");
    }
}
