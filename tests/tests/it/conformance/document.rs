//! `docs/conformance.md` against the tests that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The numbered statements of a section: all from 1 (or the first number that is used) to the last.
type Section = (&'static str, u32, u32);

/// Of MQTT 5, its appendix B.
const V5: [Section; 56] = [
    ("1.5.4", 1, 3),
    ("1.5.5", 1, 1),
    ("1.5.7", 1, 1),
    ("2.1.3", 1, 1),
    ("2.2.1", 2, 6),
    ("2.2.2", 1, 1),
    ("3.1.0", 1, 2),
    ("3.1.2", 1, 30),
    ("3.1.3", 1, 12),
    ("3.1.4", 1, 6),
    ("3.2.0", 1, 2),
    ("3.2.2", 1, 22),
    ("3.3.1", 1, 13),
    ("3.3.2", 1, 20),
    ("3.3.4", 1, 10),
    ("3.4.2", 1, 3),
    ("3.5.2", 1, 3),
    ("3.6.1", 1, 1),
    ("3.6.2", 1, 3),
    ("3.7.2", 1, 3),
    ("3.8.1", 1, 1),
    ("3.8.3", 1, 5),
    ("3.8.4", 1, 8),
    ("3.9.2", 1, 2),
    ("3.9.3", 1, 2),
    ("3.10.1", 1, 1),
    ("3.10.3", 1, 2),
    ("3.10.4", 1, 6),
    ("3.11.2", 1, 2),
    ("3.11.3", 1, 2),
    ("3.12.4", 1, 1),
    ("3.14.0", 1, 1),
    ("3.14.1", 1, 1),
    ("3.14.2", 1, 4),
    ("3.14.4", 1, 3),
    ("3.15.1", 1, 1),
    ("3.15.2", 1, 3),
    ("4.1.0", 1, 2),
    ("4.2.0", 1, 1),
    ("4.3.1", 1, 1),
    ("4.3.2", 1, 5),
    ("4.3.3", 1, 13),
    ("4.4.0", 1, 2),
    ("4.5.0", 1, 2),
    ("4.6.0", 1, 6),
    ("4.7.0", 1, 1),
    ("4.7.1", 1, 2),
    ("4.7.2", 1, 1),
    ("4.7.3", 1, 4),
    ("4.8.2", 1, 6),
    ("4.9.0", 1, 3),
    ("4.12.0", 1, 7),
    ("4.12.1", 1, 2),
    ("4.13.1", 1, 1),
    ("4.13.2", 1, 1),
    ("6.0.0", 1, 4),
];

/// Of MQTT 3.1.1, its appendix B.
const V311: [Section; 40] = [
    ("1.5.3", 1, 3),
    ("2.2.2", 1, 2),
    ("2.3.1", 1, 7),
    ("3.1.0", 1, 2),
    ("3.1.2", 1, 24),
    ("3.1.3", 1, 11),
    ("3.1.4", 1, 5),
    ("3.2.0", 1, 1),
    ("3.2.2", 1, 6),
    ("3.3.1", 1, 12),
    ("3.3.2", 1, 3),
    ("3.3.4", 1, 1),
    ("3.3.5", 1, 2),
    ("3.6.1", 1, 1),
    ("3.8.1", 1, 1),
    ("3.8.3", 1, 4),
    ("3.8.4", 1, 6),
    ("3.9.3", 1, 2),
    ("3.10.1", 1, 1),
    ("3.10.3", 1, 2),
    ("3.10.4", 1, 6),
    ("3.12.4", 1, 1),
    ("3.14.1", 1, 1),
    ("3.14.4", 1, 3),
    ("4.1.0", 1, 2),
    ("4.2.0", 1, 1),
    ("4.3.1", 1, 1),
    ("4.3.2", 1, 2),
    ("4.3.3", 1, 2),
    ("4.4.0", 1, 1),
    ("4.5.0", 1, 2),
    ("4.6.0", 1, 6),
    ("4.7.1", 1, 3),
    ("4.7.2", 1, 1),
    ("4.7.3", 1, 4),
    ("4.8.0", 1, 2),
    ("6.0.0", 1, 4),
    ("7.0.0", 1, 2),
    ("7.1.1", 1, 2),
    ("7.1.2", 1, 2),
];

/// What follows a citation of MQTT 3.1.1.
const OF_V311: &str = " of 3.1.1";

/// One row of the page.
struct Row {
    tests: BTreeSet<String>,
    result: String,
}

/// A clause: whether it is one of MQTT 3.1.1, and its number.
type Clause = (bool, String);

#[test]
fn the_page_and_the_tests_are_of_one_mind() {
    // Goal: every statement of both specifications has one row; each row names tests that exist or says why there is none; what code
    // and tests cite are clauses; and each clause that a test of this module says it covers has that test in its row.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/conformance.md")).unwrap();
    let rows = rows(&page);
    let mut wrong = Vec::new();

    let known: BTreeSet<Clause> = clauses(false, &V5).chain(clauses(true, &V311)).collect();
    let listed: BTreeSet<Clause> = rows.keys().cloned().collect();
    wrong.extend(known.difference(&listed).map(|clause| format!("{clause:?} has no row")));
    wrong.extend(
        listed
            .difference(&known)
            .map(|clause| format!("{clause:?} is no clause")),
    );

    let mut sources = Vec::new();
    for folder in ["tests/tests", "broker"] {
        read_sources(&root.join(folder), &mut sources);
    }
    let tests: BTreeSet<&str> = sources.iter().flat_map(|source| test_names(source)).collect();
    for (clause, row) in &rows {
        let missing = row.tests.iter().filter(|test| !tests.contains(test.as_str()));
        wrong.extend(missing.map(|test| format!("{clause:?} names {test}, which is no test")));
        let has_reason = ["the client's duty", "does not apply: "]
            .iter()
            .any(|reason| row.result.starts_with(reason));
        if row.tests.is_empty() && !has_reason {
            wrong.push(format!("{clause:?} has neither a test nor a reason"));
        }
        if !row.tests.is_empty() && !row.result.starts_with("holds") && !has_reason {
            wrong.push(format!("{clause:?} has no result"));
        }
    }

    let numbers: BTreeSet<&str> = known.iter().map(|(_, number)| number.as_str()).collect();
    for citation in sources.iter().flat_map(|source| source.split("MQTT-").skip(1)) {
        let cited = number_of(citation);
        if cited.contains('-') && !numbers.contains(cited) {
            wrong.push(format!("MQTT-{cited} is cited, and no clause has that number"));
        }
    }

    let mut suite = Vec::new();
    read_sources(&root.join("tests/tests/it/conformance"), &mut suite);
    for source in &suite {
        for (test, cited) in cited_by_tests(source) {
            let uncited =
                test != "the_page_and_the_tests_are_of_one_mind" && !rows.values().any(|row| row.tests.contains(test));
            if uncited && !cited.is_empty() {
                wrong.push(format!("{test} is on no row"));
            }
            for clause in cited {
                if !rows.get(&clause).is_some_and(|row| row.tests.contains(test)) {
                    wrong.push(format!("{clause:?} is cited by {test}, and its row does not say so"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn citations_are_read_as_they_are_meant() {
    // Goal: the check above sees what it is to see: both kinds of citation, over line ends, and not those behind the first statement.
    let source = "#[test]\nfn one() {\n    // Goal: MQTT-3.1.2-1, MQTT-3.1.2-2 of\n    // 3.1.1.\n    let x = 1; // MQTT-3.1.2-3\n}\n";
    let cited = cited_by_tests(source);
    assert_eq!(cited.len(), 1);
    assert_eq!(cited[0].0, "one");
    assert_eq!(
        cited[0].1,
        [(false, "3.1.2-1".to_owned()), (true, "3.1.2-2".to_owned())]
    );
    assert_eq!(
        test_names("#[tokio::test]\nasync fn two() {}\nfn no_test() {}\n"),
        ["two"]
    );
    let page = "## MQTT 5\n| 3.1.2-1 | X | `one` | holds |\n## MQTT 3.1.1\n| 3.1.2-1 | X | — | the client's duty |\n";
    let rows = rows(page);
    assert!(rows[&(false, "3.1.2-1".to_owned())].tests.contains("one"));
    assert!(rows[&(true, "3.1.2-1".to_owned())].tests.is_empty());
}

fn clauses(is_v311: bool, sections: &'static [Section]) -> impl Iterator<Item = Clause> {
    sections
        .iter()
        .flat_map(move |(section, first, last)| (*first..=*last).map(move |n| (is_v311, format!("{section}-{n}"))))
}

/// The rows of both tables. A clause with two rows fails the test.
fn rows(page: &str) -> BTreeMap<Clause, Row> {
    let mut rows = BTreeMap::new();
    let mut is_v311 = None;
    for line in page.lines() {
        match line {
            "## MQTT 5" => is_v311 = Some(false),
            "## MQTT 3.1.1" => is_v311 = Some(true),
            _ => {}
        }
        let cells: Vec<_> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let (Some(is_v311), [clause, _what, tests, result]) = (is_v311, &cells[..]) else {
            continue;
        };
        if !clause.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let tests = tests
            .split(", ")
            .filter_map(|test| test.strip_prefix('`')?.strip_suffix('`'));
        let row = Row {
            tests: tests.map(String::from).collect(),
            result: (*result).to_owned(),
        };
        let twice = rows.insert((is_v311, (*clause).to_owned()), row);
        assert!(twice.is_none(), "{clause} has two rows");
    }
    rows
}

fn read_sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// The functions behind `#[test]`, `#[tokio::test…]` and the like, in order.
fn test_names(source: &str) -> Vec<&str> {
    tests_of(source).into_iter().map(|(name, _)| name).collect()
}

/// The same, with what follows the line that names them.
fn tests_of(source: &str) -> Vec<(&str, &str)> {
    let mut tests = Vec::new();
    let attributes = source.match_indices("#[").filter(|(at, _)| {
        let attribute = source[*at..].split(']').next().unwrap();
        attribute == "#[test" || attribute.starts_with("#[tokio::test")
    });
    for (at, _) in attributes {
        if let Some((_, behind)) = source[at..].split_once("fn ")
            && let Some((name, body)) = behind.split_once('(')
        {
            tests.push((name, body.split_once('\n').map_or("", |(_, body)| body)));
        }
    }
    tests
}

/// The number that a citation begins with, behind `MQTT-`.
fn number_of(citation: &str) -> &str {
    let end = citation
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .unwrap_or(citation.len());
    citation[..end].trim_end_matches(['.', '-'])
}

/// Each test with the clauses that the comment at its beginning cites.
fn cited_by_tests(source: &str) -> Vec<(&str, Vec<Clause>)> {
    let cited = |body: &str| {
        let comment = body.lines().map_while(|line| line.trim_start().strip_prefix("//"));
        let comment = comment.map(str::trim).collect::<Vec<_>>().join(" ");
        let mut clauses = Vec::new();
        for citation in comment.split("MQTT-").skip(1) {
            let number = number_of(citation);
            if number.contains('-') {
                clauses.push((citation[number.len()..].starts_with(OF_V311), number.to_owned()));
            }
        }
        clauses
    };
    tests_of(source)
        .into_iter()
        .map(|(name, body)| (name, cited(body)))
        .collect()
}
