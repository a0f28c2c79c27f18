//! The audit log: who came in, who was refused and why, what operators did (docs/security.md, "Audit log").

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use inbox_tests::{Broker, BrokerOptions, Connect, DEADLINE, RawClient, Version, run_inboxd, wait_for, wait_within};
use rustix::process::Signal;
use serde_json::Value;

use crate::authentication::{SECRET, answer, auth, connect_by_token, passwd, token};

/// Waits until the audit file has `wanted` records of this event, and gives them.
fn records(file: &Path, event: &str, wanted: usize) -> Vec<Value> {
    wait_for(&format!("{wanted} records of {event:?} in the audit file"), || {
        let text = fs::read_to_string(file).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let all = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found: Vec<Value> = all.filter(|record| record["event"] == event).collect();
        (found.len() >= wanted).then_some(found)
    })
}

/// A broker that takes alice's and bob's passwords and tokens, and has a file for its audit log.
fn broker(directory: &Path) -> (Broker, std::path::PathBuf) {
    let (users, secret, audit) = (
        directory.join("users"),
        directory.join("secret"),
        directory.join("audit"),
    );
    assert!(
        passwd(&users, &["alice", "--role", "ops"], "alice's\n")
            .status
            .success()
    );
    assert!(passwd(&users, &["bob"], "bob's\n").status.success());
    fs::write(&secret, SECRET).unwrap();
    let config = format!(
        "[auth]\npassword_file = {users:?}\n[auth.jwt]\nsecret_file = {secret:?}\naudience = \"inboxd\"\nleeway = \"0s\"\n\
         [log]\naudit_file = {audit:?}\n"
    );
    (Broker::with_config(&config), audit)
}

#[test]
fn who_came_in_and_who_did_not_is_in_a_file_of_its_own() {
    // Goal: logins with user, roles, way, address and listener; refusals with what the client claimed and why; takeovers, fresh tokens,
    // ended tokens and denials; no secret; one JSON object per line, for the owner alone, and not on standard error.
    let directory = tempfile::tempdir().unwrap();
    let (mut broker, audit) = broker(directory.path());
    assert_eq!(fs::metadata(&audit).unwrap().permissions().mode() & 0o777, 0o600);
    let login = Connect::new(Version::V5, "alice~phone").login("alice", "alice's");
    let mut alice = RawClient::connect(&broker, &login).0;
    assert_eq!(alice.subscribe("bob", 1).codes, [0x87]);
    let again = RawClient::connect(&broker, &login).0;
    for (id, user, password, code) in [
        ("alice\n\u{202e}", "alice", "hush hush", 0x86),
        ("bob", "alice", "alice's", 0x87),
    ] {
        assert_eq!(
            answer(&broker, &Connect::new(Version::V5, id).login(user, password)),
            code
        );
    }
    let mut bob = RawClient::connect(&broker, &connect_by_token("bob", &token(SECRET, "bob", 60))).0;
    bob.send(&auth(0x19, "token", &token(SECRET, "bob", 5)));
    bob.next();
    bob.expect_disconnect(&[0xA0]);

    let logins = records(&audit, "login", 3);
    for (login, client, user, how) in [
        (&logins[0], "alice~phone", "alice", "password"),
        (&logins[2], "bob", "bob", "token"),
    ] {
        assert_eq!(
            [&login["client"], &login["user"], &login["how"]],
            [client, user, how],
            "{login}"
        );
        assert_eq!(
            (login["listener"].as_str(), login["target"].as_str()),
            (Some("mqtt"), Some("audit"))
        );
        assert!(login["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{login}");
    }
    assert_eq!(
        (&logins[0]["roles"], &logins[2]["roles"]),
        (&"ops".into(), &Value::Null)
    );
    let refused = records(&audit, "refused", 2);
    assert_eq!(
        refused[0]["client"], "alice\n\u{202e}",
        "JSON keeps what the client chose"
    );
    for (refused, cause) in refused.iter().zip(["connect_credentials", "connect_not_authorized"]) {
        assert_eq!(
            (&refused["user"], &refused["cause"]),
            (&"alice".into(), &cause.into()),
            "{refused}"
        );
        assert!(refused["why"].as_str().is_some_and(|why| !why.is_empty()), "{refused}");
    }
    let denied = &records(&audit, "denied", 1)[0];
    assert_eq!(
        (&denied["client"], &denied["topic"]),
        (&"alice~phone".into(), &"bob".into())
    );
    assert_eq!(records(&audit, "taken_over", 1)[0]["user"], "alice");
    assert_eq!(records(&audit, "renewed", 1)[0]["client"], "bob");
    assert_eq!(records(&audit, "ended", 1)[0]["cause"], "credentials_expired");
    drop((again, bob));

    let exit = broker.terminate();
    let (start, stop) = (records(&audit, "start", 1), records(&audit, "stop", 1));
    assert!(
        start[0]["listeners"].as_str().unwrap().contains(" mqtt=127.0.0.1:"),
        "{start:?}"
    );
    assert_eq!((start.len(), stop.len(), &stop[0]["why"]), (1, 1, &Value::Null));
    let text = fs::read_to_string(&audit).unwrap();
    assert!(
        text.lines().last().unwrap().contains("\"stop\""),
        "it ends with the end"
    );
    for secret in ["hush hush", "alice's", "eyJ", "\u{202e}"] {
        assert!(!text.contains(secret), "{secret:?} is in {text}");
    }
    assert!(
        !exit.stderr.contains("audit:") && !exit.stderr.contains("hush hush"),
        "{}",
        exit.stderr
    );
}

#[test]
fn reloads_are_told_and_the_file_is_opened_again() {
    // Goal: after SIGHUP records go to a new file under the old name, as log rotation wants; each part says what became of it; a file
    // that cannot be opened changes nothing.
    let directory = tempfile::tempdir().unwrap();
    let (mut broker, audit) = broker(directory.path());
    records(&audit, "start", 1);
    let moved = directory.path().join("audit.1");
    fs::rename(&audit, &moved).unwrap();
    fs::write(directory.path().join("users"), "no user\n").unwrap();
    broker.signal(Signal::HUP);
    let reloads = records(&audit, "reload", 3);
    let part = |name: &str| reloads.iter().find(|reload| reload["part"] == name).unwrap();
    assert_eq!(
        (&part("audit log")["outcome"], &part("password file")["outcome"]),
        (&"reloaded".into(), &"kept".into())
    );
    assert!(
        part("password file")["why"].as_str().unwrap().contains("line 1"),
        "{reloads:?}"
    );
    assert_eq!(records(&moved, "start", 1).len(), 1);

    fs::rename(&audit, &moved).unwrap();
    fs::create_dir(&audit).unwrap();
    broker.signal(Signal::HUP);
    let kept = records(&moved, "reload", 6);
    assert!(
        kept.iter()
            .any(|reload| reload["part"] == "audit log" && reload["outcome"] == "kept"),
        "{kept:?}"
    );
    assert_eq!(broker.terminate().code, Some(0));
    records(&moved, "stop", 1);
}

#[test]
fn without_a_file_it_is_part_of_the_log_and_can_be_silenced() {
    // Goal: records of the target `audit` are on standard error by default, escaped; a directive turns them off, or on beside a file.
    let directory = tempfile::tempdir().unwrap();
    let file = format!("audit_file = {:?}\n", directory.path().join("audit"));
    for (log, is_told) in [
        (String::new(), true),
        ("level = \"info,audit=off\"\n".to_owned(), false),
        (file.clone(), false),
        (format!("level = \"warn,audit=info\"\n{file}"), true),
    ] {
        let mut broker = Broker::with_config(&format!("[log]\n{log}"));
        RawClient::clean(&broker, Version::V5, "eve\nevent=login").disconnect();
        let stderr = broker.terminate().stderr;
        let told =
            "audit: a client logged in event=login client=\"eve\\nevent=login\" how=anonymous address=127.0.0.1:";
        assert_eq!(stderr.contains(told), is_told, "{log}: {stderr}");
    }
}

#[test]
fn a_purge_is_told_by_the_command_that_makes_it() {
    // Goal: `inboxd inbox purge` writes to the same file; a look writes nothing; where the file cannot be written to, nothing is purged.
    let directory = tempfile::tempdir().unwrap();
    let (mut broker, audit) = broker(directory.path());
    let login = Connect::new(Version::V5, "alice").login("alice", "alice's");
    RawClient::connect(&broker, &login).0.publish("bob", "x", 1);
    broker.terminate();
    let data = broker.data();
    let config = data.with_file_name("inboxd.toml");
    let [config, data] = [&config, &data].map(|path| path.to_str().unwrap());
    let inbox = |args: &[&str]| run_inboxd(&[&["inbox"], args, &["--config", config, "--data", data]].concat());
    fs::rename(&audit, directory.path().join("audit.1")).unwrap();
    assert!(inbox(&["list"]).status.success() && !audit.exists());
    fs::create_dir(&audit).unwrap();
    let refused = inbox(&["purge", "bob", "--yes"]);
    assert_eq!(refused.status.code(), Some(77));
    assert!(String::from_utf8_lossy(&inbox(&["list"]).stdout).contains("bob"));
    fs::remove_dir(&audit).unwrap();
    assert!(inbox(&["purge", "bob", "--yes"]).status.success());
    let purge = &records(&audit, "purge", 1)[0];
    assert_eq!(
        (&purge["inbox"], &purge["messages"], &purge["complete"]),
        (&"bob".into(), &1.into(), &true.into())
    );
    assert!(purge["uid"].is_u64(), "{purge}");
}

#[test]
fn a_file_that_cannot_be_opened_keeps_the_broker_from_starting() {
    // Goal: exit code 77 and a sentence that names the key, from the start and from check-config, which makes no file.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let config = path.join("inboxd.toml");
    let run = |audit: &Path| {
        fs::write(&config, format!("[log]\naudit_file = {audit:?}\n")).unwrap();
        let (data, config) = (path.join("data"), config.to_str().unwrap());
        let args = [
            "--config",
            config,
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().unwrap(),
        ];
        ["check-config", "serve"].map(|command| {
            let output = run_inboxd(&[&[command], &args[..]].concat());
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        })
    };
    for (code, stderr) in run(&path.join("none/audit")) {
        assert_eq!(code, Some(77), "{stderr}");
        assert!(
            stderr.contains("none/audit") && stderr.contains("log.audit_file"),
            "{stderr}"
        );
    }
    let audit = path.join("audit");
    fs::write(&config, format!("[log]\naudit_file = {audit:?}\n")).unwrap();
    assert!(
        run_inboxd(&["check-config", "--config", config.to_str().unwrap()])
            .status
            .success()
    );
    assert!(!audit.exists());
}

#[test]
fn a_storm_of_refusals_fills_no_disk_and_hides_no_login() {
    // Goal: far more refusals than are written: their number is told, and a login in their midst is there.
    let directory = tempfile::tempdir().unwrap();
    let audit = directory.path().join("audit");
    let mut broker = Broker::with_config(&format!("[log]\naudit_file = {audit:?}\n"));
    for n in 0..600 {
        if n == 300 {
            RawClient::clean(&broker, Version::V5, "bob").disconnect();
        }
        // The first packet is PINGREQ.
        let mut stranger = RawClient::open(&broker, Version::V5);
        stranger.send(&[0xC0, 0]);
        stranger.expect_close();
    }
    assert_eq!(records(&audit, "login", 1)[0]["client"], "bob");
    assert_eq!(broker.terminate().code, Some(0));
    let (refused, rest) = (records(&audit, "refused", 1), records(&audit, "left_out", 0));
    assert!(refused.len() < 20, "{}", refused.len());
    let left_out = |record: &Value| record["left_out"].as_u64().unwrap_or(0);
    let all = refused.len() as u64 + refused.iter().chain(&rest).map(left_out).sum::<u64>();
    assert_eq!(all, 600);
}

#[test]
fn a_disk_that_takes_nothing_loses_records_and_not_the_broker() {
    // Goal: with a full disk clients are served, the loss is counted in $SYS and told in the log.
    let options = BrokerOptions {
        config: Some("[log]\naudit_file = \"/dev/full\"\n".to_owned()),
        ..BrokerOptions::default()
    };
    let mut broker = Broker::start_with(options);
    let mut client = RawClient::clean(&broker, Version::V5, "bob");
    client.subscribe("$SYS/inboxd/metrics", 0);
    // They come every ten seconds.
    wait_within(3 * DEADLINE, "lost records are counted", || {
        let metrics: Value = serde_json::from_slice(&client.receive().payload).unwrap();
        metrics["audit_records_lost"].as_u64().unwrap() >= 2
    });
    broker.wait_for_log("records of the audit log were lost");
    let exit = broker.terminate();
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
}
