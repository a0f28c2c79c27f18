//! Third-party clients as processes. A tool that is missing fails the test with a sentence that names it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::running::{Running, run, run_within};
use crate::{Broker, DEADLINE};

/// How long an interpreter or a browser may take: they need seconds of a processor to start, and there may be less than one.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `mosquitto_pub ARGS` against the broker; fails the test when it fails.
pub fn mosquitto_pub(broker: &Broker, args: &[&str]) -> Output {
    let output = run(mosquitto("mosquitto_pub", broker).args(args));
    succeeded(&format!("mosquitto_pub {args:?}"), output)
}

/// Runs `mosquitto_sub ARGS` to its end, whatever that is.
pub fn mosquitto_sub_output(broker: &Broker, args: &[&str]) -> Output {
    run(mosquitto("mosquitto_sub", broker).args(args))
}

/// Runs `mosquitto_sub ARGS` to its end, which needs `-C COUNT` or `-E`; answers its lines.
pub fn mosquitto_sub(broker: &Broker, args: &[&str]) -> Vec<String> {
    lines(&format!("mosquitto_sub {args:?}"), mosquitto_sub_output(broker, args))
}

/// A `mosquitto_sub` that stays: it is subscribed when this returns.
pub fn mosquitto_sub_live(broker: &Broker, args: &[&str]) -> LiveTool {
    // -d writes "Subscribed (mid: 1): 1" to standard output.
    // Without stdbuf its lines would wait in a buffer, because standard output is a pipe.
    let mosquitto_sub = mosquitto("mosquitto_sub", broker);
    let mut command = Command::new("stdbuf");
    command
        .arg("-oL")
        .arg(mosquitto_sub.get_program())
        .args(mosquitto_sub.get_args())
        .arg("-d")
        .args(args);
    let tool = LiveTool::start(&mut command);
    tool.wait_for(|line| line.starts_with("Subscribed"));
    tool
}

/// Runs a script with the Python that has Paho, the broker's port as its first argument.
pub fn paho(broker: &Broker, script: &str, args: &[&str]) -> Vec<String> {
    python_script("the Paho script", broker, script, args)
}

/// Runs a script with the Python that has amqtt, the broker's port as its first argument.
pub fn amqtt(broker: &Broker, script: &str, args: &[&str]) -> Vec<String> {
    python_script("the amqtt script", broker, script, args)
}

fn python_script(what: &str, broker: &Broker, script: &str, args: &[&str]) -> Vec<String> {
    let mut python = python();
    python.args(["-c", script]).arg(broker.port().to_string()).args(args);
    lines(what, run_within(PATIENCE, &mut python))
}

/// Runs a script with Node and MQTT.js, the broker's port as its first argument.
pub fn mqttjs(broker: &Broker, script: &str, args: &[&str]) -> Vec<String> {
    let mut node = Command::new("node");
    node.env("NODE_PATH", mqttjs_modules()).args(["-e", script]);
    node.arg(broker.port().to_string()).args(args);
    lines("the MQTT.js script", run_within(PATIENCE, &mut node))
}

/// A program of the client packages, in `clients`, with what runs it: Python or Node, and the package as it stands there.
pub fn client_program(path: &str) -> Command {
    let clients = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients");
    let program = clients.join(path);
    let mut command = if path.ends_with(".py") {
        let mut python = python();
        python.env("PYTHONPATH", clients.join("python/src"));
        python
    } else {
        assert!(
            clients.join("js/node_modules/mqtt").is_dir() && clients.join("js/dist/index.js").is_file(),
            "clients/js is not built: run `npm ci --ignore-scripts && npm run build` there, or `cargo xtask test`"
        );
        Command::new("node")
    };
    command.arg(program);
    command
}

/// MQTT.js as one file for browsers.
pub fn mqttjs_for_browsers() -> Vec<u8> {
    std::fs::read(mqttjs_modules().join("mqtt/dist/mqtt.min.js")).unwrap()
}

/// Opens a page in Chromium, and waits until it is loaded; answers the page as HTML, as it is then, and leaves a picture of it.
/// A certificate that no authority signed is good enough, if its key has this hash (SHA-256 of the key in DER, in Base64).
pub fn chromium(url: &str, trusted: &str, picture: &Path) -> String {
    assert!(
        is_in_path("chromium"),
        "chromium is missing: install the Debian package chromium, or run `cargo xtask tools`"
    );
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new("chromium");
    // In containers there are neither users for its sandbox nor much shared memory; the page is our own.
    command.args(["--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]);
    command.args([
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("--ignore-certificate-errors-spki-list={trusted}"));
    command.args(["--window-size=800,480", "--dump-dom"]);
    command.arg(format!("--screenshot={}", picture.display())).arg(url);
    let output = succeeded("chromium", run_within(PATIENCE, &mut command));
    String::from_utf8(output.stdout).unwrap()
}

fn succeeded(tool: &str, output: Output) -> Output {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{tool} failed with {}: {stderr}",
        output.status
    );
    output
}

/// The lines on standard output of a tool that must succeed.
fn lines(tool: &str, output: Output) -> Vec<String> {
    String::from_utf8(succeeded(tool, output).stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A tool that runs beside the test. Dropping it kills it.
pub struct LiveTool {
    _running: Running,
    lines: Receiver<String>,
}

impl LiveTool {
    fn start(command: &mut Command) -> Self {
        let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(running.stdout());
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        LiveTool {
            _running: running,
            lines,
        }
    }

    /// The next line on standard output that `wanted` accepts.
    pub fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("the line did not come ({error}); these did: {seen:?}"),
            }
        }
    }
}

fn mosquitto(name: &str, broker: &Broker) -> Command {
    assert!(
        is_in_path(name),
        "{name} is missing: install the Debian package mosquitto-clients, or run `cargo xtask tools`"
    );
    let mut command = Command::new(name);
    command.args(["-h", "127.0.0.1", "-p"]).arg(broker.port().to_string());
    command
}

fn is_in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

/// Where MQTT.js is: `INBOX_TEST_MQTTJS`, or target/mqttjs/node_modules.
fn mqttjs_modules() -> PathBuf {
    let modules =
        std::env::var_os("INBOX_TEST_MQTTJS").map_or_else(|| target().join("mqttjs/node_modules"), PathBuf::from);
    let shown = modules.display();
    assert!(
        modules.join("mqtt").is_dir(),
        "{shown}/mqtt is missing: run `cargo xtask tools`, which installs MQTT.js there"
    );
    modules
}

/// Python of the virtual environment that `cargo xtask tools` makes: `INBOX_TEST_PYTHON`, or target/python.
fn python() -> Command {
    let path = std::env::var_os("INBOX_TEST_PYTHON")
        .map(PathBuf::from)
        .unwrap_or_else(|| target().join("python/bin/python"));
    let shown = path.display();
    assert!(
        path.is_file(),
        "{shown} is missing: run `cargo xtask tools`, which installs Paho and amqtt for Python there"
    );
    Command::new(path)
}

fn target() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target")
}
