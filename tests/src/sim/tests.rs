//! Tests of the simulator: runs that must pass, and that it notices what is wrong.

use inbox_bridge::{StoreFault, set_store_fault};

use super::*;

/// Goal: a share of the simulation in every test run; `cargo xtask sim` does more. Every contract rule is checked in each.
#[test]
fn the_contract_holds_in_simulated_worlds() {
    for seed in 0..150 {
        let outcome = run(seed, STEPS, None);
        if let Some(violation) = outcome.violation {
            panic!(
                "{}\nseed {seed} breaks the contract: {}",
                violation.trace, violation.what
            );
        }
    }
}

/// Goal: a seed means one run: the same trace every time, so that a printed seed reproduces a failure.
#[test]
fn a_seed_is_one_run() {
    for seed in [1, 2, 3] {
        assert_eq!(run(seed, STEPS, None), run(seed, STEPS, None));
    }
    assert_ne!(run(1, STEPS, None).hash, run(2, STEPS, None).hash);
}

/// Goal: the oracle has teeth: every deliberate fault, at least one per contract rule, is noticed within a few seeds. In two halves, which run beside each
/// other.
#[test]
fn every_deliberate_fault_is_noticed() {
    are_noticed(0);
}

#[test]
fn every_other_deliberate_fault_is_noticed() {
    are_noticed(1);
}

/// Goal: so are those of what ordinary topics keep, in the worlds that have some.
#[test]
fn every_deliberate_fault_of_ordinary_topics_is_noticed() {
    let missed = missed(Fault::ALL.iter().filter(|fault| fault.is_of_ordinary_topics()));
    assert!(missed.is_empty(), "not noticed in {SEEDS} seeds: {missed:?}");
}

/// Seeds in which a fault must be noticed.
const SEEDS: u64 = 400;

fn are_noticed(half: usize) {
    let faults = Fault::ALL.iter().filter(|fault| !fault.is_of_ordinary_topics());
    let missed = missed(faults.skip(half).step_by(2));
    assert!(missed.is_empty(), "not noticed in {SEEDS} seeds: {missed:?}");
}

/// Where to look first: for what few worlds show, at one that did.
fn first_world(fault: Fault) -> u64 {
    match fault {
        Fault::AckIdsEarly => 202,
        _ => 0,
    }
}

/// Those that no seed shows, of the worlds in which they can be seen.
fn missed<'f>(faults: impl Iterator<Item = &'f Fault>) -> Vec<&'f Fault> {
    let shows = |fault: Fault, seed: u64| run(seed, STEPS, Some(fault)).violation.is_some();
    let is_missed = |fault: &&Fault| {
        let ordinary = fault.is_of_ordinary_topics();
        let first = first_world(**fault);
        let mut seeds = (first..SEEDS)
            .chain(0..first)
            .filter(|seed| world::has_ordinary_topics(*seed) == ordinary);
        !seeds.any(|seed| shows(**fault, seed))
    };
    faults.filter(is_missed).collect()
}

/// Goal: so are mistakes of the store below the broker: what it promises about crashes is in every run.
#[test]
fn every_deliberate_fault_of_the_store_is_noticed() {
    const SEEDS: u64 = 100;
    let is_noticed = |fault: &StoreFault| {
        set_store_fault(Some(*fault));
        let noticed = (0..SEEDS).any(|seed| run(seed, STEPS, None).violation.is_some());
        set_store_fault(None);
        noticed
    };
    let missed: Vec<_> = StoreFault::ALL.iter().filter(|fault| !is_noticed(fault)).collect();
    assert!(missed.is_empty(), "not noticed in {SEEDS} seeds: {missed:?}");
}
