//! `inboxd backup` of a broker that runs. What a backup of one under load holds is tested in `crate::backup`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use inbox_tests::{
    Broker, RawClient, Running, Version, fails, inboxd_command, run_inboxd, stderr, succeeds, wait_until,
};

use super::url;

const BACKUP: &str = "GET /api/v1/backup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Mail that is more than fits between the broker and whoever does not read it.
fn with_much_mail() -> Broker {
    let broker = Broker::with_config("shutdown_timeout = \"1h\"\n[inbox]\nbytes_max = \"200MiB\"\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let payload = "x".repeat(250_000);
    for _ in 0..80 {
        alice.publish("bob", &payload, 1);
    }
    broker
}

/// Asks for a backup, and reads the beginning of it.
fn begin(broker: &Broker) -> TcpStream {
    let mut socket = broker.socket("http");
    socket.write_all(BACKUP.as_bytes()).unwrap();
    let mut head = [0; 15];
    socket.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    socket
}

#[test]
fn a_running_broker_is_backed_up() {
    // Goal: by its directory or by its address, to a file or a pipe, the backup is whole and private, the broker goes on, and the audit log has it.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "one", 1);
    let file = broker.data().with_file_name("mail.backup");
    let path = file.to_str().unwrap();
    let taken = broker.run_on_data(&["backup", path]);
    succeeds(&taken);
    assert!(stderr(&taken).contains("1 messages of 1 inboxes"));
    assert!(succeeds(&run_inboxd(&["restore", "--verify", path])).contains("is whole"));
    broker.wait_for_log("an operator takes a backup");
    fails(&broker.run_on_data(&["backup", path]), 1, &["--force"]);
    succeeds(&run_inboxd(&["backup", path, "--force", "--server", &url(&broker)]));
    let piped = broker.run_on_data(&["backup", "-"]);
    assert!(piped.status.success());
    let other = broker.data().with_file_name("piped.backup");
    fs::write(&other, &piped.stdout).unwrap();
    succeeds(&run_inboxd(&["restore", "--verify", other.to_str().unwrap()]));
    alice.publish("bob", "two", 1);
}

#[test]
fn one_backup_is_taken_at_a_time_and_ends_with_whoever_asked() {
    // Goal: a second one is told to wait; when whoever asked for the first goes away, the next one is taken; mail goes on meanwhile.
    let broker = with_much_mail();
    let slow = begin(&broker);
    fails(
        &broker.run_on_data(&["backup", "-"]),
        1,
        &["a backup is being taken already"],
    );
    RawClient::clean(&broker, Version::V5, "eve").publish("carol", "goes on", 1);
    drop(slow);
    broker.wait_for_log("a backup ended early");
    wait_until("the place is given back", || {
        broker.run_on_data(&["backup", "-"]).status.success()
    });
}

#[test]
fn a_backup_keeps_no_broker_from_ending() {
    // Goal: a client that does not read its backup holds up no shutdown, however long that may take, and nobody takes what it got for a whole
    // backup.
    let mut broker = with_much_mail();
    let mut slow = begin(&broker);
    assert_eq!(broker.terminate().code, Some(0));
    let mut rest = Vec::new();
    let _cut = slow.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_broker_that_dies_leaves_no_half_backup() {
    // Goal: when the broker goes away in the middle, the command fails and nothing is left; the file that was there before stays.
    let mut broker = with_much_mail();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mail.backup");
    fs::write(&file, "of yesterday").unwrap();
    // A pipe that is not read holds the command up in the middle.
    let mut command = inboxd_command();
    command.args(["backup", "-", "--server", &url(&broker)]);
    let mut piped = Running::piped(&mut command);
    let mut out = piped.stdout();
    broker.wait_for_log("an operator takes a backup");
    let mut first = [0; 1024];
    out.read_exact(&mut first).unwrap();
    let second = run_inboxd(&["backup", file.to_str().unwrap(), "--force", "--server", &url(&broker)]);
    fails(&second, 1, &["being taken already"]);
    broker.kill9();
    let rest = thread::spawn(move || out.read_to_end(&mut Vec::new()));
    let output = piped.output();
    rest.join().unwrap().unwrap();
    fails(&output, 1, &["did not finish its answer"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "of yesterday");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn room_for_mail_comes_before_a_backup() {
    // Goal: where the disk has less left than it should, the broker says so, the exit code is that of the store, and nothing half is left.
    let broker = Broker::with_config("[store]\ndisk_free_bytes_min = \"1024TiB\"\n");
    let file = broker.data().with_file_name("mail.backup");
    let output = broker.run_on_data(&["backup", file.to_str().unwrap()]);
    fails(&output, 74, &["refuses", "make room"]);
    assert!(!file.exists() && !file.with_file_name("mail.backup.partial").exists());
}
