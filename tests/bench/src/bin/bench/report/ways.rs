//! The sections about inboxd in several ways, each of which can be measured, and written, without the rest of the page.

use crate::machine::date;
use crate::results::Part;
use crate::statistics::{Summary, number};
use crate::suites::Suite;

/// The section of a suite.
pub(crate) fn section(suite: &Suite, part: &Part) -> String {
    let Suite { title, flag, trials } = suite;
    let loads = Summary::of(part.measurements.iter().map(|it| it.load_average));
    let mut text = format!(
        "## {title}\n\ninboxd with its default engine: `cargo xtask bench {flag}` measures this section and writes it. The ways take turns in {} rounds; \
         figures are medians, with the least and the most. Began {}, on {} × {}, commit {}; the load average before a run was {}.\n",
        part.rounds,
        date(part.began_unix_s),
        part.machine.processors,
        part.machine.processor,
        part.commit,
        loads.map_or_else(|| "not known".to_owned(), Summary::text),
    );
    for trial in *trials {
        let Some(((heading, figure, _), reference)) = trial.columns.first().zip(trial.ways.first()) else {
            continue;
        };
        let headings: Vec<&str> = trial.columns.iter().map(|(heading, ..)| *heading).collect();
        let line = "---|".repeat(headings.len() + 3);
        text.push_str(&format!(
            "\n### {title}: {}\n\n{}\n\n| | {} | {heading} relative to {reference} | remarks |\n|{line}\n",
            trial.name,
            trial.what,
            headings.join(" | "),
        ));
        let median = |way: &str, figure: &str| part.summary(trial.name, way, figure);
        let base = median(reference, figure);
        for way in trial.ways {
            let cells = trial.columns.iter().map(|(_, figure, factor)| {
                median(way, figure).map_or_else(|| "–".to_owned(), |it| it.times(*factor).text())
            });
            let ratio = median(way, figure)
                .zip(base)
                .map(|(it, base)| number(it.median / base.median));
            text.push_str(&format!(
                "| {way} | {} | {} | {} |\n",
                cells.collect::<Vec<_>>().join(" | "),
                ratio.unwrap_or_else(|| "–".to_owned()),
                remarks(part, trial.name, way),
            ));
        }
    }
    text
}

fn remarks(part: &Part, trial: &str, way: &str) -> String {
    let said = part.of(trial, way).filter_map(|it| match &it.failure {
        Some(failure) => Some(failure.clone()),
        None => (!it.is_clean).then(|| "not clean".to_owned()),
    });
    said.collect::<Vec<_>>().join("; ")
}

/// `page` with this section, in the place of the one that it has, or before its last. A section ends where the next one begins.
pub(crate) fn put_into(page: &str, suite: &Suite, section: &str) -> String {
    let is_there = page.find(&format!("\n## {}\n", suite.title));
    let at = is_there.or_else(|| page.rfind("\n## ")).map_or(page.len(), |at| at + 1);
    let (before, rest) = page.split_at(at);
    let after = match is_there {
        None => rest,
        Some(_) => rest
            .get(1..)
            .and_then(|rest| rest.find("\n## "))
            .and_then(|end| rest.get(end + 2..))
            .unwrap_or_default(),
    };
    format!("{before}{section}\n{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::WAYS_IN;

    /// Goal: the section comes before the last one at first, and is replaced afterwards; nothing else of the page changes.
    #[test]
    fn the_section_is_replaced_alone() {
        let page = "# Page\n\n## One\n\ntext\n\n## Again\n\nend\n";
        let once = put_into(page, &WAYS_IN, "## Ways in\n\n### Ways in: x\n\nfirst\n");
        assert_eq!(
            once,
            "# Page\n\n## One\n\ntext\n\n## Ways in\n\n### Ways in: x\n\nfirst\n\n## Again\n\nend\n"
        );
        let twice = put_into(&once, &WAYS_IN, "## Ways in\n\nsecond\n");
        assert_eq!(
            twice,
            "# Page\n\n## One\n\ntext\n\n## Ways in\n\nsecond\n\n## Again\n\nend\n"
        );
    }
}
