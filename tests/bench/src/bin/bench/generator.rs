//! Running the load generator, and keeping what it found.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::machine;
use super::process::Broker;
use super::results::Measurement;
use super::statistics::{count, number};

/// The load generator.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) program: PathBuf,
}

/// Which measurement it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Label {
    pub(crate) workload: String,
    pub(crate) variant: String,
    pub(crate) round: u32,
    pub(crate) x: Option<f64>,
}

/// Seconds since 1970.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl Label {
    /// A measurement without figures yet.
    pub(crate) fn begin(&self) -> Measurement {
        Measurement {
            workload: self.workload.clone(),
            variant: self.variant.clone(),
            round: self.round,
            x: self.x,
            at_unix_s: unix_s(),
            load_average: machine::load_average(),
            ..Default::default()
        }
    }

    /// One that was not made.
    pub(crate) fn failed(&self, failure: String) -> Measurement {
        Measurement {
            failure: Some(failure),
            ..self.begin()
        }
    }
}

impl Generator {
    /// Drives `broker`, for at most `timeout_s` seconds, from the processors `cpus` or all. What goes wrong is in the result.
    pub(crate) fn measure(
        &self,
        label: &Label,
        broker: &Broker,
        arguments: &[String],
        timeout_s: u64,
        cpus: Option<&str>,
    ) -> Measurement {
        let mut measurement = label.begin();
        measurement.arguments = arguments.to_vec();
        match self.run(broker, arguments, timeout_s, cpus) {
            Ok((figures, is_clean)) => {
                measurement.figures = figures;
                measurement.is_clean = is_clean;
            }
            Err(failure) => measurement.failure = Some(failure.to_string()),
        }
        say(&measurement);
        measurement
    }

    fn run(
        &self,
        broker: &Broker,
        arguments: &[String],
        timeout_s: u64,
        cpus: Option<&str>,
    ) -> anyhow::Result<(BTreeMap<String, Value>, bool)> {
        let mut command = match cpus {
            None => Command::new(&self.program),
            Some(cpus) => {
                let mut command = Command::new("taskset");
                command.arg("-c").arg(cpus).arg(&self.program);
                command
            }
        };
        let mut child = command
            .args(arguments)
            .args(["--json", "--port", &broker.port.to_string()])
            .args(["--pid", &broker.pid.to_string(), "--timeout", &timeout_s.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // The result is one line, which fits into the pipe while this reads what is said meanwhile.
        let mut last = String::new();
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).lines() {
                last = line?;
                if !last.starts_with("load:") {
                    eprintln!("      {last}");
                }
            }
        }
        let mut result = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut result)?;
        }
        child.wait()?;
        let Ok(result) = serde_json::from_str::<Value>(&result) else {
            anyhow::bail!("{}", last.trim_start_matches("load: "));
        };
        let figures = result.get("figures").and_then(Value::as_object);
        Ok((
            figures
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            result.get("is_clean").and_then(Value::as_bool).unwrap_or(false),
        ))
    }
}

/// One line about a measurement.
pub(crate) fn say(measurement: &Measurement) {
    let rate = [
        "delivered_per_s",
        "stored_per_s",
        "connections_per_s",
        "orderly_ready_s",
    ]
    .into_iter()
    .find_map(|name| Some((name, measurement.figure(name)?)));
    let said = match (&measurement.failure, rate) {
        (Some(failure), _) => failure.clone(),
        (None, Some((name, value))) => format!("{name} {}", number(value)),
        (None, None) => "done".to_owned(),
    };
    let x = measurement.x.map(|x| format!(" {}", count(x))).unwrap_or_default();
    let clean = if measurement.is_clean || measurement.failure.is_some() {
        ""
    } else {
        " NOT CLEAN"
    };
    eprintln!(
        "    round {} {}{x}, {}: {said}{clean} (load {:.1})",
        measurement.round, measurement.workload, measurement.variant, measurement.load_average
    );
}
