//! The comparison: every workload against every broker, interleaved, so that what changes on the machine meanwhile meets all of them.

use super::Bench;
use super::generator::Label;
use super::launch::Launch;
use super::process::Broker;
use super::results::Measurement;
use super::statistics::Summary;
use super::workloads::{HALVES, Size, WORKLOADS, Workload};

/// No run takes longer, in seconds.
const TIMEOUT_S: u64 = 120;

/// Runs `rounds` rounds of the workloads named in `only`, or of all.
pub(crate) fn run(bench: &Bench, rounds: u32, only: &[String], size: Size) -> Vec<Measurement> {
    let mut done: Vec<Measurement> = Vec::new();
    for round in 1..=rounds {
        for workload in WORKLOADS.iter().filter(|it| is_wanted(it, only)) {
            eprintln!("\n==> round {round} of {rounds}: {}", workload.name);
            for launch in rotated(&bench.launches, round as usize - 1) {
                if workload.is_for(&launch.variant) {
                    let pace = pace(&done, &launch.variant.name());
                    done.push(measure(bench, workload, launch, round, size, pace));
                }
            }
        }
    }
    split_halves(&mut done);
    done
}

fn is_wanted(workload: &Workload, only: &[String]) -> bool {
    let is_named = |name: &str| only.is_empty() || only.iter().any(|it| it == name);
    let (first, second) = HALVES;
    // The second half comes with the first.
    workload.name != second && (is_named(workload.name) || (workload.name == first && is_named(second)))
}

/// Everyone begins once, so that no broker always comes after the same other one.
fn rotated(launches: &[Launch], by: usize) -> impl Iterator<Item = &Launch> {
    let count = launches.len().max(1);
    launches.iter().cycle().skip(by % count).take(launches.len())
}

/// Messages/s that a variant delivered with readers there; nothing if that was not measured.
fn pace(done: &[Measurement], variant: &str) -> Option<f64> {
    let of_variant = done.iter().filter(|it| it.workload == "p2p" && it.variant == variant);
    Summary::of(of_variant.filter_map(|it| it.figure("delivered_per_s"))).map(|it| it.median.max(1.0))
}

fn measure(
    bench: &Bench,
    workload: &Workload,
    launch: &Launch,
    round: u32,
    size: Size,
    pace: Option<f64>,
) -> Measurement {
    let label = Label {
        workload: workload.name.to_owned(),
        variant: launch.variant.name(),
        round,
        x: None,
    };
    let failed = |failure: String| {
        let measurement = label.failed(failure);
        super::generator::say(&measurement);
        measurement
    };
    let arguments = match workload.arguments(size, &launch.variant, pace) {
        Ok(arguments) => arguments,
        Err(reason) => return failed(reason),
    };
    match Broker::start(launch, &bench.scratch, None) {
        Ok(broker) => bench.generator.measure(&label, &broker, &arguments, TIMEOUT_S, None),
        Err(error) => failed(format!("{error:#}")),
    }
}

/// Storing and reading are one run, but two workloads.
fn split_halves(done: &mut Vec<Measurement>) {
    let (first, second) = HALVES;
    let halves: Vec<Measurement> = done
        .iter()
        .filter(|it| it.workload == first)
        .map(|it| Measurement {
            workload: second.to_owned(),
            ..it.clone()
        })
        .collect();
    done.extend(halves);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Variant;

    fn launch(name: &str) -> Launch {
        Launch {
            variant: Variant {
                peer: name.to_owned(),
                ..Default::default()
            },
            command: vec![],
            environment: vec![],
            program: String::new(),
            required: String::new(),
            after: vec![],
        }
    }

    /// Goal: each round begins with another broker and runs all of them.
    #[test]
    fn rounds_rotate() {
        let launches = ["a", "b", "c"].map(launch);
        let order = |by| {
            rotated(&launches, by)
                .map(|it| it.variant.peer.as_str())
                .collect::<String>()
        };
        assert_eq!([order(0), order(1), order(2), order(3)], ["abc", "bca", "cab", "abc"]);
        assert_eq!(rotated(&[], 1).count(), 0);
    }

    /// Goal: a run that stores and reads appears as both, and asking for either half runs it once.
    #[test]
    fn offline_has_two_halves() {
        let mut done = vec![Measurement {
            workload: "offline".to_owned(),
            ..Default::default()
        }];
        split_halves(&mut done);
        assert_eq!(done.len(), 2);
        assert_eq!(done[1].workload, "drain");
        let wanted = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|it| (*it).to_owned()).collect();
            WORKLOADS
                .iter()
                .filter(|it| is_wanted(it, &only))
                .map(|it| it.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(wanted(&["drain"]), ["offline"]);
        assert_eq!(wanted(&["p2p", "storm"]), ["p2p", "storm"]);
        assert_eq!(wanted(&[]).len(), WORKLOADS.len() - 1);
    }
}
