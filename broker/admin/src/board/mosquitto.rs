//! Numbers under `$SYS/broker/`, by the names of Mosquitto (its manual, section "Broker Status"), for dashboards that know these.

use std::collections::BTreeMap;
use std::time::Duration;

use super::figures::Counts;
use super::load::{Load, MINUTES};

/// What was published last, and what averages need.
#[derive(Debug, Default)]
pub(super) struct Mosquitto {
    loads: BTreeMap<&'static str, Load>,
    measured: Option<Duration>,
    connected_max: u64,
    told: BTreeMap<String, String>,
}

impl Mosquitto {
    /// Topics and values that changed since the last call.
    pub(super) fn values(&mut self, counts: &Counts, now: Duration) -> Vec<(String, String)> {
        let elapsed = now.saturating_sub(self.measured.unwrap_or_default());
        self.measured = Some(now);
        self.connected_max = self.connected_max.max(counts.connected);
        let mut all: Vec<(String, String)> = Vec::new();
        let mut put = |name: &str, value: String| all.push((format!("$SYS/broker/{name}"), value));
        put("version", format!("inboxd version {}", counts.version));
        put("uptime", format!("{} seconds", counts.uptime.as_secs()));
        for (name, value) in [
            ("clients/connected", counts.connected),
            ("clients/active", counts.connected),
            ("clients/disconnected", counts.kept_sessions),
            ("clients/inactive", counts.kept_sessions),
            ("clients/total", counts.connected + counts.kept_sessions),
            ("clients/maximum", self.connected_max),
            ("messages/received", counts.packets_received),
            ("messages/sent", counts.packets_sent),
            ("messages/stored", counts.stored_messages),
            ("store/messages/count", counts.stored_messages),
            ("store/messages/bytes", counts.stored_bytes),
            ("publish/messages/received", counts.publishes_received),
            ("publish/messages/sent", counts.publishes_sent),
            ("publish/messages/dropped", counts.dropped),
            ("publish/bytes/received", counts.publish_bytes_received),
            ("publish/bytes/sent", counts.publish_bytes_sent),
            ("bytes/received", counts.bytes_received),
            ("bytes/sent", counts.bytes_sent),
            ("subscriptions/count", counts.subscriptions),
            ("retained messages/count", counts.retained),
            ("heap/current", counts.heap),
        ] {
            put(name, value.to_string());
        }
        for (name, total) in [
            ("messages/received", counts.packets_received),
            ("messages/sent", counts.packets_sent),
            ("publish/received", counts.publishes_received),
            ("publish/sent", counts.publishes_sent),
            ("publish/dropped", counts.dropped),
            ("bytes/received", counts.bytes_received),
            ("bytes/sent", counts.bytes_sent),
            ("connections", counts.connects),
            ("sockets", counts.sockets),
        ] {
            let averages = self.loads.entry(name).or_default().note(total, elapsed);
            for (average, minutes) in averages.into_iter().zip(MINUTES) {
                put(&format!("load/{name}/{minutes}min"), format!("{average:.2}"));
            }
        }
        all.retain(|(topic, value)| self.told.get(topic) != Some(value));
        self.told.extend(all.iter().cloned());
        all
    }
}
