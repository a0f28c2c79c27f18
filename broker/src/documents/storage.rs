//! The storage format in the documents: its version, its fixtures, its tables.

use std::collections::BTreeSet;
use std::fs;

use inbox_bridge::{CLIENT_ID_BYTES_MAX, Engine, StoreOptions, TABLE_KEY_BYTES_MAX, Table, open_store};

use super::page::{read, root, section, table};

/// The version of a store that this build makes.
fn format() -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    drop(open_store(&path, &StoreOptions::default()).unwrap());
    let manifest = fs::read_to_string(path.join("inboxd-store.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    u64::try_from(manifest["format"].as_integer().unwrap()).unwrap()
}

#[test]
fn the_page_is_about_the_format_that_is_written() {
    // Goal: a new format cannot be made without its page, and every older one keeps its section.
    let (page, format) = (read("docs/storage-format.md"), format());
    assert!(page.starts_with(&format!("# Storage format, version {format}\n")));
    assert!(section(&page, "### Manifest").contains(&format!("\nformat = {format}\n")));
    assert!(read("CHANGELOG.md").contains(&format!("format version {format}")));
    for older in 1..format {
        section(&page, &format!("## Version {older}"));
    }
}

#[test]
fn every_format_has_its_fixtures() {
    // Goal: there is a directory of each version and engine: sled alone had version 1. The page names the first and the last.
    let folder = root().join("bridge/store/tests/fixtures");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let found: BTreeSet<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let mut expected = BTreeSet::from(["v1-sled".to_owned()]);
    for version in 2..=format() {
        expected.extend(Engine::ALL.map(|engine| format!("v{version}-{}", engine.name())));
    }
    assert_eq!(found, expected);
    let page = read("docs/storage-format.md");
    let last = format!("v{}-fjall", format());
    assert!(
        page.contains("`v1-sled`") && page.contains(&format!("`{last}`")),
        "{last}"
    );
}

#[test]
fn the_page_lists_the_tables_that_have_a_purpose() {
    // Goal: the number of a table on disk is the one of the page.
    let page = read("docs/storage-format.md");
    let tables = section(&page, "### Tables");
    let listed: Vec<String> = table(tables, "| Table | For |")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let known = [
        Table::DEDUPE,
        Table::RECEIPTS,
        Table::CURSORS,
        Table::GROUPS,
        Table::SESSIONS,
        Table::RETAINED,
        Table::CLOCKS,
        Table::SENDERS,
        Table::ACQUAINTANCES,
        Table::STORE,
        Table::SEEN,
        Table::UNREAD,
        Table::WILLS,
    ];
    assert_eq!(listed, known.map(|table| table.id().to_string()));
    assert!(tables.contains(&format!(
        "keys of 1 to {},{} bytes",
        TABLE_KEY_BYTES_MAX / 1000,
        TABLE_KEY_BYTES_MAX % 1000
    )));
    assert!(page.contains(&format!("A client ID is 1 to {CLIENT_ID_BYTES_MAX} bytes")));
}
