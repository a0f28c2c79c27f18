//! ARCHITECTURE.md: its map has every file that exists and none that does not, and its glossary one meaning for each word.

use std::collections::BTreeSet;

use super::page::{is_test, quoted, read, root, section, sources, table};

/// The paths that the map names, from the root; those that end with a slash stand for everything below.
fn mapped() -> BTreeSet<String> {
    let page = read("ARCHITECTURE.md");
    let mut mapped = BTreeSet::new();
    let mut crate_path = String::new();
    for line in section(&page, "## Code map").lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            // A heading of several folders has paths from the root below it.
            let folders = quoted(heading.split(" (").next().unwrap());
            crate_path = if folders.len() == 1 {
                folders[0].to_owned()
            } else {
                String::new()
            };
        } else if let Some(cell) = line.strip_prefix("| `").and_then(|row| row.split(" | ").next()) {
            let cell = format!("`{cell}");
            let mut beside = String::new();
            for name in quoted(&cell) {
                let path = if beside.is_empty() {
                    format!("{crate_path}{name}")
                } else {
                    format!("{beside}{name}")
                };
                if beside.is_empty() && !crate_path.is_empty() {
                    let folder = path.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
                    beside = path[..folder].to_owned();
                }
                mapped.insert(path);
            }
        }
    }
    mapped
}

#[test]
fn the_map_names_what_exists() {
    // Goal: no file in the map was moved or removed.
    let mapped = mapped();
    assert!(mapped.len() > 150, "{}", mapped.len());
    for path in mapped.iter().filter(|path| !path.contains(['*', '…'])) {
        let found = root().join(path);
        assert!(
            if path.ends_with('/') {
                found.is_dir()
            } else {
                found.is_file()
            },
            "there is no {path}"
        );
    }
}

#[test]
fn the_map_has_every_file() {
    // Goal: a new file is put on the map. Files of tests are found beside what they test.
    let mapped = mapped();
    let is_mapped = |path: &str| {
        mapped.contains(path)
            || mapped.iter().any(|known| match known.strip_suffix("*.rs") {
                Some(folder) => path.strip_prefix(folder).is_some_and(|rest| !rest.contains('/')),
                None => known.ends_with('/') && path.starts_with(known.as_str()),
            })
    };
    let missing: Vec<String> = sources()
        .into_iter()
        .filter(|path| !is_test(path) && !is_mapped(path))
        .collect();
    assert!(missing.is_empty(), "not in the map of ARCHITECTURE.md: {missing:#?}");
}

#[test]
fn the_glossary_gives_one_meaning_to_each_word() {
    // Goal: words are in order and there once, and none of them means one thing here and another there.
    let page = read("ARCHITECTURE.md");
    let rows = table(section(&page, "## Glossary"), "| Word | Meaning |");
    let words: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert!(words.is_sorted(), "{words:?}");
    let all = words.iter().flat_map(|word| word.split(", "));
    let mut seen = BTreeSet::new();
    for word in all {
        assert!(seen.insert(word), "{word} is there twice");
    }
    for row in &rows {
        assert!(
            !row[1].contains("; in `") && !row[1].starts_with("in `"),
            "{} has two meanings",
            row[0]
        );
    }
}
