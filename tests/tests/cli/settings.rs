//! Who somebody is: passwords, files, and what is said of them.

use std::fs;

use inbox_tests::{Broker, inboxd_command, run_fed};

use crate::people::{Person, ended};

#[test]
fn passwords_come_from_files_and_pipes_and_are_not_shown() {
    // Goal: the right one lets in, a wrong one is 77 with nothing sent, and no output holds either.
    let alice = Person::new("alice");
    let users = alice.home().join("users");
    let mut passwd = inboxd_command();
    assert!(
        run_fed(passwd.arg("passwd").arg(&users).arg("alice"), b"sesame\n")
            .status
            .success()
    );
    let config = format!("[auth]\npassword_file = {users:?}\n");
    let broker = Broker::with_config(&config);
    for (name, password) in [("right", "sesame\n"), ("wrong", "sesam\n")] {
        fs::write(alice.home().join(name), password).unwrap();
    }
    let send = |file: &str| alice.inbox(broker.port(), &["send", "alice", "x", "--password-file", file]);
    let (code, stdout, stderr) = ended(&send("wrong"));
    assert_eq!((code, stdout.as_str()), (Some(77), ""), "{stderr}");
    assert!(
        stderr.contains("--password-file") && !stderr.contains("sesam"),
        "{stderr}"
    );
    assert_eq!(ended(&send("right")).0, Some(0));
    let args = ["listen", "--count", "2", "--timeout", "1s", "--password-file", "-"];
    let (code, stdout, stderr) = ended(&alice.fed(broker.port(), &args, b"sesame\n"));
    assert_eq!((code, stdout.as_str()), (Some(75), "x\n"), "{stderr}");
    let (code, ..) = ended(&alice.fed(broker.port(), &["chat", "bob", "--password-file", "-"], b"sesame\n"));
    assert_eq!(code, Some(2));
    let url = format!("mqtt://alice:sesam@127.0.0.1:{}", broker.port());
    let (code, _, stderr) = ended(&alice.inbox(broker.port(), &["status", "--url", &url]));
    assert_eq!(code, Some(78));
    assert!(!stderr.contains("sesam"), "{stderr}");
}

#[test]
fn files_are_found_and_their_mistakes_are_named() {
    // Goal: the file at its usual place, and one that is named; an unknown key by name; a file that is missing.
    let broker = Broker::start();
    let person = Person::new("somebody else");
    let folder = person.home().join(".config/inbox");
    fs::create_dir_all(&folder).unwrap();
    let write = |text: &str| fs::write(folder.join("config.toml"), text).unwrap();
    let status = |args: &[&str]| {
        let mut command = person.command(broker.port(), &[&["status"], args].concat());
        ended(&inbox_tests::run(command.env_remove("INBOX_ID")))
    };
    assert_eq!(status(&[]).0, Some(78));
    write("id = \"alice\"\n");
    let (code, stdout, stderr) = status(&[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("client ID  alice\n"), "{stdout}");
    write("id = \"alice\"\nuserr = \"a\"\n");
    let (code, _, stderr) = status(&[]);
    assert_eq!(code, Some(78));
    assert!(stderr.contains("line 2: unknown field `userr`"), "{stderr}");
    let (code, _, stderr) = status(&["--config", "nowhere.toml"]);
    assert_eq!(code, Some(78));
    assert!(stderr.contains("nowhere.toml cannot be read"), "{stderr}");
}

#[test]
fn manual_pages_and_completions_are_made() {
    // Goal: a page for each command, and a script for each shell; neither needs to know who somebody is.
    let person = Person::new("alice");
    let made = person.inbox(1, &["man", "pages"]);
    assert_eq!(ended(&made).0, Some(0));
    for page in ["inbox.1", "inbox-send.1", "inbox-chat.1", "inbox-listen.1"] {
        assert!(person.home().join("pages").join(page).is_file(), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = ended(&person.inbox(1, &["completions", shell]));
        assert!(code == Some(0) && script.contains("timeout"), "{shell}");
    }
}
