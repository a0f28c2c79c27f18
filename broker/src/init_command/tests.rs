use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::{Config, Overrides};
use crate::hardening::{Weakness, weaknesses};

fn load(dir: &Path) -> Config {
    Config::load(Some(&dir.join(CONFIG)), std::iter::empty(), &Overrides::default()).unwrap()
}

#[test]
fn a_first_configuration_is_valid_and_its_certificate_is_all_that_is_weak() {
    // Goal: it loads, all of its files are its owner's alone and in its directory, and --strict has only the certificate to complain of; also
    // in a directory whose name needs quotes.
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("a \"new\" one's");
    let mut said = Vec::new();
    run(&dir, &mut said).unwrap();
    let config = load(&dir);
    assert_eq!(config.data_dir, dir.join(DATA));
    assert_eq!(config.listeners.len(), 2);
    let found = weaknesses(&config, Some(&dir.join(CONFIG)), Vec::new());
    assert!(
        !found.is_empty() && found.iter().all(|weak| matches!(weak, Weakness::SelfSigned(_))),
        "{found:?}"
    );
    for name in FILES {
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains(r#"one'\''s/inboxd.toml'"#), "{said}");
    assert!(
        said.contains("(role ops: runs the broker: dashboard, API, $SYS)"),
        "{said}"
    );
    assert!(
        said.contains("The dashboard is at http://127.0.0.1:8080/, for operator"),
        "{said}"
    );
    let users = fs::read_to_string(dir.join(PASSWORDS)).unwrap();
    let password = said.lines().find_map(|line| line.strip_prefix("  alice     ")).unwrap();
    assert!(password.len() == PASSWORD_CHARS && !users.contains(password), "{users}");
}

#[test]
fn what_is_there_is_not_changed() {
    // Goal: a second init writes nothing, whichever of its files is there, and says which it is.
    for name in FILES {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join(name);
        fs::write(&there, "mine").unwrap();
        let error = run(dir.path(), &mut Vec::new()).unwrap_err();
        assert!(matches!(&error, InitError::Exists(path) if *path == there), "{error}");
        assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn what_others_wrote_is_not_removed() {
    // Goal: regression: a file that was there under the name of one that is written on the way was removed with what failed.
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().join(FRESH_CONFIG);
    fs::write(&there, "mine").unwrap();
    assert!(run(dir.path(), &mut Vec::new()).is_err());
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_path_says_nothing_else() {
    // Goal: regression: a line end in a path ended the comment that named it, and what followed was a setting.
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("x\nallow_anonymous = true\n#\r");
    run(&dir, &mut Vec::new()).unwrap();
    let config = load(&dir);
    assert!(!config.listener.allow_anonymous && config.data_dir == dir.join(DATA));
}

#[test]
fn what_fails_leaves_nothing() {
    // Goal: where one file cannot be written, those before it are removed.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("inboxd.toml.new")).unwrap();
    assert!(run(dir.path(), &mut Vec::new()).is_err());
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["inboxd.toml.new"]);
}
