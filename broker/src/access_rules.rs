//! What clients may do, by section `[access]`: the rules of a file, and reading it again at SIGHUP.

use std::sync::Arc;

use access::{Rules, RulesError};
use inbox_bridge::{ClientId, Hub, Store, StoreError, Table, kept};
use mqtt_session::{Order, SessionTable, Shared};

use crate::addresses::is_reachable;
use crate::config::Config;
use crate::listening::spots;
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
            Ok(Rules::without_file(knows_users).operated_by_all(!knows_users && is_local(config)))
        }
    }
}

/// Whether nobody can connect but from this machine: by no listener, and by no HTTP port with MQTT over WebSocket.
fn is_local(config: &Config) -> bool {
    let mut entrances = spots(config).into_iter().filter(|spot| spot.has_mqtt);
    entrances.all(|spot| !is_reachable(spot.address))
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
    fn everybody_operates_only_where_nobody_comes_from_another_machine() {
        // Goal: by MQTT, or by MQTT over WebSocket on a port of HTTP, wherever that is; other parts of HTTP have a guard of their own.
        let is_local = |toml: &str| {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("inboxd.toml");
            std::fs::write(&file, toml).unwrap();
            let overrides = crate::config::Overrides::default();
            super::is_local(&Config::load(Some(&file), [], &overrides).unwrap())
        };
        let open = "[mqtt]\nallow_anonymous = true\n";
        assert!(is_local("") && is_local("[http]\nmetrics = \"0.0.0.0:9100\"\n"));
        assert!(!is_local(&format!("{open}listen = \"0.0.0.0:1883\"\n")));
        assert!(!is_local(&format!("{open}[http]\nlisten = \"0.0.0.0:8080\"\n")));
        assert!(!is_local(&format!("{open}[http]\nwebsocket = \"0.0.0.0:8081\"\n")));
        assert!(!is_local(&format!(
            "{open}[[listener]]\nname = \"ws\"\ntransport = \"ws\"\nlisten = \"0.0.0.0:8083\"\n"
        )));
    }

    #[test]
    fn the_example_can_be_used() {
        // Goal: the file that operators copy is one that the broker takes.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../acl.example.toml");
        if let Err(error) = Rules::load(&path, "") {
            panic!("{error}");
        }
    }
}
