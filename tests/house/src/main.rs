//! `house`, for `cargo xtask house`: who imports whom, between crates and between modules. It fails on circles and on long files.
//!
//! A module imports another if a path in it, of a `use` or of an expression, leads there; re-exports are followed to where the thing is.
//! Paths are compared where they part: `a::b` importing `a::c::d` is `b → c` among the children of `a`, and `a::b` importing `x` is
//! `a → x` at the root. A module and its parent are one thing here, and so is what only tests import (`cfg(test)`).

mod crates;
mod graph;
mod modules;
mod source;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use graph::Graph;
use modules::Tree;

/// Show the imports of crates and modules, and fail on circles and long files.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask house", bin_name = "cargo xtask house")]
struct Arguments {
    /// Show the imports of modules at every level, and not only the circles
    #[arg(long)]
    modules: bool,
    /// Lines that a file outside tests may have
    #[arg(long, default_value_t = 400)]
    lines_max: usize,
    /// Another working tree of this repository
    #[arg(long)]
    root: Option<PathBuf>,
}

/// What is wrong, in sentences.
#[derive(Debug, Default)]
struct Findings {
    circles: Vec<String>,
    long_files: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match look(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("house: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Shows everything, and tells whether nothing is wrong.
fn look(arguments: &Arguments) -> anyhow::Result<bool> {
    let root = match &arguments.root {
        Some(root) => root.clone(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?,
    };
    let members = crates::members(&root)?;
    let between = crates::graph(&members);
    let mut findings = Findings::default();
    let mut text = format!("crates\n{}", between.text("  "));
    findings.note_circles("crates", &between);
    let mut files = 0;
    for member in &members {
        for target in member.targets()? {
            let tree = Tree::read(&target)?;
            let name = format!("{} ({})", member.name, relative(&target, &root));
            for (parent, level) in tree.levels() {
                let place = if parent.is_empty() {
                    name.clone()
                } else {
                    format!("{name} {parent}")
                };
                if arguments.modules && !level.is_empty() {
                    text.push_str(&format!("{place}\n{}", level.text("  ")));
                }
                findings.note_circles(&place, &level);
            }
        }
        for (file, lines) in member.files()? {
            files += 1;
            if lines > arguments.lines_max {
                findings
                    .long_files
                    .push(format!("{}: {lines} lines", relative(&file, &root)));
            }
        }
    }
    findings.long_files.sort();
    text.push_str(&format!("{} crates, {files} files that are no tests\n", members.len()));
    text.push_str(&findings.text(arguments.lines_max));
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("standard output is closed")?;
    Ok(findings.circles.is_empty() && findings.long_files.is_empty())
}

impl Findings {
    fn note_circles(&mut self, place: &str, graph: &Graph) {
        for circle in graph.circles() {
            self.circles.push(format!("{place}: {}", circle.join(", ")));
        }
    }

    fn text(&self, lines_max: usize) -> String {
        let list = |items: &[String]| items.iter().map(|it| format!("  {it}\n")).collect::<String>();
        format!(
            "{} circles\n{}{} files over {lines_max} lines\n{}",
            self.circles.len(),
            list(&self.circles),
            self.long_files.len(),
            list(&self.long_files)
        )
    }
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
