//! What a run found.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::asking::Checked;
use super::ledger::Ledger;
use super::message::PUBLISHERS;
use super::ordinary::{Parts, RetainedChecked, SessionsChecked, WillsChecked};
use super::plan::{Plan, Watermark};

/// The figures of a run, and what was wrong.
#[derive(Debug, Clone)]
pub struct Report {
    /// Where the random choices came from.
    pub seed: u64,
    /// SIGKILLs.
    pub kills: u64,
    /// Those at start-up.
    pub kills_at_start: u64,
    /// Those after SIGTERM.
    pub kills_at_shutdown: u64,
    /// Shutdowns that had ended before their SIGKILL: in good order.
    pub orderly: u64,
    /// Lives with RUST_LOG=trace, and with a nearly full disk.
    pub traced: u64,
    /// Lives with a nearly full disk.
    pub nearly_full: u64,
    /// Second brokers that tried the directory.
    pub second_brokers: u64,
    /// Publishes that the disk watermark refused.
    pub refused: u64,
    /// Refused publishes of MQTT 3.1.1 publishers that were acknowledged, because a notice tells of them.
    pub bounced: u64,
    /// Those that no notice names, but one counts.
    pub bounced_unnamed: u64,
    /// Notices received.
    pub notices: u64,
    /// Publishes that were acknowledged.
    pub pubacks: u64,
    /// Messages received.
    pub deliveries: u64,
    /// Received again although they had been acknowledged.
    pub duplicates: u64,
    /// Received again because they had not been acknowledged.
    pub replayed: u64,
    /// Acknowledgements that were known to be durable: these messages did not come again.
    pub settled: u64,
    /// Publishes that repeated an acknowledged one with its `id`, and were answered.
    pub repeated: u64,
    /// What was checked of receipts, and of senders that changed their minds.
    pub asked: Checked,
    /// What of ordinary topics was to be checked.
    pub ordinary: Parts,
    /// What was checked of retained messages.
    pub retained: RetainedChecked,
    /// What was checked of kept sessions.
    pub sessions: SessionsChecked,
    /// Of wills.
    pub wills: WillsChecked,
    /// Acknowledged publishes that were never received.
    pub lost: u64,
    /// Messages out of order.
    pub out_of_order: u64,
    /// Everything that was wrong, those included.
    pub violations: Vec<String>,
    took: Duration,
}

impl Report {
    pub(super) fn new(seed: u64) -> Self {
        Report {
            seed,
            kills: 0,
            kills_at_start: 0,
            kills_at_shutdown: 0,
            orderly: 0,
            traced: 0,
            nearly_full: 0,
            second_brokers: 0,
            refused: 0,
            bounced: 0,
            bounced_unnamed: 0,
            notices: 0,
            pubacks: 0,
            deliveries: 0,
            duplicates: 0,
            replayed: 0,
            settled: 0,
            repeated: 0,
            asked: Checked::default(),
            ordinary: Parts::default(),
            retained: RetainedChecked::default(),
            sessions: SessionsChecked::default(),
            wills: WillsChecked::default(),
            lost: 0,
            out_of_order: 0,
            violations: Vec::new(),
            took: Duration::ZERO,
        }
    }

    pub(super) fn count_kill(&mut self, asked: bool, was_orderly: bool, plan: &Plan) {
        self.orderly += u64::from(was_orderly);
        self.kills += u64::from(!was_orderly);
        self.kills_at_shutdown += u64::from(asked && !was_orderly);
        self.traced += u64::from(plan.trace);
        self.nearly_full += u64::from(plan.watermark != Watermark::Off);
    }

    pub(super) fn finish(&mut self, ledger: &Ledger, took: Duration) {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let counts = &ledger.counts;
        let (due, notices) = ledger.notices.counts();
        self.bounced = due + count(&counts.told) + count(&counts.untold);
        self.bounced_unnamed = (0..PUBLISHERS)
            .map(|publisher| ledger.notices.missing(publisher))
            .sum::<u64>()
            + count(&counts.untold);
        self.notices = notices;
        self.pubacks = count(&counts.accepted);
        self.deliveries = count(&counts.deliveries);
        self.duplicates = count(&counts.duplicates);
        self.replayed = count(&counts.replayed);
        self.settled = count(&counts.settled);
        self.repeated = count(&ledger.safe.repeated);
        self.asked = ledger.asking.checked();
        self.ordinary = ledger.ordinary.parts();
        (self.retained, self.sessions, self.wills) = ledger.ordinary.checked();
        self.lost = count(&counts.lost);
        self.out_of_order = count(&counts.out_of_order);
        self.violations = ledger.violations();
        self.took = took;
    }

    /// Whether the broker kept its promises.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_million = self.duplicates as f64 * 1e6 / self.deliveries.max(1) as f64;
        writeln!(out, "crash: seed {}, {:.0} s", self.seed, self.took.as_secs_f64())?;
        writeln!(
            out,
            "  kills {} ({} at start-up, {} at shutdown), and {} orderly shutdowns",
            self.kills, self.kills_at_start, self.kills_at_shutdown, self.orderly
        )?;
        writeln!(
            out,
            "  lives with RUST_LOG=trace {}, with a nearly full disk {} ({} publishes refused), second brokers {}",
            self.traced, self.nearly_full, self.refused, self.second_brokers
        )?;
        writeln!(out, "  PUBACKs and PUBRECs checked {}", self.pubacks)?;
        writeln!(
            out,
            "  refusals that were acknowledged {}, told by {} notices ({} of them counted only)",
            self.bounced, self.notices, self.bounced_unnamed
        )?;
        writeln!(
            out,
            "  repetitions of acknowledged publishes answered {}",
            self.repeated
        )?;
        let Checked {
            receipts,
            in_time,
            told,
        } = self.asked;
        writeln!(
            out,
            "  messages with receipts {receipts}, taken back, edited or replaced in time {in_time}, readers told {told}"
        )?;
        if self.ordinary.retained {
            writeln!(out, "  {}", self.retained)?;
        }
        if self.ordinary.sessions {
            writeln!(out, "  {}", self.sessions)?;
        }
        if self.ordinary.wills {
            writeln!(out, "  {}", self.wills)?;
        }
        writeln!(out, "  lost {}", self.lost)?;
        writeln!(out, "  out of order {}", self.out_of_order)?;
        writeln!(
            out,
            "  deliveries {}, of which duplicates {} ({per_million:.0} per million), replays of unacknowledged messages {}",
            self.deliveries, self.duplicates, self.replayed
        )?;
        writeln!(out, "  acknowledgements known to be durable {}", self.settled)?;
        write!(out, "  violations {}", self.violations.len())?;
        for violation in &self.violations {
            write!(out, "\n    {violation}")?;
        }
        Ok(())
    }
}
