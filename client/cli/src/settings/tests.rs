//! Which of three sources wins.

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let find = |name: &str| pairs.iter().find(|(key, _)| *key == name);
    Environment::read(|name| find(name).map(|(_, value)| value.into())).unwrap()
}

fn layer(url: &str, id: &str) -> Layer {
    Layer {
        url: Some(url.to_owned()),
        id: Some(id.to_owned()),
        ..Layer::default()
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    // Goal: each setting by itself, for all three; the defaults come last.
    let home = ("HOME", "/home/a");
    let file = Layer::from_toml(
        "url = \"mqtt://file\"\nid = \"file\"\nprefix = \"file/\"",
        Path::new("/etc/i.toml"),
    )
    .unwrap();
    let env = [
        home,
        ("INBOX_URL", "mqtt://env"),
        ("INBOX_ID", "env"),
        ("INBOX_PREFIX", ""),
    ];
    let flags = Layer {
        url: Some("mqtt://flag".to_owned()),
        ..Layer::default()
    };
    let settings = Settings::resolve(flags, environment(&env), file).unwrap();
    assert_eq!(
        (
            settings.url.as_str(),
            settings.client_id.as_str(),
            settings.prefix.as_str()
        ),
        ("mqtt://flag", "env", "file/")
    );
    let alone = Settings::resolve(
        Layer::default(),
        environment(&[home, ("INBOX_ID", "a/..")]),
        Layer::default(),
    )
    .unwrap();
    assert_eq!(alone.url, "mqtt://localhost");
    let outbox = alone.outbox.unwrap();
    assert_eq!(
        outbox,
        Path::new("/home/a/.local/share/inbox/a%2F%2E%2E/localhost.redb")
    );
}

#[test]
fn each_broker_has_an_outbox_of_its_own() {
    // Goal: what waits for one broker is not sent to another; XDG_DATA_HOME is used; memory is memory, wherever it is asked for.
    let resolve =
        |url: &str, env: &[(&str, &str)]| Settings::resolve(layer(url, "a"), environment(env), Layer::default());
    let data = ("XDG_DATA_HOME", "/data");
    for (url, file) in [
        ("mqtt://u:p@h:1884/x", None),
        ("mqtt://u@h:1884/x", Some("h%3A1884")),
        ("wss://h", Some("h")),
    ] {
        let found = resolve(url, &[data]).map(|settings| settings.outbox.unwrap());
        let expected = file.map(|file| PathBuf::from(format!("/data/inbox/a/{file}.redb")));
        assert_eq!(found.ok(), expected, "{url}");
    }
    assert_eq!(resolve("ws://h", &[]), Err(SettingsError::NoHome));
    assert_eq!(resolve("ws://h", &[("INBOX_OUTBOX", "")]).unwrap().outbox, None);
    let kept = resolve("ws://h", &[("INBOX_OUTBOX", "o")]).unwrap().outbox;
    assert_eq!(kept, Some(PathBuf::from("o")));
}

#[test]
fn files_name_what_is_wrong_with_them() {
    // Goal: unknown keys by name and line, without the text of the line; paths begin beside the file.
    let path = Path::new("/home/a/inbox.toml");
    let error = Layer::from_toml("id = \"a\"\npasword = \"secret\"", path)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/home/a/inbox.toml, line 2: unknown field `pasword`"),
        "{error}"
    );
    assert!(!error.contains("secret"));
    let broken = Layer::from_toml("url = mqtt://u:secret@h", path)
        .unwrap_err()
        .to_string();
    assert!(!broken.contains("secret"), "{broken}");
    let read = Layer::from_toml("password_file = \"pw\"\noutbox = \"\"\nauthority = \"/ca.pem\"", path).unwrap();
    assert_eq!(read.password_file, Some(PathBuf::from("/home/a/pw")));
    assert_eq!(read.outbox, Some(PathBuf::new()));
    assert_eq!(read.authority, Some(PathBuf::from("/ca.pem")));
    let env = environment(&[("HOME", "/home/a")]);
    assert_eq!(
        env.default_config(),
        Some(PathBuf::from("/home/a/.config/inbox/config.toml"))
    );
    let env = environment(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "relative")]);
    assert_eq!(
        env.default_config(),
        Some(PathBuf::from("/home/a/.config/inbox/config.toml"))
    );
}

#[test]
fn passwords_are_in_files() {
    // Goal: not on the command line, not in what is shown; the user is the client ID unless said otherwise.
    let resolve = |flags, env: &[(&str, &str)]| Settings::resolve(flags, environment(env), Layer::default());
    let memory = ("INBOX_OUTBOX", "");
    assert_eq!(
        resolve(layer("mqtt://u:secret@h", "a"), &[memory]),
        Err(SettingsError::PasswordInUrl)
    );
    let id = ("INBOX_ID", "a");
    let settings = resolve(Layer::default(), &[memory, id, ("INBOX_URL", "mqtt://u:secret@h:1/p")]).unwrap();
    assert_eq!(settings.shown_url(), "mqtt://h:1/p");
    assert!(!format!("{settings:?}").contains("secret"));
    let settings = resolve(Layer::default(), &[memory, id, ("INBOX_PASSWORD_FILE", "pw")]).unwrap();
    let login = Login {
        user: "a".to_owned(),
        password_file: PathBuf::from("pw"),
    };
    assert_eq!(settings.login, Some(login));
    let user = "u".to_owned();
    let without = resolve(Layer::default(), &[memory, id, ("INBOX_USER", "u")]);
    assert_eq!(without, Err(SettingsError::NoPassword { user }));
    assert_eq!(resolve(Layer::default(), &[memory]), Err(SettingsError::NoClientId));
}
