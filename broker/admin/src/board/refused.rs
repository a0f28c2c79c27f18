//! What is refused, by cause.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::prometheus::INBOX_REFUSALS;

/// The causes for which anything was refused, with the totals now, and before, when it was so many seconds ago.
pub(super) fn by_cause(
    totals: &BTreeMap<&'static str, u64>,
    before: &BTreeMap<&'static str, u64>,
    seconds: f64,
) -> Vec<Value> {
    // Those with what was refused, and not counted a second time by why the inbox did.
    let mut causes: Vec<_> = totals
        .iter()
        .filter_map(|(name, total)| Some((name.strip_prefix("refused_")?, *total, name)))
        .filter(|(cause, total, _)| *total > 0 && !INBOX_REFUSALS.contains(cause))
        .collect();
    causes.sort_by_key(|(_, total, _)| std::cmp::Reverse(*total));
    let rate = |name: &str, total: u64| total.saturating_sub(before.get(name).copied().unwrap_or_default()) as f64;
    causes
        .into_iter()
        .map(|(cause, total, name)| json!({"cause": cause, "total": total, "per_second": rounded(rate(name, total) / seconds.max(0.001))}))
        .collect()
}

/// To hundredths: it is for people.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
