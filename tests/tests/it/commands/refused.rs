//! Brokers that cannot be asked, do not let a command in, or go away in the middle.

use std::fs;

use inbox_tests::{Answer, Broker, ClosedPort, HttpService, RawClient, Version, fails, run_inboxd, succeeds};

use super::url;

/// Every command that asks a broker, without the options that say which.
const COMMANDS: [&[&str]; 7] = [
    &["inbox", "list"],
    &["inbox", "show", "bob"],
    &["inbox", "export", "bob"],
    &["inbox", "purge", "bob", "--yes"],
    &["inbox", "erase", "bob", "--yes"],
    &["backup", "-"],
    &["trace", "--to", "bob", "--seconds", "1"],
];

fn at(url: &str, command: &[&str], more: &[&str]) -> std::process::Output {
    run_inboxd(&[command, &["--server", url], more].concat())
}

#[test]
fn a_token_is_shown_to_another_broker() {
    // Goal: with the token of http.token_file a broker elsewhere is asked like the own one; without it, or with a wrong one, nothing is told or
    // removed, and the exit code is that of what is not permitted. No token is shown in a message.
    let directory = tempfile::tempdir().unwrap();
    let (token, wrong) = (directory.path().join("token"), directory.path().join("wrong"));
    fs::write(&token, "the-token-of-the-operator\n").unwrap();
    fs::write(&wrong, "another-token-that-is-wrong\n").unwrap();
    let broker = Broker::with_config(&format!("[http]\ntoken_file = {token:?}\n"));
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "one", 1);
    let url = url(&broker);
    let (token, wrong) = (token.to_str().unwrap(), wrong.to_str().unwrap());
    for command in COMMANDS {
        for more in [&[][..], &["--token-file", wrong]] {
            let output = at(&url, command, more);
            fails(&output, 77, &["refuses"]);
            assert!(output.stdout.is_empty(), "{command:?}");
            assert!(!String::from_utf8_lossy(&output.stderr).contains("that-is-wrong"));
        }
    }
    let shown = succeeds(&at(&url, &["inbox", "show", "bob"], &["--token-file", token]));
    assert!(shown.contains("payload=\"one\""), "{shown}");
    let missing = at(&url, &["inbox", "list"], &["--token-file", "/nowhere/token"]);
    fails(&missing, 1, &["/nowhere/token"]);
    // On this machine no token is needed: the run file has one.
    assert!(succeeds(&broker.run_on_data(&["inbox", "list"])).contains("bob"));
}

#[test]
fn a_broker_that_cannot_be_asked_is_told_as_such() {
    // Goal: where HTTP or the API is off, and where the run file is of a run that crashed, the directory is in use (75), with a sentence that says
    // what to turn on; inboxes and backups say the same.
    let off = Broker::with_config("[http]\nlisten = \"off\"\n");
    let no_api = Broker::with_config("[http]\nlisten = \"127.0.0.1:0\"\napi = \"off\"\n");
    let stale = Broker::with_config("[http]\nlisten = \"off\"\n");
    let closed = ClosedPort::new();
    let nobody = closed.url();
    let file = format!("{{\"url\":\"{nobody}\",\"api_url\":\"{nobody}\",\"token\":\"x\"}}");
    fs::write(stale.data().join("running.json"), file).unwrap();
    for command in &COMMANDS[..6] {
        fails(&off.run_on_data(command), 75, &["http.listen"]);
        fails(&no_api.run_on_data(command), 75, &["http.api"]);
        fails(&stale.run_on_data(command), 75, &["nobody answers", &nobody]);
    }
    fails(&off.run_on_data(COMMANDS[6]), 1, &["there is no running.json"]);
    fails(&no_api.run_on_data(COMMANDS[6]), 75, &["http.api"]);
}

#[test]
fn servers_that_are_none_are_told_from_brokers() {
    // Goal: nobody, something else, nonsense, and answers that are cut off are failures with a sentence, for every command; nothing half is left.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mail.backup");
    let backup = ["backup", file.to_str().unwrap()];
    let closed = ClosedPort::new();
    for command in COMMANDS.iter().chain([&backup[..]].iter()) {
        fails(&at(&closed.url(), command, &[]), 1, &["no broker answers"]);
        fails(&at("ftp://x", command, &[]), 1, &["is not the URL of a broker"]);
        fails(
            &at("https://127.0.0.1:1", command, &[]),
            1,
            &["is not the URL of a broker"],
        );
    }
    let answers: [(Answer, &str); 6] = [
        (Answer::Bytes(b"SSH-2.0-x\r\n".to_vec()), "is not HTTP"),
        (Answer::Bytes(Vec::new()), "is not HTTP"),
        (
            Answer::Says("404 Not Found", "text/html", b"<p>no".to_vec()),
            "is not inboxd",
        ),
        (
            Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec()),
            "did not finish",
        ),
        (
            Answer::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ninbox".to_vec()),
            "did not finish",
        ),
        (
            Answer::Says(
                "500 Internal Server Error",
                "application/json",
                br#"{"ok":false,"error":{"code":"failed","message":"disk on \u001b[31m fire"}}"#.to_vec(),
            ),
            "fire",
        ),
    ];
    for (answer, sentence) in answers {
        let code = if sentence == "fire" { 74 } else { 1 };
        let service = HttpService::start(move |_| answer.clone());
        let url = service.url("");
        for command in COMMANDS.iter().chain([&backup[..]].iter()) {
            let output = at(&url, command, &[]);
            fails(&output, code, &[sentence]);
            assert!(!output.stderr.contains(&0x1b), "{command:?}");
        }
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
