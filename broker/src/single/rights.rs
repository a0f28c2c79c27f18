//! Who the clients of a broker on one thread are, and what they may do.

use std::sync::Arc;

use access::{Access, Anonymous, Authenticator, Rules, Strangers};
use inbox_bridge::{Clock, Limits, Node, Observer, StartError, Store};
use mqtt_session::{MqttLimits, Order};

use super::Single;

/// See the module's documentation.
pub struct Rights {
    /// Says who clients are, at once.
    pub authenticator: Arc<dyn Authenticator>,
    /// What they may do.
    pub rules: Rules,
    /// How many messages strangers may write (`inbox.strangers_max`).
    pub strangers_max: Option<u32>,
}

impl Default for Rights {
    /// Clients are who they say they are, and may do everything.
    fn default() -> Self {
        Rights {
            authenticator: Arc::new(Anonymous { is_everywhere: false }),
            rules: Rules::without_file(false),
            strangers_max: None,
        }
    }
}

impl Rights {
    pub(super) fn access(self, node: &Node) -> Access {
        let strangers = self.strangers_max.map(|most| Strangers::new(most, &node.budgets.all));
        Access::ruled(self.authenticator, self.rules).limiting(strangers)
    }
}

impl Single {
    /// Opens a broker on `store`, whose clients are who they say they are.
    ///
    /// # Errors
    /// The store failed at once.
    pub fn open(
        store: Arc<dyn Store>,
        limits: Limits,
        mqtt: MqttLimits,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        Single::open_for(Rights::default(), store, limits, mqtt, clock, observer)
    }

    /// The access rules were read again. Clients that are connected are looked at in their next turn.
    pub fn enforce(&mut self, rules: Rules) {
        self.hub.resize(rules.sizes());
        self.shared.access.enforce(rules);
        self.table.order_all(Order::Review);
    }
}
