//! Counting by valgrind, and comparing with the committed baseline.
//!
//! Unlike times, these figures do not depend on what else the machine does. Each hot path runs with N and with 2N messages; the difference, divided by N, is the price of one message, without what comes before and after.
//!
//! Fewer instructions than the tolerance allows are a failure too: a baseline that is too high would hide the next loss.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::baseline::{Baseline, Verdict};

/// One hot path.
struct Benchmark {
    /// As the command line knows it.
    name: &'static str,
    /// N.
    messages: u64,
    /// How far the count may be from the baseline, either way.
    tolerance_percent: u64,
}

/// On one thread the counts are the same every time; the tolerance is for what the compiler makes of changes elsewhere: linking a second
/// engine in cost p2p-v311 5 %, by other inlining. sled works with threads of its own, and its counts of the same build were 2 % apart.
const BENCHMARKS: [Benchmark; 7] = [
    in_process("p2p-v5"),
    in_process("p2p-v311"),
    in_process("ordinary"),
    in_process("ordinary-kept"),
    in_process("offline"),
    in_process("replay"),
    Benchmark {
        name: "store-sled",
        messages: 16_384,
        tolerance_percent: 12,
    },
];

const fn in_process(name: &'static str) -> Benchmark {
    Benchmark {
        name,
        messages: 8_192,
        tolerance_percent: 8,
    }
}

const BASELINE: &str = "tests/bench/counts.toml";

/// Counts, and compares or accepts.
///
/// # Errors
/// A count is out of tolerance although the same compiler and C library made the program; or something could not be run.
pub(crate) fn run(accept: bool) -> anyhow::Result<()> {
    anyhow::ensure!(
        !inbox_bridge::CAN_MAKE_MISTAKES,
        "this build can make mistakes on purpose (feature `testing`), so it is not what is shipped; build it with --package inbox-bench"
    );
    let program = std::env::current_exe()?;
    // target/PROFILE/counts
    let target = program
        .ancestors()
        .nth(2)
        .context("this program is in no target directory")?;
    let scratch = target.join("counts");
    fs::create_dir_all(&scratch)?;
    let mut now = Baseline::new(environment()?);
    for benchmark in &BENCHMARKS {
        let count = instructions_per_message(&program, benchmark, &scratch)?;
        now.set(benchmark.name, count);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.toml");
    if accept {
        now.print();
        fs::write(&path, now.to_text()?).with_context(|| format!("cannot write {BASELINE}"))?;
        eprintln!("    {BASELINE} holds these figures now; commit it with the reason");
        return Ok(());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {BASELINE}"))?;
    compare(&now, &Baseline::parse(&text)?)
}

fn compare(now: &Baseline, accepted: &Baseline) -> anyhow::Result<()> {
    let verdicts = BENCHMARKS
        .iter()
        .map(|benchmark| Verdict::of(benchmark.name, benchmark.tolerance_percent, now, accepted));
    let mut outside = Vec::new();
    for verdict in verdicts {
        eprintln!("    {verdict}");
        if !verdict.is_within() {
            outside.push(verdict.to_string());
        }
    }
    if now.environment != accepted.environment {
        eprintln!(
            "    NOT CHECKED: the baseline was counted with {}",
            accepted.environment
        );
        eprintln!("    and this is {}: other code, so other counts", now.environment);
        return Ok(());
    }
    anyhow::ensure!(
        outside.is_empty(),
        "{}\nif this is meant, run `cargo xtask counts --accept`, and commit {BASELINE} with the reason",
        outside.join("\n")
    );
    Ok(())
}

/// The two runs go side by side: counting does not mind company.
fn instructions_per_message(program: &Path, benchmark: &Benchmark, scratch: &Path) -> anyhow::Result<u64> {
    let once = Counting::start(program, benchmark.name, benchmark.messages, scratch)?;
    let twice = Counting::start(program, benchmark.name, 2 * benchmark.messages, scratch)?;
    let (once, twice) = (once.instructions()?, twice.instructions()?);
    let more = twice
        .checked_sub(once)
        .with_context(|| format!("{}: twice the messages took fewer instructions", benchmark.name))?;
    Ok(more / benchmark.messages)
}

/// A run under callgrind. What it writes stays, for `callgrind_annotate`.
struct Counting {
    valgrind: std::process::Child,
    out: PathBuf,
}

impl Counting {
    fn start(program: &Path, name: &str, messages: u64, scratch: &Path) -> anyhow::Result<Self> {
        let out = scratch.join(format!("{name}-{messages}.out"));
        let valgrind = Command::new("valgrind")
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(program)
            .args(["run", name, &messages.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .context("valgrind could not be started; `cargo xtask tools` installs it")?;
        Ok(Counting { valgrind, out })
    }

    fn instructions(mut self) -> anyhow::Result<u64> {
        let status = self.valgrind.wait()?;
        anyhow::ensure!(
            status.success(),
            "counting for {} ended with {status}",
            self.out.display()
        );
        let text = fs::read_to_string(&self.out)?;
        total(&text).with_context(|| format!("{} holds no total", self.out.display()))
    }
}

/// The total of a callgrind file: its line `totals: N`, or `summary: N`.
fn total(text: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))
        .find_map(|number| number.trim().parse().ok())
}

/// What the counts depend on besides the source: compiler, C library, and which of its routines this processor gets.
fn environment() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = says(Command::new(rustc).arg("--version"))?;
    let libc = says(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let avx2 = if flags.split_whitespace().any(|flag| flag == "avx2") {
        " with AVX2"
    } else {
        ""
    };
    Ok(format!("{rustc}, {libc}, {}{avx2}", std::env::consts::ARCH))
}

fn says(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} could not be started"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(environment: &str, count: u64) -> Baseline {
        let mut baseline = Baseline::new(environment.to_owned());
        for benchmark in &BENCHMARKS {
            baseline.set(benchmark.name, count);
        }
        baseline
    }

    #[test]
    fn the_total_of_a_callgrind_file_is_found() {
        // Goal: both forms that callgrind writes.
        assert_eq!(
            total("events: Ir\nfn=(1) main\n1 5\n\ntotals: 133213977\n"),
            Some(133_213_977)
        );
        assert_eq!(total("summary: 42\n"), Some(42));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn more_and_fewer_instructions_are_told_by_name() {
        // Goal: a count out of tolerance fails, either way, with what to do.
        let accepted = counted("rustc 1", 10_000);
        assert!(compare(&counted("rustc 1", 10_800), &accepted).is_ok());
        assert!(compare(&counted("rustc 1", 9_200), &accepted).is_ok());
        for count in [9_199, 10_801] {
            let mut now = counted("rustc 1", 10_000);
            now.set("offline", count);
            let error = compare(&now, &accepted).unwrap_err().to_string();
            assert!(error.starts_with("offline: "), "{error}");
            assert!(error.contains("--accept") && !error.contains("p2p"), "{error}");
        }
    }

    #[test]
    fn another_compiler_is_no_failure() {
        // Goal: what the same source costs with other tools says nothing about a change.
        assert!(compare(&counted("rustc 2", 20_000), &counted("rustc 1", 10_000)).is_ok());
    }

    #[test]
    fn a_benchmark_without_a_baseline_is_a_failure() {
        // Goal: a new benchmark cannot stay unchecked.
        let accepted = Baseline::new("rustc 1".to_owned());
        assert!(compare(&counted("rustc 1", 1), &accepted).is_err());
    }
}
