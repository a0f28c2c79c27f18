//! Random lives. `PROPTEST_CASES=20000 cargo nextest run -p inbox-bridge random_lives` runs more of them.

use proptest::prelude::*;

use super::life::Life;
use super::ops::{Op, limits, ops};
use inbox_types::Limits;

fn live(limits: Limits, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut life = Life::new(limits);
    for op in ops {
        life.run(op)?;
    }
    life.end()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Goal: whatever happens to publishers, readers, clocks, commits and the machine, in whatever order, the contract holds: rule 3
    // (one outcome, yes only when safe), 4 (replay, window, DUP, nothing again over one connection), 5 (removal, settling), 6 (order, no seq twice), 9 (QoS 0), and the books
    // balance after every step. Failures that it found are tests of their own beside it.
    #[test]
    fn random_lives_keep_the_contract(limits in limits(), ops in ops()) {
        live(limits, &ops)?;
    }
}
