//! Tests of loading: layers and refusals.

mod every_key;
mod listeners;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// Loads with a file of this text (none where empty), these variables, these flags. The file is called `inboxd.toml`.
fn load_with(text: &str, variables: &[(&str, &str)], overrides: &Overrides) -> Result<Config, ConfigError> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("inboxd.toml");
    fs::write(&path, text).unwrap();
    let environment = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::load((!text.is_empty()).then_some(path.as_path()), environment, overrides)
}

fn load(text: &str) -> Result<Config, ConfigError> {
    load_with(text, &[], &Overrides::default())
}

fn load_env(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_with("", variables, &Overrides::default())
}

/// The message of a refusal, after checking that it is one line.
fn refusal(outcome: Result<Config, ConfigError>) -> String {
    let message = outcome.expect_err("this must be refused").to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// Asserts that the refusal of `outcome` holds all `words`.
fn assert_says(outcome: Result<Config, ConfigError>, words: &[&str]) {
    let message = refusal(outcome);
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn a_memory_budget_that_the_cache_uses_up_is_refused() {
    // Goal: a budget without room for clients is no valid configuration, and the message names both keys.
    let refused = load("[memory]\nbudget = \"128MiB\"\n[store]\ncache_bytes = \"100MiB\"\n");
    assert_says(
        refused,
        &[
            "memory.budget = 128MiB",
            "at least 64MiB more than",
            "store.cache_bytes = 100MiB",
        ],
    );
    assert!(load("[memory]\nbudget = \"164MiB\"\n[store]\ncache_bytes = \"100MiB\"\n").is_ok());
}

#[test]
fn nothing_set_gives_the_defaults() {
    // Goal: no file and no variables is a valid start (issue: `cargo run --release` works in a fresh directory).
    assert_eq!(load("").unwrap(), Config::default());
    assert_eq!(load("[mqtt]\n[inbox]\n").unwrap(), Config::default());
    let config = Config::default();
    let shares = config.memory_shares();
    let limits = Limits {
        // These depend on the machine.
        memory_bytes_max: shares.clients,
        uncommitted_bytes_max: shares.uncommitted,
        ..Limits::default()
    };
    assert_eq!(config.limits(), limits);
    assert_eq!(Config::default().packet_bytes_max(), 1024 * 1024 + 128 * 1024);
}

#[test]
fn later_layers_win_key_by_key() {
    // Goal: defaults, then file, then environment, then flags; a layer changes only the keys that it names.
    let file = "[mqtt]\nlisten = \"127.0.0.1:1\"\nin_flight_max = 1\ntopic_alias_max = 1\n[log]\nformat = \"json\"\n";
    let environment = [
        ("INBOXD_MQTT__LISTEN", "127.0.0.1:2"),
        ("INBOXD_MQTT__IN_FLIGHT_MAX", "2"),
        ("PATH", "/bin"),
    ];
    let flags = Overrides {
        data_dir: Some(PathBuf::from("flagged")),
        listen: Some("127.0.0.1:3".to_owned()),
        log_format: Some(LogFormat::Pretty),
        ..Overrides::default()
    };
    let config = load_with(file, &environment, &flags).unwrap();
    assert_eq!(
        (
            config.listener.listen.port(),
            config.mqtt.in_flight_max,
            config.mqtt.topic_alias_max
        ),
        (3, 2, 1)
    );
    assert_eq!(
        (config.data_dir.as_path(), config.log.format),
        (Path::new("flagged"), LogFormat::Pretty)
    );
    assert_eq!(
        config.listener.connections_max,
        Config::default().listener.connections_max
    );
}

#[test]
fn the_environment_is_read_as_text_of_any_kind() {
    // Goal: numbers, truth values, sizes and empty text can be set by variables, which have no types.
    let config = load_env(&[
        ("INBOXD_MQTT__ALLOW_ANONYMOUS", "true"),
        ("INBOXD_MQTT__LISTEN", "0.0.0.0:0"),
        ("INBOXD_MQTT__MESSAGE_BYTES_MAX", "4096"),
        ("INBOXD_INBOX__PREFIX", ""),
        ("INBOXD_DATA_DIR", "123"),
    ])
    .unwrap();
    assert!(config.listener.allow_anonymous && config.inbox.prefix.is_empty());
    assert_eq!(
        (config.mqtt.message_bytes_max, config.data_dir.as_path()),
        (4096, Path::new("123"))
    );
}

#[test]
fn an_unknown_key_names_its_source_and_the_nearest_key() {
    // Goal: a slip of the pen is an error that shows what was meant, in the spelling of the layer it is in.
    let cases = [
        (
            "[mqtt]\nlissten = \"127.0.0.1:1\"\n",
            "\"mqtt.lissten\"",
            "the nearest is mqtt.listen",
        ),
        (
            "[mqtt]\nmax_in_flight = 1\n",
            "\"mqtt.max_in_flight\"",
            "mqtt.in_flight_max",
        ),
        (
            "[mqqt]\nlisten = \"127.0.0.1:1\"\n",
            "\"mqqt.listen\"",
            "the nearest is mqtt.listen",
        ),
        ("listen = \"127.0.0.1:1\"\n", "\"listen\"", "the nearest is mqtt.listen"),
        (
            "[mqtt]\nListen = \"127.0.0.1:1\"\n",
            "\"mqtt.Listen\"",
            "the nearest is mqtt.listen",
        ),
        (
            "[mqtt.listen]\nport = 1\n",
            "\"mqtt.listen.port\"",
            "the nearest is mqtt.listen",
        ),
        (
            "\"mqtt.listen\" = \"127.0.0.1:1\"\n",
            "mqtt.listen",
            "the nearest is mqtt.listen",
        ),
        ("mqtt = 1\n", "\"mqtt\"", "mqtt is a section"),
        ("[[mqtt]]\n", "\"mqtt\"", "mqtt is a section"),
        ("[rooter]\n", "\"rooter\"", "the nearest is"),
    ];
    for (text, key, hint) in cases {
        assert_says(load(text), &["inboxd.toml: there is no key", key, hint]);
    }
    let cases = [
        ("INBOXD_MQTT__LISSTEN", "the nearest is INBOXD_MQTT__LISTEN"),
        ("INBOXD_MQTT_LISTEN", "the nearest is INBOXD_MQTT__LISTEN"),
        ("INBOXD_LISTEN", "the nearest is INBOXD_MQTT__LISTEN"),
        ("INBOXD_mqtt__listen", "capitals: INBOXD_MQTT__LISTEN"),
        ("INBOXD_MQTT", "mqtt is a section"),
    ];
    for (name, hint) in cases {
        assert_says(
            load_env(&[(name, "127.0.0.1:1")]),
            &[&format!("environment variable {name}:"), hint],
        );
    }
    assert!(load_env(&[("INBOXDX", "1"), ("inboxd_listen", "1"), ("XINBOXD_LISTEN", "1")]).is_ok());
}

#[test]
fn a_wrong_value_names_key_value_source_and_what_is_allowed() {
    // Goal: one sentence tells the operator what to write instead.
    let cases: &[(&str, &[&str])] = &[
        (
            "[mqtt]\nin_flight_max = 0\n",
            &["mqtt.in_flight_max = 0", "a whole number from 1 to 65535"],
        ),
        (
            "[mqtt]\nin_flight_max = -1\n",
            &["= -1", "a whole number from 1 to 65535"],
        ),
        ("[mqtt]\nin_flight_max = \"5\"\n", &["= \"5\"", "a whole number"]),
        ("[mqtt]\nin_flight_max = 1.5\n", &["= 1.5", "a whole number"]),
        ("[mqtt]\nin_flight_max = [1]\n", &["= […]", "a whole number"]),
        (
            "[mqtt]\nallow_anonymous = 1\n",
            &["mqtt.allow_anonymous = 1", "true or false"],
        ),
        ("[mqtt]\nallow_anonymous = \"true\"\n", &["true or false"]),
        (
            "shutdown_timeout = 10\n",
            &[
                "shutdown_timeout = 10",
                "needs its unit",
                "write \"10s\" if you mean seconds",
            ],
        ),
        (
            "shutdown_timeout = \"10\"\n",
            &["one whole number and one unit", "\"100ms\" to \"1h\""],
        ),
        ("shutdown_timeout = \"2h\"\n", &["= \"2h\"", "from \"100ms\" to \"1h\""]),
        ("[mqtt]\nsession_expiry_max = \"1500ms\"\n", &["whole seconds"]),
        ("[mqtt]\nkeep_alive_max = \"20h\"\n", &["\"0s\" means none"]),
        (
            "[mqtt]\nmessage_bytes_max = \"1MB\"\n",
            &["= \"1MB\"", "from 1B to 255MiB", "KiB, MiB"],
        ),
        (
            "[mqtt]\nlisten = \"no-such-host.invalid:1883\"\n",
            &["= \"no-such-host.invalid:1883\"", "cannot be resolved", "IP address"],
        ),
        ("[mqtt]\nlisten = \"1883\"\n", &["= \"1883\"", "localhost:1883"]),
        ("[mqtt]\nlisten = \":1883\"\n", &["= \":1883\"", "localhost:1883"]),
        (
            "[mqtt]\nlisten = \"localhost:70000\"\n",
            &["= \"localhost:70000\"", "127.0.0.1:1883", "host name"],
        ),
        ("[mqtt]\nlisten = 1883\n", &["= 1883", "IP address or a host name"]),
        ("data_dir = \"\"\n", &["data_dir = \"\"", "path of a directory"]),
        (
            "[inbox]\nwhen_full = \"drop\"\n",
            &["= \"drop\"", "\"refuse\" or \"drop-oldest\""],
        ),
        ("[store]\nengine = \"fjal\"\n", &["= \"fjal\"", "\"sled\" or \"fjall\""]),
        ("[quota]\npublishes_per_second = -1\n", &["= -1", "from 0 to 10000000"]),
        ("[quota]\nrole = 5\n", &["[[quota.role]]"]),
        ("[[quota.role]]\npublishes_per_second = 5\n", &["no name"]),
        (
            "[[quota.role]]\nname = \"guest\"\npublish_per_second = 5\n",
            &["no key \"publish_per_second\"", "\"guest\"", "publishes_per_second"],
        ),
        (
            "[[quota.role]]\nname = \"guest\"\npublish_bytes_per_second = \"fast\"\n",
            &["publish_bytes_per_second of \"guest\"", "it is a size"],
        ),
        (
            "[[quota.role]]\nname = \"guest\"\n[[quota.role]]\nname = \"guest\"\n",
            &["two of them", "\"guest\""],
        ),
        ("[log]\nformat = \"xml\"\n", &["\"pretty\" or \"json\""]),
        (
            "[log]\nlevel = \"debgu\"\n",
            &["= \"debgu\"", "error, warn, info, debug, trace"],
        ),
        ("[log]\nlevel = \"\"\n", &["it is empty"]),
    ];
    for (text, words) in cases {
        assert_says(load(text), &[&["inboxd.toml: ", "cannot be used"], *words].concat());
    }
    assert_says(
        load_env(&[("INBOXD_SHUTDOWN_TIMEOUT", "10")]),
        &["INBOXD_SHUTDOWN_TIMEOUT", "write \"10s\""],
    );
}

#[test]
fn an_inbox_prefix_is_whole_topic_levels() {
    // Goal: contract rule 1: empty, or levels that end with '/', no wildcards, not among the broker's own topics.
    for good in ["", "inbox/", "a/b/", "in box/", "größe/", "a$/"] {
        assert_eq!(load_env(&[("INBOXD_INBOX__PREFIX", good)]).unwrap().inbox.prefix, good);
    }
    for (bad, why) in [
        ("inbox", "end with '/'"),
        ("/", "empty level"),
        ("/inbox/", "empty level"),
        ("a//b/", "empty level"),
        ("$SYS/", "'$'"),
        ("+/", "'+'"),
        ("a#/", "'#'"),
    ] {
        assert_says(load_env(&[("INBOXD_INBOX__PREFIX", bad)]), &["inbox.prefix", why]);
    }
    assert_says(
        load_env(&[("INBOXD_INBOX__PREFIX", &format!("{}/", "x".repeat(1024)))]),
        &["at most 1024 bytes"],
    );
}

#[test]
fn only_loopback_is_listened_on_unless_anonymous_clients_are_meant() {
    // Goal: nobody opens every inbox to the network by accident; the refusal says both ways out.
    for local in ["127.0.0.1:1883", "127.8.8.8:0", "[::1]:1883", "[::ffff:127.0.0.1]:1"] {
        assert!(load_env(&[("INBOXD_MQTT__LISTEN", local)]).is_ok(), "{local}");
    }
    for open in ["0.0.0.0:1883", "192.168.1.1:1883", "[::]:1883", "[::ffff:10.0.0.1]:1"] {
        let listen = ("INBOXD_MQTT__LISTEN", open);
        assert_says(
            load_env(&[listen]),
            &[
                "INBOXD_MQTT__LISTEN",
                "no authentication",
                "mqtt.allow_anonymous = true",
            ],
        );
        assert!(
            load_env(&[listen, ("INBOXD_MQTT__ALLOW_ANONYMOUS", "true")]).is_ok(),
            "{open}"
        );
    }
    let flags = Overrides {
        listen: Some("0.0.0.0:1883".to_owned()),
        ..Overrides::default()
    };
    assert_says(
        load_with("", &[], &flags),
        &["flag --listen: mqtt.listen = \"0.0.0.0:1883\""],
    );
}

#[test]
fn a_host_name_and_a_port_alone_are_understood() {
    // Goal: `--listen localhost:1884`, `-p 1884` and `-v` do what their users expect; a name is resolved to an address.
    let named = Overrides {
        listen: Some("localhost:1884".to_owned()),
        ..Overrides::default()
    };
    let listen = load_with("", &[], &named).unwrap().listener.listen;
    assert!(listen.ip().is_loopback() && listen.port() == 1884, "{listen}");

    let flags = Overrides {
        port: Some(1884),
        verbose: true,
        ..Overrides::default()
    };
    let config = load_with(
        "[mqtt]\nlisten = \"127.0.0.9:1883\"\n[log]\nlevel = \"warn\"\n",
        &[],
        &flags,
    )
    .unwrap();
    assert_eq!(config.listener.listen.to_string(), "127.0.0.9:1884");
    assert_eq!(config.log.level, "debug");
}

#[test]
fn variables_of_a_service_are_passed_over() {
    // Goal: a Kubernetes Service called inboxd does not keep the broker from starting; a misspelt setting still does.
    let service = [
        ("INBOXD_PORT", "tcp://10.96.0.7:1883"),
        ("INBOXD_SERVICE_HOST", "10.96.0.7"),
    ];
    assert_eq!(load_env(&service).unwrap(), Config::default());
    assert_says(load_env(&[("INBOXD_PORT", "1884")]), &["INBOXD_PORT"]);
}

#[test]
fn values_that_do_not_fit_together_name_both_sources() {
    // Goal: a message that is allowed must fit into an empty inbox; whoever set either value is named.
    assert!(load("[inbox]\nbytes_max = \"1MiB\"\n").is_ok());
    let outcome = load_with("[inbox]\nbytes_max = \"1KiB\"\n", &[], &Overrides::default());
    assert_says(
        outcome,
        &[
            "mqtt.message_bytes_max",
            "the defaults",
            "at most inbox.bytes_max",
            "inboxd.toml",
        ],
    );
    let outcome = load_env(&[
        ("INBOXD_MQTT__MESSAGE_BYTES_MAX", "2KiB"),
        ("INBOXD_INBOX__BYTES_MAX", "2047"),
    ]);
    assert_says(
        outcome,
        &[
            "2KiB",
            "2047B",
            "INBOXD_MQTT__MESSAGE_BYTES_MAX",
            "INBOXD_INBOX__BYTES_MAX",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    // Goal: missing file, directory, text that is not TOML or not UTF-8: one sentence with the path, and the line.
    let dir = TempDir::new().unwrap();
    let none: [(OsString, OsString); 0] = [];
    for path in [dir.path().join("missing.toml"), dir.path().to_owned()] {
        let outcome = Config::load(Some(&path), none.clone(), &Overrides::default());
        assert_says(
            outcome,
            &["cannot read the configuration file", &path.display().to_string()],
        );
    }
    let binary = dir.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe]).unwrap();
    assert_says(
        Config::load(Some(&binary), none, &Overrides::default()),
        &["binary.toml", "UTF-8"],
    );
    assert_says(load("[mqtt]\nlisten = \n"), &["inboxd.toml, line 2: this is not TOML"]);
    assert_says(
        load("[mqtt]\nlisten = \"a\"\nlisten = \"b\"\n"),
        &["line 3", "this is not TOML"],
    );
    assert_says(load("[mqtt]\nin_flight_max = 99999999999999999999\n"), &["inboxd.toml"]);
}

#[cfg(unix)]
#[test]
fn what_is_not_utf8_is_refused_by_name() {
    // Goal: a configuration can always be printed, so nothing in it may be other than UTF-8.
    use std::os::unix::ffi::OsStringExt;
    let broken = OsString::from_vec(b"a\xff".to_vec());
    let variables = [(OsString::from("INBOXD_DATA_DIR"), broken.clone())];
    assert_says(
        Config::load(None, variables, &Overrides::default()),
        &["INBOXD_DATA_DIR is not UTF-8"],
    );
    let variables = [(OsString::from("OTHER"), broken.clone())];
    assert!(Config::load(None, variables, &Overrides::default()).is_ok());
    let flags = Overrides {
        data_dir: Some(broken.into()),
        ..Overrides::default()
    };
    assert_says(load_with("", &[], &flags), &["flag --data", "UTF-8"]);
}
