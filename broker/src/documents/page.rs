//! Reading a document, and the repository around it.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a file, by its path from the root.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page for readers, by its path, with its text. The page of benchmarks is made by a program, and the one of conformance has a
/// test of its own.
pub(super) fn pages() -> Vec<(String, String)> {
    let mut paths = vec![
        "README.md".to_owned(),
        "ARCHITECTURE.md".to_owned(),
        "CHANGELOG.md".to_owned(),
    ];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "benchmarks.md" && name != "conformance.md" {
            paths.push(format!("docs/{name}"));
        }
    }
    paths.sort();
    assert!(paths.len() >= 8, "{paths:?}");
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// The part of a page below a heading, up to the next heading of the same or a higher level.
pub(super) fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let start = page
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no heading {heading:?}"));
    let body = &page[start + heading.len() + 2..];
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let (mut end, mut is_code) = (0, false);
    for line in body.split_inclusive('\n') {
        is_code ^= line.starts_with("```");
        let depth = line.bytes().take_while(|byte| *byte == b'#').count();
        if !is_code && depth > 0 && depth <= level && line.as_bytes().get(depth) == Some(&b' ') {
            break;
        }
        end += line.len();
    }
    &body[..end]
}

/// The rows of the table with this header, each as its cells. An empty first cell means the one above.
pub(super) fn table(section: &str, header: &str) -> Vec<Vec<String>> {
    let lines = section.lines().skip_while(|line| *line != header);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in lines.skip(2).take_while(|line| line.starts_with('|')) {
        let cells = line.trim().trim_matches('|').split('|');
        let mut cells: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
        if cells[0].is_empty() {
            cells[0] = rows.last().unwrap()[0].clone();
        }
        rows.push(cells);
    }
    assert!(!rows.is_empty(), "there is no table with the header {header:?}");
    rows
}

/// What stands between backticks, outside blocks of code.
pub(super) fn quoted(text: &str) -> Vec<&str> {
    let blocks = text.split("```").step_by(2);
    blocks.flat_map(|block| block.split('`').skip(1).step_by(2)).collect()
}

/// Every source file of the repository, as a path from the root with slashes, in order.
pub(super) fn sources() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["bridge", "broker", "client", "tests", "xtask", "fuzz"] {
        walk(&root().join(folder), folder, &mut found);
    }
    found.sort();
    assert!(found.len() > 300, "{}", found.len());
    found
}

fn walk(folder: &Path, name: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{name}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            if !path.ends_with("/target") && !path.ends_with("/corpus") {
                walk(&entry.path(), &path, found);
            }
        } else if path.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Whether a file or folder is there only for tests.
pub(super) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") && path.contains("/src/")
}

#[test]
fn pages_are_read_as_they_are_meant() {
    // Goal: the tests of the documents see what is there; a reader that finds nothing would let everything pass.
    let page = "# A\n\n## B\ntext `one`\n### C\n| x | y |\n|---|---|\n| a `b` | 1 |\n| | 2 |\n\n## D\n`two`\n```\n`no`\n```\n`three`\n";
    assert_eq!(quoted(section(page, "## B")), ["one", "b"]);
    assert_eq!(quoted(section(page, "## D")), ["two", "three"]);
    let rows = table(section(page, "### C"), "| x | y |");
    assert_eq!(rows, [["a `b`", "1"], ["a `b`", "2"]]);
    assert!(is_test("broker/src/config/tests/mod.rs") && !is_test("tests/tests/it/main.rs"));
}
