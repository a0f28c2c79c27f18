//! Names of tests, files and deliberate faults in the documents: they exist.

use std::collections::BTreeSet;

use super::page::{is_test, pages, quoted, read, root, sources};

#[test]
fn tests_that_the_documents_name_exist() {
    // Goal: a promise whose test was renamed or removed has no proof any more.
    let mut known = BTreeSet::new();
    for path in sources() {
        let source = read(&path);
        let names = source
            .split("fn ")
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap());
        known.extend(names.map(str::to_owned));
    }
    known.extend(super::observing::published());
    known.extend(super::deployment::known());
    let is_name = |name: &str| {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        name.matches('_').count() >= 3 && name.bytes().all(is_word)
    };
    let mut found = 0;
    for (path, page) in pages() {
        for name in quoted(&page).into_iter().filter(|name| is_name(name)) {
            assert!(known.contains(name), "{path}: there is no function {name}");
            found += 1;
        }
    }
    assert!(found > 80, "{found}");
}

#[test]
fn files_that_the_documents_name_exist() {
    // Goal: a path with a slash in backticks leads somewhere. The map in ARCHITECTURE.md is checked apart: its paths begin in a crate.
    let mut found = 0;
    for (path, page) in pages().into_iter().filter(|(path, _)| path != "ARCHITECTURE.md") {
        for name in quoted(&page) {
            let is_ours = [
                "bridge/", "broker/", "client/", "deploy/", "tests/", "docs/", "xtask/", "fuzz/",
            ]
            .iter()
            .any(|top| name.starts_with(top));
            // Commands of operators look like paths in the client.
            let is_command = admin::Operator::commands().contains(&name);
            if is_ours && !is_command && !name.contains([' ', '*', '…']) {
                assert!(root().join(name).exists(), "{path}: there is no {name}");
                found += 1;
            }
        }
    }
    assert!(found > 10, "{found}");
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    // Goal: a link to a page, and to a heading of it, is not dead.
    let mut found = 0;
    for (path, page) in pages() {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for (at, _) in page.match_indices("](") {
            let target = page[at + 2..].split(')').next().unwrap();
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let text = if file.is_empty() {
                page.clone()
            } else {
                let file = folder.join(file);
                assert!(file.exists(), "{path}: {target}");
                std::fs::read_to_string(file).unwrap_or_default()
            };
            let mut anchors = text.lines().filter(|line| line.starts_with('#')).map(anchor);
            assert!(
                heading.is_empty() || anchors.any(|anchor| anchor == heading),
                "{path}: {target}"
            );
            found += 1;
        }
    }
    assert!(found > 40, "{found}");
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn reliability_md_lists_every_deliberate_fault() {
    // Goal: the two tables are the two lists of the code.
    let page = read("docs/reliability.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    let listed: Vec<&str> = names
        .filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        .collect();
    let mut known = Vec::new();
    for (path, begin) in [
        ("bridge/types/src/fault.rs", "    faults! {\n"),
        ("bridge/store/src/fault.rs", "pub enum StoreFault {\n"),
    ] {
        assert!(!is_test(path));
        let source = read(path);
        let body = source
            .split(begin)
            .nth(1)
            .unwrap_or_else(|| panic!("{path} has no {begin:?}"));
        let body = body.split("\n    }\n").next().unwrap();
        let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        known.extend(lines.filter_map(|line| line.strip_suffix(',')).map(str::to_owned));
    }
    let (listed_set, known_set): (BTreeSet<&str>, BTreeSet<&str>) = (
        listed.iter().copied().collect(),
        known.iter().map(String::as_str).collect(),
    );
    assert_eq!(listed_set, known_set);
    assert_eq!(listed.len(), listed_set.len(), "a fault is listed twice");
}
