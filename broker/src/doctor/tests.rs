use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use super::machine::{Directory, Disk, FileState, FileSystem, Keeping, Machine, NamedFile, Port, PortState};
use super::*;

const GIB: u64 = 1 << 30;

/// A machine of which nothing is to be said.
fn healthy() -> Machine {
    Machine {
        user: 998,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        clock: Keeping::Synchronised,
        descriptors: Some(1 << 20),
        memory: Some(1 << 50),
        swap: Some(0),
        overcommit: Some(0),
        backlog: Some(4096),
        data: Directory {
            path: "/var/lib/inboxd".into(),
            exists: true,
            is_directory: true,
            owner: 998,
            mode: 0o40700,
            is_writable: true,
            used_by: None,
            disk: Some(Disk {
                kind: FileSystem::Local("ext4"),
                free_bytes: 100 * GIB,
                is_read_only: false,
            }),
        },
        files: vec![named("password file", true, there(998, 0o600))],
        ports: vec![Port {
            name: "mqtt".to_owned(),
            address: "127.0.0.1:1883".parse().unwrap(),
            is_auto: false,
            state: PortState::Free,
        }],
    }
}

fn named(what: &'static str, is_secret: bool, state: FileState) -> NamedFile {
    NamedFile {
        what,
        path: "/etc/inboxd/users".into(),
        is_secret,
        is_made: false,
        state,
    }
}

fn there(owner: u32, mode: u32) -> FileState {
    FileState::There { owner, mode }
}

/// What is not well.
fn complaints(config: &Config, machine: &Machine) -> Vec<(Level, &'static str, String)> {
    let found = examine(config, machine).into_iter();
    let bad = found.filter(|finding| finding.level != Level::Ok);
    bad.map(|finding| (finding.level, finding.about, finding.says))
        .collect()
}

fn on_disk(machine: &mut Machine, change: impl FnOnce(&mut Disk)) {
    change(machine.data.disk.as_mut().unwrap());
}

type Change = fn(&mut Machine);

#[test]
fn a_healthy_machine_is_left_alone() {
    // Goal: nothing to change, and everything that was looked at is told.
    let config = Config::default();
    assert_eq!(complaints(&config, &healthy()), []);
    assert!(examine(&config, &healthy()).len() >= 8);
}

#[test]
fn each_fault_of_a_machine_is_one_finding() {
    // Goal: one thing that is wrong is told once, with its level and with what to do.
    let table: [(Change, Level, &str, &str); 27] = [
        (
            |m| m.descriptors = Some(1024),
            Level::Should,
            "descriptors",
            "LimitNOFILE",
        ),
        (|m| m.memory = Some(64 << 20), Level::Must, "memory", "memory.budget"),
        (|m| m.memory = None, Level::Should, "memory", "memory.budget"),
        (
            |m| on_disk(m, |disk| disk.free_bytes = 1 << 20),
            Level::Must,
            "space",
            "make room",
        ),
        (
            |m| on_disk(m, |disk| disk.free_bytes = GIB),
            Level::Should,
            "space",
            "make room",
        ),
        (
            |m| on_disk(m, |disk| disk.is_read_only = true),
            Level::Must,
            "file system",
            "mount it",
        ),
        (
            |m| on_disk(m, |disk| disk.kind = FileSystem::Memory("tmpfs")),
            Level::Must,
            "file system",
            "on a disk",
        ),
        (
            |m| on_disk(m, |disk| disk.kind = FileSystem::Remote("NFS")),
            Level::Should,
            "file system",
            "NFS",
        ),
        (
            |m| on_disk(m, |disk| disk.kind = FileSystem::Overlay),
            Level::Should,
            "file system",
            "volume",
        ),
        (|m| m.clock = Keeping::Waiting, Level::Should, "clock", "time server"),
        (|m| m.now = SystemTime::UNIX_EPOCH, Level::Should, "clock", "never set"),
        (|m| m.backlog = Some(128), Level::Should, "backlog", "sysctl"),
        (|m| m.overcommit = Some(2), Level::Should, "overcommit", "set it to 0"),
        (|m| m.data.is_directory = false, Level::Must, "data", "no directory"),
        (|m| m.data.is_writable = false, Level::Must, "data", "chown"),
        (|m| m.data.owner = 0, Level::Should, "data", "root"),
        (
            |m| (m.data.owner, m.data.mode) = (1000, 0o40777),
            Level::Should,
            "data",
            "chmod 700",
        ),
        (
            |m| m.files[0].state = there(998, 0o644),
            Level::Must,
            "file",
            "chmod 600",
        ),
        (
            |m| m.files[0] = named("certificate", false, there(998, 0o666)),
            Level::Must,
            "file",
            "chmod o-w",
        ),
        (
            |m| m.files[0].state = there(1000, 0o600),
            Level::Should,
            "file",
            "user 1000",
        ),
        (
            |m| m.files[0].state = FileState::Unreadable(ErrorKind::NotFound),
            Level::Must,
            "file",
            "not there",
        ),
        (
            |m| m.files[0].state = FileState::Unreadable(ErrorKind::PermissionDenied),
            Level::Must,
            "file",
            "chown",
        ),
        (
            |m| m.ports[0].state = PortState::Taken,
            Level::Must,
            "port",
            "another program",
        ),
        (
            |m| m.ports[0].state = PortState::Refused(ErrorKind::PermissionDenied),
            Level::Must,
            "port",
            "CAP_NET_BIND_SERVICE",
        ),
        (
            |m| m.ports[0].state = PortState::Refused(ErrorKind::AddrNotAvailable),
            Level::Must,
            "port",
            "choose one that is",
        ),
        (|m| m.data.used_by = Some(7), Level::Should, "port", "restart"),
        (|m| m.data.disk = None, Level::Should, "space", "look at it"),
    ];
    for (change, level, about, word) in table {
        let mut machine = healthy();
        change(&mut machine);
        let found = complaints(&Config::default(), &machine);
        let is_told = |(of, on, says): &(Level, &str, String)| *of == level && *on == about && says.contains(word);
        assert!(is_told(&found[0]), "{about} {word}: {found:?}");
        // Without a disk, nothing is known of its file system either.
        assert!(found.len() == 1 || machine.data.disk.is_none(), "{found:?}");
    }
}

#[test]
fn what_is_not_wrong_is_not_complained_of() {
    // Goal: a broker that runs, files that the broker makes, what cannot be seen in a container.
    let table: [Change; 8] = [
        |m| (m.ports[0].is_auto, m.ports[0].state) = (true, PortState::Taken),
        |m| (m.data.used_by, m.ports[0].state) = (Some(7), PortState::Taken),
        |m| m.data.exists = false,
        |m| {
            m.files[0].is_made = true;
            m.files[0].state = FileState::Unreadable(ErrorKind::NotFound);
        },
        |m| m.files[0].state = there(0, 0o640),
        |m| (m.clock, m.backlog, m.overcommit, m.swap) = (Keeping::Unseen, None, None, Some(GIB)),
        |m| on_disk(m, |disk| disk.kind = FileSystem::Unknown(1)),
        |m| m.descriptors = None,
    ];
    for (at, change) in table.into_iter().enumerate() {
        let mut machine = healthy();
        change(&mut machine);
        assert_eq!(complaints(&Config::default(), &machine), [], "{at}");
    }
}

#[test]
fn descriptors_are_counted_as_the_broker_does() {
    // Goal: too few for mqtt.connections_max is a `should`, whoever chose that number; with the connections that are set aside for HTTP, so the number
    // is the one that the broker logs at its start.
    let mut machine = healthy();
    machine.descriptors = Some(30_000);
    let mut config = Config::default();
    let found = complaints(&config, &machine);
    assert_eq!((found.len(), found[0].0, found[0].1), (1, Level::Should, "descriptors"));
    assert!(
        found[0].2.contains("which is 29680 connections") && found[0].2.contains("limit to 50320"),
        "{found:?}"
    );
    config.listener.connections_max = 29_680;
    assert_eq!(complaints(&config, &machine), []);
    config.listener.connections_max = 29_681;
    assert_eq!(complaints(&config, &machine).len(), 1);
}

#[test]
fn a_clock_that_was_never_set_matters_where_tokens_are_read() {
    // Goal: a token is refused by a clock that is wrong, so the broker is of no use.
    let mut machine = healthy();
    machine.now = SystemTime::UNIX_EPOCH;
    let mut config = Config::default();
    config.auth.token_keys.secret = Some("secret".into());
    assert_eq!(complaints(&config, &machine)[0].0, Level::Must);
}

#[test]
fn findings_are_lines_for_people_and_objects_for_programs() {
    // Goal: the words of docs/operations.md, and one JSON object per line; the answer is no when something must be changed.
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        data_dir: dir.path().join("data"),
        ..Config::default()
    };
    config.auth.password_file = Some(dir.path().join("users"));
    let mut out = Vec::new();
    assert!(!run(&config, None, true, &mut out).unwrap());
    let text = String::from_utf8(out).unwrap();
    let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let file = objects.iter().find(|object| object["about"] == "file").unwrap();
    assert_eq!(file["level"], "must");

    let mut out = Vec::new();
    assert!(!run(&config, None, false, &mut out).unwrap());
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().any(|line| line.starts_with("must    file ")), "{text}");
    assert!(text.lines().last().unwrap().contains("must be changed"), "{text}");
}
