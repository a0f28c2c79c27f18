//! Configuration: what is refused and how it is told, and what is shown of it.

use std::fs;
use std::path::Path;

use inbox_tests::{inboxd_command, run, run_inboxd, succeeds};

use super::{fails, serve, text};

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
