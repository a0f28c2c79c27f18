//! What to log: levels, for everything or by target, as `log.level` and `RUST_LOG` say it.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The embedded router opens a span for every event at level info, which halves its throughput, and its records say nothing that an
/// operator could act on. A directive that names it turns it on.
const SILENT: &str = "rumqttd";
/// Crates whose records below `warn` are about themselves. A level for everything is a level for inboxd, so that `debug` shows what
/// inboxd does; a directive that names one of them turns it on.
const FOREIGN: [&str; 6] = ["sled", "fjall", "lsm_tree", "config", "mio", "tokio"];

/// The crates that inboxd is made of: a level for `inboxd` is one for all of them.
const OWN: [&str; 9] = [
    "access",
    "inbox_bridge",
    "inbox_store",
    "inbox_types",
    "intake",
    "mqtt_codec",
    "mqtt_session",
    "pubsub",
    "transport",
];
/// The level of what no directive speaks of, where none is for everything: whoever wants to see more of one part loses nothing of the others.
const REST: LevelFilter = LevelFilter::INFO;

/// Why a text does not say what to log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectivesError {
    /// There is nothing in it.
    #[error("it is empty; write a level (error, warn, info, debug, trace or off)")]
    Empty,
    /// One directive means nothing.
    #[error(
        "it holds {0:?}; write a level (error, warn, info, debug, trace or off), or target=level, with commas between them, \
         like \"info,inboxd=debug\""
    )]
    Directive(String),
}

/// Reads directives such as `info` or `warn,inboxd=debug`.
///
/// Stricter than [`EnvFilter`], for which a misspelt level is the name of a target, so that `debgu` would silence the log.
///
/// Nothing is logged of the target `silent`, unless a directive names it.
pub(crate) fn parse_directives(text: &str, silent: Option<&str>) -> Result<EnvFilter, DirectivesError> {
    let directives: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
        .collect();
    if directives.is_empty() {
        return Err(DirectivesError::Empty);
    }
    let mut general = None;
    for directive in &directives {
        let named = directive.rsplit_once('=');
        let level = named.map_or(*directive, |(_, level)| level);
        match level.parse::<LevelFilter>() {
            Ok(level) if !directive.ends_with('=') => general = if named.is_none() { Some(level) } else { general },
            _ => return Err(DirectivesError::Directive((*directive).to_owned())),
        }
    }
    let general = general.unwrap_or(REST);
    let quiet = FOREIGN
        .iter()
        .map(|name| format!("{name}={}", general.min(LevelFilter::WARN)));
    let own = directives
        .iter()
        .filter_map(|directive| directive.strip_prefix("inboxd="));
    let own = own.flat_map(|level| OWN.iter().map(move |name| format!("{name}={level}")));
    let all: Vec<String> = [general.to_string(), format!("{SILENT}=off")]
        .into_iter()
        .chain(silent.map(|name| format!("{name}=off")))
        .chain(quiet)
        .chain(own)
        .chain(directives.iter().map(|directive| (*directive).to_owned()))
        .collect();
    // Joined again because EnvFilter would take a blank after a comma as part of a name. What comes later wins.
    EnvFilter::builder()
        .parse(all.join(","))
        .map_err(|_| DirectivesError::Directive(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_levels_or_targets_with_levels() {
        // Goal: what people write is taken, and a misspelt level is an error instead of a silent log.
        for good in [
            "info",
            "INFO",
            "off",
            "warn,inboxd=debug",
            "info, inboxd::session=trace",
            "info,",
        ] {
            assert!(parse_directives(good, None).is_ok(), "{good:?}");
        }
        for bad in [
            "debgu",
            "inboxd",
            "inboxd=",
            "inboxd=loud",
            "info,inboxd=debug=x",
            "=",
            "info;debug",
        ] {
            assert!(
                matches!(parse_directives(bad, None), Err(DirectivesError::Directive(_))),
                "{bad:?}"
            );
        }
        for empty in ["", " ", ","] {
            assert!(
                matches!(parse_directives(empty, None), Err(DirectivesError::Empty)),
                "{empty:?}"
            );
        }
    }

    #[test]
    fn the_embedded_router_is_silent_unless_asked_for() {
        // Goal: a level for everything leaves rumqttd off; a directive that names it wins.
        let filter = |text| parse_directives(text, None).unwrap().to_string();
        assert!(filter("trace").contains("rumqttd=off"), "{}", filter("trace"));
        assert!(!filter("info,rumqttd=debug").contains("rumqttd=off"));
        assert!(filter("info,rumqttd=debug").contains("rumqttd=debug"));
    }

    #[test]
    fn a_level_for_everything_is_a_level_for_inboxd() {
        // Goal: `debug` does not drown inboxd in what its engines say about themselves, and `error` and `off` silence them, too.
        let filter = |text| parse_directives(text, None).unwrap().to_string();
        assert!(filter("debug").contains("sled=warn"), "{}", filter("debug"));
        assert!(filter("off").contains("sled=off"), "{}", filter("off"));
        assert!(filter("error").contains("fjall=error"), "{}", filter("error"));
        let asked = filter("info,sled=debug");
        assert!(asked.contains("sled=debug") && !asked.contains("sled=warn"), "{asked}");
    }

    #[test]
    fn a_level_for_inboxd_is_one_for_all_its_parts_and_takes_nothing_from_the_rest() {
        // Goal: who turns one part up, or misspells its name, still sees starts and refusals; `inboxd` is the whole broker.
        let filter = |text| parse_directives(text, None).unwrap().to_string();
        let debug = filter("inboxd=debug");
        assert!(
            debug.contains("mqtt_session=debug") && debug.contains("sled=warn"),
            "{debug}"
        );
        for text in ["inboxdd=debug", "sled=debug", "mqtt_session=trace"] {
            let all = filter(text);
            assert!(all.split(',').any(|directive| directive == "info"), "{all}");
        }
        assert!(
            !filter("warn,inboxd=debug")
                .split(',')
                .any(|directive| directive == "info")
        );
        let own = filter("inboxd=debug,mqtt_session=warn");
        assert!(
            own.contains("mqtt_session=warn") && !own.contains("mqtt_session=debug"),
            "{own}"
        );
    }
}
