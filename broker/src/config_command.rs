//! `inboxd check-config` and `inboxd print-config`.

use std::io::{self, Write};

use crate::config::Config;
use crate::said::answer;

/// Says on `out` that `config`, which exists and so is valid, can be served.
///
/// # Errors
/// When `out` cannot be written to. A reader that went away (`| head`) is none.
pub fn check(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let all = config.all_listeners();
    let listen: Vec<_> = all.iter().map(|listener| listener.listen.to_string()).collect();
    let listen = listen.join(" and ");
    let data_dir = config.data_dir.display();
    answer(
        out,
        &format!("ok: this configuration is valid; it listens on {listen} and keeps its data in {data_dir}\n"),
    )
}

/// Writes `config` to `out` as TOML.
///
/// # Errors
/// As [`check`].
pub fn print(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    answer(out, &config.to_toml())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_says_ok_and_print_prints_toml() {
        // Goal: both answers are what docs/operations.md says.
        let (mut checked, mut printed) = (Vec::new(), Vec::new());
        check(&Config::default(), &mut checked).unwrap();
        print(&Config::default(), &mut printed).unwrap();
        let checked = String::from_utf8(checked).unwrap();
        assert!(
            checked.starts_with("ok: ") && checked.ends_with('\n') && checked.contains("127.0.0.1:1883"),
            "{checked}"
        );
        assert!(
            String::from_utf8(printed)
                .unwrap()
                .parse::<toml::Table>()
                .unwrap()
                .contains_key("mqtt")
        );
    }
}
