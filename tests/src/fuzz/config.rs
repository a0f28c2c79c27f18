//! Configuration: a file and an environment, through `Config::load`.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;

use inboxd::config::{Config, Overrides};
use tempfile::NamedTempFile;

thread_local! {
    /// One file, written again and again.
    static FILE: RefCell<NamedTempFile> = RefCell::new(file());
}

fn file() -> NamedTempFile {
    let memory = std::path::Path::new("/dev/shm");
    let file = if memory.is_dir() {
        NamedTempFile::new_in(memory)
    } else {
        NamedTempFile::new()
    };
    file.expect("there is room for a temporary file")
}

/// A TOML file; what follows a NUL is an environment, one `NAME=value` on each line.
pub fn config(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (text, environment) = data.split_at(end);
    let variables = environment.get(1..).unwrap_or_default().split(|byte| *byte == b'\n');
    let environment: Vec<_> = variables.filter_map(variable).collect();
    match load(text, environment) {
        Ok(config) => consistent(&config),
        Err(sentence) => {
            assert!(!sentence.trim().is_empty(), "an error says something");
            assert!(!sentence.contains('\n'), "an error is one line: {sentence:?}");
        }
    }
}

fn variable(line: &[u8]) -> Option<(OsString, OsString)> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    let name = [b"INBOXD_", &line[..equals]].concat();
    Some((
        OsString::from_vec(name),
        OsString::from_vec(line[equals + 1..].to_vec()),
    ))
}

fn load(text: &[u8], environment: Vec<(OsString, OsString)>) -> Result<Config, String> {
    FILE.with_borrow_mut(|named| {
        let file: &mut File = named.as_file_mut();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(text).unwrap();
        file.set_len(text.len() as u64).unwrap();
        Config::load(Some(named.path()), environment, &Overrides::default()).map_err(|error| error.to_string())
    })
}

/// A configuration that exists is valid, and is printed as one that means the same.
fn consistent(config: &Config) {
    assert!(config.listener.listen.ip().to_canonical().is_loopback() || config.listener.allow_anonymous);
    assert!(config.mqtt.message_bytes_max as u64 <= config.inbox.bytes_max);
    assert!(config.mqtt.in_flight_max > 0 && config.mqtt.unacknowledged_publishes_max > 0);
    assert!(config.inbox.prefix.is_empty() || config.inbox.prefix.ends_with('/'));
    let printed = config.to_toml();
    assert_eq!(load(printed.as_bytes(), Vec::new()).as_ref(), Ok(config), "{printed}");
}
