//! What clients may do, by section `[access]`: the rules of a file, and reading it again at SIGHUP.

use std::sync::Arc;

use access::{Rules, RulesError};
use inbox_bridge::{ClientId, Hub, Store, StoreError, Table, kept};
use mqtt_session::{Order, SessionTable, Shared};

use crate::config::Config;
use crate::reload::Reloading;

/// The rules that `config` asks for.
///
/// # Errors
/// The file cannot be used.
pub fn load(config: &Config) -> Result<Rules, RulesError> {
    match &config.access.acl_file {
        Some(path) => Rules::load(path, &config.inbox.prefix),
        None => {
            let knows_users = config.auth.knows_users();
            let is_local = || {
                config
                    .all_listeners()
                    .iter()
                    .all(|listener| listener.listen.ip().is_loopback())
            };
            Ok(Rules::without_file(knows_users).operated_by_all(!knows_users && is_local()))
        }
    }
}

/// Brings back from `store` whom clients take messages from, and who wrote to whom.
///
/// # Errors
/// It cannot be read.
pub(crate) fn restore(shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    for (owner, said) in kept(store, Table::SENDERS)? {
        let owner = str::from_utf8(owner.as_bytes()).ok();
        // Only client IDs were ever put there.
        let Some(owner) = owner.and_then(|owner| ClientId::new(owner).ok()) else {
            continue;
        };
        let recipients = shared.access.recipients();
        if let Err(error) = recipients.restore(owner.clone(), &said, &shared.node.budgets.all) {
            tracing::error!(client = %owner, "{error}");
        }
    }
    if let Some(strangers) = shared.access.strangers() {
        for (key, value) in kept(store, Table::ACQUAINTANCES)? {
            strangers.restore(key.as_bytes(), &value);
        }
    }
    Ok(())
}

/// Has the file read again at SIGHUP. Clients that are connected and inboxes that are in memory are looked at then, too.
pub(crate) fn reload_with(
    reloading: &mut Reloading,
    config: &Config,
    hub: &Arc<Hub>,
    shared: &Arc<Shared>,
    table: &Arc<SessionTable>,
) {
    if config.access.acl_file.is_none() {
        return;
    }
    let (config, hub, shared, table) = (config.clone(), hub.clone(), shared.clone(), table.clone());
    reloading.add("access rules", move || {
        let rules = load(&config)?;
        hub.resize(rules.sizes());
        shared.access.enforce(rules);
        table.order_all(Order::Review);
        Ok::<_, RulesError>(())
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_can_be_used() {
        // Goal: the file that operators copy is one that the broker takes.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../acl.example.toml");
        if let Err(error) = Rules::load(&path, "") {
            panic!("{error}");
        }
    }
}
