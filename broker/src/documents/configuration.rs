//! Configuration keys in the documents: they exist, and what is said to be their default is it.

use std::time::Duration;

use super::page::{pages, quoted, read, section, table};
use crate::config::Config;

/// A number in one of the forms that documents and configuration use, in its smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Number(u64),
    Bytes(u64),
    Time(Duration),
}

/// Reads a quantity at the beginning of `text`: `1,000`, `1 MiB`, `10s`, `30 days`.
fn quantity(text: &str) -> Option<Quantity> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != ',')
        .unwrap_or(text.len());
    let number: u64 = text[..end].replace(',', "").parse().ok()?;
    let rest = text[end..].strip_prefix(' ').unwrap_or(&text[end..]);
    if text[end..].starts_with('.') && text[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        return None; // A version, such as 3.1.1.
    }
    let unit: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    Some(match unit.as_str() {
        "B" => Quantity::Bytes(number),
        "KiB" => Quantity::Bytes(number << 10),
        "MiB" => Quantity::Bytes(number << 20),
        "GiB" => Quantity::Bytes(number << 30),
        "TiB" => Quantity::Bytes(number << 40),
        "ms" => Quantity::Time(Duration::from_millis(number)),
        "s" | "second" | "seconds" => Quantity::Time(Duration::from_secs(number)),
        "m" | "minutes" => Quantity::Time(Duration::from_secs(60 * number)),
        "h" | "hours" => Quantity::Time(Duration::from_secs(3600 * number)),
        "d" | "days" => Quantity::Time(Duration::from_secs(24 * 3600 * number)),
        _ => Quantity::Number(number),
    })
}

/// Every quantity in `text`, each at the beginning of a word.
fn quantities(text: &str) -> Vec<Quantity> {
    let begins = |at: usize| {
        text[..at]
            .chars()
            .last()
            .is_none_or(|c| c.is_whitespace() || c == '(' || c == '"')
    };
    let digits = text.match_indices(|c: char| c.is_ascii_digit());
    digits
        .filter(|(at, _)| begins(*at))
        .filter_map(|(at, _)| quantity(&text[at..]))
        .collect()
}

/// The default of a key, if it is a number of something.
fn default_of(key: &str) -> Option<Quantity> {
    let printed = Config::default().to_toml().parse::<toml::Table>().unwrap();
    let mut levels = key.split('.');
    let first = levels.next().and_then(|first| printed.get(first));
    let value = levels.fold(first, |table, name| table?.get(name));
    match value.unwrap_or_else(|| panic!("{key} is not printed")) {
        toml::Value::Integer(number) => u64::try_from(*number).ok().map(Quantity::Number),
        toml::Value::String(text) => quantity(text).filter(|_| !text.contains(':')),
        _ => None,
    }
}

/// The key that a text in backticks names, with or without a value behind it.
fn key_of(quoted: &str) -> Option<&str> {
    let name = quoted.split([' ', '=']).next()?;
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let (section, key) = name.rsplit_once('.')?;
    let sections = Config::keys()
        .into_iter()
        .filter_map(|key| Some(key.rsplit_once('.')?.0));
    let mut known = sections.filter(|known| *known == section);
    (known.next().is_some() && is_word(key) && key != "rs").then_some(name)
}

#[test]
fn the_documents_name_only_keys_that_exist() {
    // Goal: whoever follows a page finds the key that it names.
    let keys = Config::keys();
    let mut found = 0;
    for (path, page) in pages() {
        for key in quoted(&page).into_iter().filter_map(key_of) {
            assert!(keys.contains(&key), "{path}: there is no key {key}");
            found += 1;
        }
    }
    assert!(found > 80, "{found}");
}

#[test]
fn a_number_behind_a_key_is_its_default() {
    // Goal: "`store.commit_hold` (10 ms)" is not 3 ms in one place and 10 ms in another.
    let mut found = 0;
    for (path, page) in pages() {
        for key in Config::keys() {
            for (at, name) in page.match_indices(&format!("`{key}`")) {
                let behind = page[at + name.len()..].trim_start_matches([' ', '\n']);
                let Some(behind) = behind
                    .strip_prefix('(')
                    .or_else(|| behind.strip_prefix(", "))
                    .or_else(|| behind.strip_prefix("of "))
                else {
                    continue;
                };
                let Some(said) = quantity(behind) else { continue };
                assert_eq!(Some(said), default_of(key), "{path}: `{key}`");
                found += 1;
            }
        }
    }
    assert!(found >= 8, "{found}");
}

#[test]
fn the_tables_of_limits_state_the_defaults() {
    // Goal: each row with a key has its default in the cell before; a cell with several numbers has the default of each of its keys.
    let (delivery, protocol) = (read("docs/delivery.md"), read("docs/protocol.md"));
    let announced = section(&protocol, "## What CONNACK announces");
    let tables = [
        table(
            section(&delivery, "## Limits and refusals"),
            "| Limit | Default | Key |",
        ),
        table(announced, "| Property | Value | Key |"),
        table(announced, "| Limit | Default | Key |"),
    ];
    let mut found = 0;
    for row in tables.iter().flatten() {
        for key in quoted(&row[2]) {
            assert!(Config::keys().contains(&key), "there is no key {key}");
            // A limit that is off, or that the machine gives, is told in words.
            let Some(default) = default_of(key).filter(|default| !is_zero(*default)) else {
                continue;
            };
            assert!(
                quantities(&row[1]).contains(&default),
                "{key} is {default:?}, and not {:?}",
                row[1]
            );
            found += 1;
        }
    }
    assert!(found >= 17, "{found}");
}

#[test]
fn the_documents_name_only_variables_that_exist() {
    // Goal: INBOXD_MQTT__LISTEN and its like are what the environment is searched for.
    let mut known: Vec<String> = Config::keys()
        .into_iter()
        .map(|key| format!("INBOXD_{}", key.to_uppercase().replace('.', "__")))
        .collect();
    // Those that Kubernetes makes for a service called inboxd.
    known.extend(["INBOXD_SERVICE_HOST", "INBOXD_PORT", "INBOXD_PORT_1883_TCP_ADDR"].map(str::to_owned));
    let mut found = 0;
    for (path, page) in pages()
        .into_iter()
        .chain([("inboxd.example.toml".to_owned(), read("inboxd.example.toml"))])
    {
        for (at, _) in page.match_indices("INBOXD_") {
            let rest = page[at..].chars();
            let name: String = rest
                .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
                .collect();
            assert!(
                name == "INBOXD_" || known.contains(&name),
                "{path}: there is no variable {name}"
            );
            found += usize::from(name != "INBOXD_");
        }
    }
    assert!(found >= 6, "{found}");
}

fn is_zero(quantity: Quantity) -> bool {
    matches!(
        quantity,
        Quantity::Number(0) | Quantity::Bytes(0) | Quantity::Time(Duration::ZERO)
    )
}

#[test]
fn quantities_are_read_in_all_their_forms() {
    // Goal: a number that is not understood would not be compared.
    let all = quantities("1,179,648: 1 MiB of MQTT 3.1.1, (7 days), \"10s\" and 200 ms");
    let expected = [
        Quantity::Number(1_179_648),
        Quantity::Bytes(1 << 20),
        Quantity::Time(Duration::from_secs(7 * 24 * 3600)),
        Quantity::Time(Duration::from_secs(10)),
        Quantity::Time(Duration::from_millis(200)),
    ];
    assert_eq!(all, expected);
    assert_eq!(
        default_of("store.commit_hold"),
        Some(Quantity::Time(Duration::from_millis(10)))
    );
    assert_eq!(default_of("mqtt.listen"), None);
    assert_eq!(key_of("inbox.prefix = \"inbox/\""), Some("inbox.prefix"));
    assert_eq!(key_of("store.rs"), None);
}
