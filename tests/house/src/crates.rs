//! The crates of the workspace, as their manifests say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::{Table, Value};

use crate::graph::Graph;

/// Tables of a manifest that name other crates.
const DEPENDENCIES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    directory: PathBuf,
    /// All that it depends on, its tests included: a circle over a test is one, too.
    dependencies: BTreeSet<String>,
    /// Directories of crates inside this one, which have their own files.
    others: Vec<PathBuf>,
}

/// Reads the manifests of the workspace at `root`.
pub(crate) fn members(root: &Path) -> anyhow::Result<Vec<Member>> {
    let workspace = manifest(root)?;
    let listed = workspace
        .get("workspace")
        .and_then(|it| it.get("members"))
        .and_then(Value::as_array);
    let listed = listed.with_context(|| format!("{} is no workspace", root.display()))?;
    let directories: Vec<PathBuf> = listed
        .iter()
        .filter_map(Value::as_str)
        .map(|it| root.join(it))
        .collect();
    directories
        .iter()
        .map(|directory| Member::read(directory, &directories))
        .collect()
}

/// Who depends on whom.
pub(crate) fn graph(members: &[Member]) -> Graph {
    let mut graph = Graph::default();
    for member in members {
        for other in members.iter().filter(|other| member.dependencies.contains(&other.name)) {
            graph.add(&member.name, &other.name);
        }
    }
    graph
}

fn manifest(directory: &Path) -> anyhow::Result<Table> {
    let path = directory.join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.parse().with_context(|| format!("{} is not TOML", path.display()))
}

impl Member {
    fn read(directory: &Path, all: &[PathBuf]) -> anyhow::Result<Self> {
        let manifest = manifest(directory)?;
        let name = manifest
            .get("package")
            .and_then(|it| it.get("name"))
            .and_then(Value::as_str);
        let tables = DEPENDENCIES.iter().filter_map(|table| manifest.get(*table)?.as_table());
        Ok(Member {
            name: name
                .with_context(|| format!("{} has no name", directory.display()))?
                .to_owned(),
            directory: directory.to_owned(),
            dependencies: tables.flat_map(|table| table.keys().cloned()).collect(),
            others: all
                .iter()
                .filter(|it| it.starts_with(directory) && *it != directory)
                .cloned()
                .collect(),
        })
    }

    /// The root files of the library, the programs, the integration tests and the benchmarks.
    pub(crate) fn targets(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut targets: Vec<PathBuf> = ["src/lib.rs", "src/main.rs"].map(|it| self.directory.join(it)).into();
        for place in ["src/bin", "tests", "benches"] {
            let directory = self.directory.join(place);
            for entry in entries(&directory)?.into_iter().filter(|it| !self.others.contains(it)) {
                targets.push(if entry.is_dir() { entry.join("main.rs") } else { entry });
            }
        }
        targets.retain(|it| it.is_file() && it.extension().is_some_and(|it| it == "rs"));
        Ok(targets)
    }

    /// The source files that are no tests, with their lines.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<(PathBuf, usize)>> {
        let mut files = Vec::new();
        let mut to_visit = vec![self.directory.join("src")];
        while let Some(path) = to_visit.pop() {
            if path.is_dir() {
                to_visit.extend(entries(&path)?.into_iter().filter(|it| !is_test(it)));
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
                files.push((path, text.lines().count()));
            }
        }
        Ok(files)
    }
}

/// `tests.rs` and `tests/` beside what they test.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|it| it == "tests")
}

/// What is in a directory, in order; nothing if there is none.
fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !directory.is_dir() {
        return Ok(vec![]);
    }
    let list = || -> std::io::Result<Vec<PathBuf>> { fs::read_dir(directory)?.map(|it| Ok(it?.path())).collect() };
    let mut entries = list().with_context(|| format!("{} cannot be listed", directory.display()))?;
    entries.sort();
    Ok(entries)
}
