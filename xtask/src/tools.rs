//! The tools that the checks need, and how to get them.
//!
//! Debian packages are installed when we are root, as in a build container; otherwise the packages are named and it is
//! left to whoever owns the machine. Cargo's tools, Python's packages and MQTT.js need no rights: they go to cargo's own
//! directory and into the target directory.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Workspace;
use crate::steps::run;

/// A program and the Debian package that holds it.
const PROGRAMS: [(&str, &str); 9] = [
    // The clients are tried with it, too.
    ("mosquitto", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("mosquitto_sub", "mosquitto-clients"),
    ("python3", "python3"),
    ("bash", "bash"),
    ("valgrind", "valgrind"),
    ("node", "nodejs"),
    ("npm", "npm"),
    // 124 MB to fetch with what it needs: a real browser is the only one that behaves like one.
    ("chromium", "chromium"),
];

/// One of cargo's tools.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CargoTool {
    name: &'static str,
    version: &'static str,
    /// Features that make the build short.
    features: &'static [&'static str],
}

const CARGO_TOOLS: [CargoTool; 2] = [
    CargoTool {
        name: "cargo-nextest",
        version: "0.9.143",
        features: &["default-no-update"],
    },
    CargoTool {
        name: "cargo-deny",
        version: "0.20.2",
        features: &[],
    },
];
/// Only `cargo xtask fuzz` needs it.
pub(crate) const CARGO_FUZZ: CargoTool = CargoTool {
    name: "cargo-fuzz",
    version: "0.13.2",
    features: &[],
};
/// Only `cargo xtask mutants` needs it.
pub(crate) const CARGO_MUTANTS: CargoTool = CargoTool {
    name: "cargo-mutants",
    version: "27.1.0",
    features: &[],
};

/// Looks for every tool and installs what is missing; an error lists what it could not.
pub(crate) fn ensure(workspace: &Workspace) -> anyhow::Result<()> {
    debian_packages()?;
    for tool in CARGO_TOOLS {
        cargo_tool(tool)?;
    }
    python(workspace)?;
    mqttjs(workspace)
}

fn debian_packages() -> anyhow::Result<()> {
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_in_path(program))
        .map(|(_, package)| *package)
        .collect();
    let venv = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stderr(Stdio::null())
        .status();
    if !venv.is_ok_and(|status| status.success()) {
        packages.push("python3-venv");
    }
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    anyhow::ensure!(
        is_root(),
        "these Debian packages are missing: `sudo apt-get install {names}`"
    );
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(install)
        .args(&packages))
}

/// Installs one of cargo's tools if it is missing; in the dev profile, because they are run a few times and built once.
pub(crate) fn cargo_tool(tool: CargoTool) -> anyhow::Result<()> {
    let CargoTool {
        name,
        version,
        features,
    } = tool;
    let subcommand = name.strip_prefix("cargo-").unwrap_or(name);
    let probe = Command::new("cargo")
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if probe.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let mut install = Command::new("cargo");
    install.args([
        "install",
        "--locked",
        "--profile",
        "dev",
        "--no-default-features",
        "--version",
        version,
        name,
    ]);
    if !features.is_empty() {
        install.arg("--features").arg(features.join(","));
    }
    run(&mut install)
}

/// A virtual environment in the target directory, which `cargo clean` removes: the client of `clients/python` as it stands there, and what its
/// checks need, and the Python clients of the broker's tests, Paho and amqtt, as its `pyproject.toml` says.
pub(crate) fn python(workspace: &Workspace) -> anyhow::Result<()> {
    let (package, environment) = (workspace.root.join("clients/python"), workspace.target.join("python"));
    let (wanted, installed) = (package.join("pyproject.toml"), environment.join("pyproject.toml"));
    if std::fs::read(&installed).ok() == Some(std::fs::read(&wanted)?) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(workspace.python())
        .args(install)
        .args(["--editable", ".[dev]"])
        .current_dir(package))?;
    std::fs::copy(wanted, installed)?;
    Ok(())
}

/// What the lock file in `tests/mqttjs` names, in the target directory; nothing of it is run while it is installed.
fn mqttjs(workspace: &Workspace) -> anyhow::Result<()> {
    let (from, to) = (workspace.root.join("tests/mqttjs"), workspace.mqttjs());
    let lock = "package-lock.json";
    let is_there = to.join("node_modules/mqtt/package.json").is_file();
    if is_there && std::fs::read(to.join(lock)).ok() == Some(std::fs::read(from.join(lock))?) {
        return Ok(());
    }
    std::fs::create_dir_all(&to)?;
    for file in ["package.json", lock] {
        std::fs::copy(from.join(file), to.join(file))?;
    }
    run(Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&to))
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers are where only root's PATH leads.
    let mut directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    directories.any(|directory| directory.join(program).is_file())
}

/// Our own entry in /proc belongs to the user that we run as.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|metadata| metadata.uid() == 0)
}
