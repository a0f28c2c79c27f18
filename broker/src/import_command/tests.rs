use std::fs;

use proptest::prelude::*;

use super::*;
use crate::access_rules;
use crate::serve;

/// What comes out of a configuration, and of its rules.
fn translate(conf: &str, rules: Option<&str>) -> Translated {
    Draft::of(conf.as_bytes()).translated(&Around {
        from: Path::new("/etc/mosquitto"),
        to: "/etc/inboxd",
        rules: rules.map(|rules| rules.as_bytes().to_owned()),
        users: Some(vec!["alice".to_owned()]),
    })
}

/// The configuration that comes out, as the broker reads it.
fn loaded(conf: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inboxd.toml");
    let text = translate(conf, None).configuration;
    fs::write(&path, &text).unwrap();
    Config::load(Some(&path), std::iter::empty(), &Overrides::default())
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn notes(conf: &str) -> Vec<String> {
    let notes = translate(conf, None).notes;
    notes
        .into_iter()
        .map(|note| format!("{}: {}", note.text, note.why))
        .collect()
}

#[test]
fn common_settings_become_keys() {
    // Goal: each directive of the table sets its key to the same value, and is not among those that were not taken.
    for (line, key, value) in [
        ("max_packet_size 65536", "mqtt.message_bytes_max", "64KiB"),
        ("message_size_limit 0", "mqtt.message_bytes_max", "255MiB"),
        ("max_queued_messages 500", "mqtt.queue_messages_max", "500"),
        ("max_queued_bytes 1048576", "mqtt.queue_bytes_max", "1MiB"),
        ("max_inflight_messages 20", "mqtt.in_flight_max", "20"),
        ("max_inflight_messages 0", "mqtt.in_flight_max", "65535"),
        ("max_keepalive 300", "mqtt.keep_alive_max", "5m"),
        ("max_topic_alias 5", "mqtt.topic_alias_max", "5"),
        ("persistent_client_expiration 2w", "mqtt.session_expiry_max", "14d"),
        ("retain_available false", "router.retained_messages_max", "0"),
        ("memory_limit 536870912", "memory.budget", "512MiB"),
        (
            "persistence_location /var/lib/mosquitto/",
            "data_dir",
            "/var/lib/mosquitto/inboxd",
        ),
        ("log_type warning\nlog_type error", "log.level", "warn"),
        ("log_type all", "log.level", "debug"),
        ("port 1884\nmax_connections 100", "mqtt.connections_max", "100"),
        ("listener 1884 127.0.0.1", "mqtt.listen", "127.0.0.1:1884"),
        ("listener 1884\nallow_anonymous true", "mqtt.listen", "0.0.0.0:1884"),
        ("", "mqtt.listen", "127.0.0.1:1883"),
    ] {
        let printed = loaded(line).to_toml().parse::<toml::Table>().unwrap();
        let mut found = toml::Value::Table(printed);
        for level in key.split('.') {
            found = found[level].clone();
        }
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        assert_eq!(found, value, "{line}");
        let untaken = notes(line)
            .into_iter()
            .filter(|note| !note.contains("nobody could come in"));
        assert_eq!(untaken.collect::<Vec<_>>(), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn listeners_keep_their_transport() {
    // Goal: TLS stays TLS, WebSocket stays WebSocket, and what lacks a file is left out rather than served in the clear.
    let conf = "\
        listener 8883\ncafile ca.pem\ncertfile cert.pem\nkeyfile key.pem\nrequire_certificate true\nuse_identity_as_username true\n\
        listener 9001\nprotocol websockets\n\
        listener 8084\nprotocol websockets\ncertfile cert.pem\nkeyfile key.pem\n\
        listener 1883 127.0.0.1\n\
        listener 8884\nkeyfile key.pem\n\
        listener 0 /run/mosquitto.sock\n\
        listener 1883\n";
    let config = loaded(conf);
    assert_eq!(config.listener.listen.to_string(), "127.0.0.1:1883");
    let names: Vec<&str> = config.listeners.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["port-8883", "port-9001", "port-8084"]);
    let tls = config.listeners[0].transport.tls().unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/mosquitto/cert.pem"));
    assert_eq!(tls.client_certificates, transport::ClientCertificates::Required);
    assert_eq!(config.auth.certificate, access::CertificateName::CommonName);
    let told = notes(conf);
    for word in [
        "listener 8884: TLS needs",
        "sockets of Unix",
        "the listener of line 13 (listener 1883 127.0.0.1) has this port",
    ] {
        assert!(told.iter().any(|note| note.contains(word)), "{word}: {told:#?}");
    }
    assert_eq!(told.len(), 3, "{told:#?}");
}

#[test]
fn nobody_is_let_in_who_was_not_before() {
    // Goal: without allow_anonymous and users, a listener is this machine's alone; where two lines differ, the stricter one holds.
    for conf in [
        "listener 1883",
        "port 1883",
        "listener 1883\nallow_anonymous false",
        "per_listener_settings true\nlistener 1883\nallow_anonymous true\nlistener 1884\nallow_anonymous false",
    ] {
        let config = loaded(conf);
        assert!(config.listener.listen.ip().is_loopback(), "{conf}");
        assert!(!config.listener.allow_anonymous, "{conf}");
        assert!(!notes(conf).is_empty(), "{conf}");
    }
    let config = loaded("listener 1883\nallow_anonymous false\npassword_file passwd");
    assert_eq!(config.listener.listen.to_string(), "0.0.0.0:1883");
    assert_eq!(
        config.auth.password_file.as_deref(),
        Some(Path::new("/etc/inboxd/users"))
    );
}

#[test]
fn what_is_not_taken_is_told() {
    // Goal: each line that has no counterpart is named with a reason: bridges, plugins, includes, values that are none, unknown names.
    for line in [
        "connection to-there",
        "topic # both 0",
        "bridge_cafile x",
        "plugin /usr/lib/x.so",
        "include_dir /etc/mosquitto/conf.d",
        "per_listener_settings true",
        "crlfile x",
        "persistence true",
        "max_queued_messages 0",
        "max_inflight_messages -1",
        "max_packet_size 1000000000",
        "memory_limit 1",
        "allow_anonymous perhaps",
        "persistent_client_expiration 5",
        "protocol coap",
        "bind_address broker.example",
        "listener x",
        "log_type loud",
        "password_file",
        "frobnicate yes",
        "keyfile x",
        "cafile x\nport 1883",
    ] {
        loaded(line);
        assert!(!notes(line).is_empty(), "{line}");
    }
    assert!(notes("frobnicate yes")[0].contains("frobnicate yes: nothing is known"));
}

#[test]
fn limits_of_listeners_are_added_or_told() {
    // Goal: no `max_connections` is dropped silently: the sum is taken and told where all listeners have one, else each line is told; the lower one
    // of that and a limit of the whole broker holds.
    let both = "listener 1883 127.0.0.1\nmax_connections 100\nlistener 1884 127.0.0.1\nmax_connections 50\n";
    for (conf, most, told) in [
        (both.to_owned(), 150, 2),
        (format!("{both}listener 1885 127.0.0.1\n"), 50_000, 2),
        ("max_connections 7\nlistener 1884 127.0.0.1\n".to_owned(), 50_000, 1),
        (format!("global_max_connections 120\n{both}"), 120, 2),
        (format!("global_max_connections 1000\n{both}"), 150, 2),
        (
            "listener 1883 127.0.0.1\nmax_connections 5\nmax_connections 6\n".to_owned(),
            6,
            1,
        ),
    ] {
        assert_eq!(loaded(&conf).listener.connections_max, most, "{conf}");
        let notes = notes(&conf);
        let about = notes.iter().filter(|note| note.starts_with("max_connections"));
        assert_eq!(about.count(), told, "{conf}: {notes:#?}");
    }
}

#[test]
fn a_port_that_is_taken_names_the_line_that_took_it() {
    // Goal: the default listener has no line of its own, so the remark names the one because of which it is there.
    let told = notes("allow_anonymous true\nmax_connections 100\nlistener 1883 127.0.0.1\n");
    let expected = "listener 1883 127.0.0.1: the default listener, which is there because of line 2 (max_connections 100), has this port";
    assert!(told.iter().any(|note| note.starts_with(expected)), "{told:#?}");
}

#[test]
fn a_bridge_is_one_finding_and_no_secret_is_copied() {
    // Goal: neither what is said nor what is written has the value of a directive that may be a secret; a bridge's block is one finding.
    let conf = "\
        connection office\naddress there:8883\ntopic # both 0\ntopic x/# in\nremote_username me\nremote_password s3cret\nbridge_psk s3cret\n\
        connection home\npassword s3cret\n\
        listener 1883 127.0.0.1\npsk_hint s3cret\nauth_opt_db_uri mysql://me:s3cret@db\nplugin_opt_api_token s3cret\nremote_pasword s3cret\n\
        remote_password=s3cret\npassword_file passwd\n";
    let translated = translate(conf, None);
    let notes = notes(conf);
    let said = texts::summary(Path::new("/etc/inboxd/inboxd.toml"), &[], &translated);
    assert!(
        !said.contains("s3cret") && !translated.configuration.contains("s3cret"),
        "{said}"
    );
    let bridges: Vec<_> = notes.iter().filter(|note| note.contains("no bridges")).collect();
    assert_eq!(bridges.len(), 2, "{notes:#?}");
    assert!(
        bridges[0]
            .ends_with("(6 more lines are about it: address, bridge_psk, remote_password, remote_username, topic)"),
        "{bridges:#?}"
    );
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("auth_opt_db_uri (its value is not shown): ")),
        "{notes:#?}"
    );
    assert!(
        notes.iter().any(|note| note.starts_with("password_file passwd: ")),
        "{notes:#?}"
    );
}

#[test]
fn access_rules_are_translated() {
    // Goal: what Mosquitto allows is allowed, topics of one level are inboxes, and what cannot be said is told.
    let acl = "\
        topic read news/#\n\
        topic $SYS/#\n\
        user alice\n\
        topic work/100%/#\n\
        topic write bob\n\
        topic read carol\n\
        topic deny work/private/#\n\
        user root\n\
        topic #\n\
        user a+b\n\
        topic x/y\n\
        pattern write from/%c/%u/100%\n\
        pattern read %u\n\
        topic a/#/b\n\
        nonsense\n";
    let translated = translate("acl_file acl", Some(acl));
    let rules = translated.rules.unwrap();
    Rules::parse(&rules, "").unwrap_or_else(|error| panic!("{error:?}: {rules}"));
    for expected in [
        "name = \"anonymous\"\nsubscribe = [\"news/#\", \"$SYS/#\"]\n",
        "name = \"everyone\"\npublish = [\"from/%c/%u/100%%\"]\n",
        "name = \"user-1\"\nmembers = [\"alice\"]\npublish = [\"work/100%%/#\"]\ndeny_publish = [\"work/private/#\"]\n\
         subscribe = [\"work/100%%/#\"]\ndeny_subscribe = [\"work/private/#\"]\nwrite_to = [\"bob\"]\n",
        "members = [\"root\"]\npublish = [\"#\"]\nsubscribe = [\"#\"]\nwrite_to = [\"*\"]\n",
        "name = \"authenticated\"\nwrite_to = []\n",
    ] {
        assert!(rules.contains(expected), "{expected} is not in {rules}");
    }
    let told: Vec<usize> = translated.notes.iter().filter_map(|note| Some(note.place?.1)).collect();
    assert_eq!(told, [2, 6, 10, 11, 13, 14, 15], "{:#?}", translated.notes);
}

use access::Rules;

#[test]
fn rules_that_cannot_be_read_allow_nothing() {
    // Goal: a file that is missing does not open the broker.
    let translated = translate("acl_file missing", None);
    assert!(translated.notes[0].why.contains("nobody may do anything"));
    assert!(translated.rules.unwrap().contains("write_to = []"));
}

#[test]
fn what_is_written_can_be_served_and_nothing_is_overwritten() {
    // Goal: the command as a whole, on files; `inboxd check-config` takes the result; a second run changes nothing.
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(
        at("mosquitto.conf"),
        "listener 18839 127.0.0.1\npassword_file passwd\nacl_file acl\npersistence_location .\n",
    )
    .unwrap();
    fs::write(at("passwd"), "alice:$7$101$x$y\n# x\nbob:$6$x\n").unwrap();
    fs::write(at("acl"), "user alice\ntopic readwrite home/#\n").unwrap();
    let mut told = Vec::new();
    run(&at("mosquitto.conf"), &at("inboxd.toml"), &mut told).unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("users 'alice'\n") && told.contains("users 'bob'\n"),
        "{told}"
    );
    let config = Config::load(Some(&at("inboxd.toml")), std::iter::empty(), &Overrides::default()).unwrap();
    serve::check(&config).unwrap();
    access_rules::load(&config).unwrap();

    let before = fs::read(at("inboxd.toml")).unwrap();
    let again = run(&at("mosquitto.conf"), &at("inboxd.toml"), &mut Vec::new());
    assert!(matches!(again, Err(ImportError::Exists(_))));
    assert_eq!(fs::read(at("inboxd.toml")).unwrap(), before);
}

/// Lines that look like some of Mosquitto's, and others.
fn conf() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "listener",
        "port",
        "bind_address",
        "protocol",
        "certfile",
        "keyfile",
        "cafile",
        "require_certificate",
        "use_identity_as_username",
        "max_connections",
        "allow_anonymous",
        "password_file",
        "acl_file",
        "max_packet_size",
        "max_queued_messages",
        "max_queued_bytes",
        "max_inflight_messages",
        "max_keepalive",
        "memory_limit",
        "persistence_location",
        "persistent_client_expiration",
        "log_type",
        "connection",
        "retain_available",
        "max_topic_alias",
        "global_max_connections",
        "global_max_clients",
        "message_size_limit",
    ]);
    let values = prop_oneof![
        "[0-9]{1,9}",
        "(true|false|all|none|websockets|0\\.0\\.0\\.0|::1|localhost|2w|x y)",
        "[0-9]{1,5} (0\\.0\\.0\\.0|127\\.0\\.0\\.1|::|name)",
        "\\PC{0,12}",
        any::<String>(),
    ];
    let line = (names, values).prop_map(|(name, value)| format!("{name} {value}\n"));
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn whatever_is_imported_can_be_loaded(conf in conf()) {
        // Goal: no line leads to a configuration that the broker refuses.
        loaded(&conf);
    }

    #[test]
    fn bytes_are_no_reason_to_panic(conf in any::<Vec<u8>>(), rules in any::<Vec<u8>>()) {
        // Goal: any bytes give a configuration and rules that can be read.
        let mut conf = conf;
        conf.extend(b"\nacl_file x\n");
        let around = Around { from: Path::new("/"), to: "/", rules: Some(rules), users: None };
        let translated = Draft::of(&conf).translated(&around);
        prop_assert!(translated.configuration.parse::<toml::Table>().is_ok());
        prop_assert!(Rules::parse(&translated.rules.unwrap(), "").is_ok());
    }

    #[test]
    fn any_rules_are_translated_to_rules(lines in prop::collection::vec("(topic|user|pattern) (read |write |deny |)[a-c%#+/$*cu ]{0,8}", 0..8)) {
        // Goal: what looks like a rule of Mosquitto never makes a file that the broker refuses.
        let mut notes = Vec::new();
        let rules = acl::translated(lines.join("\n").as_bytes(), &mut notes);
        prop_assert!(Rules::parse(&rules, "").is_ok(), "{rules}");
    }
}
