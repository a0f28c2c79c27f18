//! What the sessions of a broker share.

use std::sync::Arc;

use access::{Access, Identity, Quotas};
use inbox_types::{ClientId, Node, Now};

use super::limits::MqttLimits;
use super::operators::Operators;
use crate::metrics::Metrics;
use intake::InboxNames;
use intake::Intake;

/// What every session of a broker uses.
pub struct Shared {
    /// The inboxes, the time, and what may be kept.
    pub node: Arc<Node>,
    /// Which topics are inboxes.
    pub names: InboxNames,
    /// Who clients are, and what they may do.
    pub access: Access,
    /// How much of it.
    pub quotas: Quotas,
    /// What one client may take.
    pub mqtt: MqttLimits,
    /// Longest packet that is taken, in bytes.
    pub packet_bytes_max: usize,
    /// Whether messages can be retained at all (MQTT 5, section 3.2.2.3.5).
    pub retains: bool,
    /// Who answers what operators ask.
    pub operators: Operators,
    /// What is counted.
    pub metrics: Metrics,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// `who` wrote to the inbox of `owner`: it is no stranger to it any more, or one that wrote before.
    pub(crate) fn wrote(&self, who: &Identity, owner: &ClientId) {
        if let Some(strangers) = self.access.strangers() {
            let changes = strangers.wrote(who, owner);
            if !changes.is_empty() {
                self.node.inboxes.keep_acquaintances(changes);
            }
        }
    }

    /// The door for what is published now.
    pub fn intake(&self, now: Now) -> Intake<'_> {
        Intake {
            access: &self.access,
            names: &self.names,
            now,
            age: self.node.inboxes.age(now),
            time_to_live: self.node.time_to_live,
        }
    }
}
