//! What clients may do, by section `[access]`: the rules of a file, and reading it again at SIGHUP.

use std::sync::Arc;

use access::{Rules, RulesError};
use bytes::Bytes;
use inbox_bridge::ClientId;
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
        None => Ok(Rules::without_file(config.auth.knows_users())),
    }
}

/// Brings back what clients said in earlier runs of whom they take messages from.
pub(crate) fn restore(shared: &Shared, kept: Vec<(ClientId, Bytes)>) {
    for (owner, said) in kept {
        let recipients = shared.access.recipients();
        if let Err(error) = recipients.restore(owner.clone(), &said, &shared.node.budgets.all) {
            tracing::error!(client = %owner, "{error}");
        }
    }
}

/// Has the file read again at SIGHUP. Clients that are connected are looked at then, too.
pub(crate) fn reload_with(reloading: &mut Reloading, config: &Config, shared: &Arc<Shared>, table: &Arc<SessionTable>) {
    if config.access.acl_file.is_none() {
        return;
    }
    let (config, shared, table) = (config.clone(), shared.clone(), table.clone());
    reloading.add("access rules", move || {
        let rules = load(&config)?;
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
