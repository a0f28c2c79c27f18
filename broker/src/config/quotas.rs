//! The kinds of values of quotas, and the list of roles with quotas of their own, `[[quota.role]]`.

use access::RoleQuota;
use config::{Value, ValueKind};

use super::kind::{Count, Kind, Raw, Size};
use super::wrong_value::{RoleQuotasError, WrongValue};

/// Roles with quotas of their own.
const ROLES_MAX: usize = 64;
pub(super) const COUNT: Count = Count(0..=10_000_000);
pub(super) const BYTES: Size = Size(0..=1 << 40);

const PER_USER: &str = "connections_per_user";
const PUBLISHES: &str = "publishes_per_second";
const BYTES_PER_SECOND: &str = "publish_bytes_per_second";

/// As the kind in it, where 0 means that there is no limit.
pub(super) struct OrNone<K>(pub(super) K);

impl<T: Copy + Default + PartialEq, K: Kind<T>> Kind<Option<T>> for OrNone<K> {
    fn read(&self, raw: &Raw) -> Result<Option<T>, WrongValue> {
        let value = self.0.read(raw)?;
        Ok(Some(value).filter(|value| *value != T::default()))
    }

    fn write(&self, value: &Option<T>) -> toml::Value {
        self.0.write(&value.unwrap_or_default())
    }
}

/// Tables with `name` and the limits of that role; a limit that is left out is none.
pub(super) struct RoleQuotas;

impl Kind<Vec<(String, RoleQuota)>> for RoleQuotas {
    fn read(&self, raw: &Raw) -> Result<Vec<(String, RoleQuota)>, WrongValue> {
        let ValueKind::Array(tables) = &raw.value else {
            return Err(RoleQuotasError::NotAList.into());
        };
        if tables.len() > ROLES_MAX {
            return Err(RoleQuotasError::TooMany { most: ROLES_MAX }.into());
        }
        let mut roles: Vec<(String, RoleQuota)> = Vec::new();
        for table in tables {
            let (name, quota) = read_one(table)?;
            if roles.iter().any(|(other, _)| *other == name) {
                return Err(RoleQuotasError::Twice { name }.into());
            }
            roles.push((name, quota));
        }
        Ok(roles)
    }

    fn write(&self, value: &Vec<(String, RoleQuota)>) -> toml::Value {
        let table = |(name, quota): &(String, RoleQuota)| {
            let entries = [
                ("name", toml::Value::String(name.clone())),
                (PER_USER, OrNone(COUNT).write(&quota.connections_per_user)),
                (PUBLISHES, OrNone(COUNT).write(&quota.publishes_per_second)),
                (BYTES_PER_SECOND, OrNone(BYTES).write(&quota.publish_bytes_per_second)),
            ];
            toml::Value::Table(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            )
        };
        toml::Value::Array(value.iter().map(table).collect())
    }
}

fn read_one(table: &Value) -> Result<(String, RoleQuota), RoleQuotasError> {
    let ValueKind::Table(entries) = &table.kind else {
        return Err(RoleQuotasError::NotAList);
    };
    let name = match entries.get("name").map(|name| &name.kind) {
        Some(ValueKind::String(name)) if !name.is_empty() => name.clone(),
        _ => return Err(RoleQuotasError::Name),
    };
    let mut quota = RoleQuota::default();
    for (key, value) in entries {
        let raw = Raw {
            value: value.kind.clone(),
            untyped: false,
        };
        let read = match key.as_str() {
            "name" => Ok(()),
            PER_USER => OrNone(COUNT).read(&raw).map(|most| quota.connections_per_user = most),
            PUBLISHES => OrNone(COUNT).read(&raw).map(|rate| quota.publishes_per_second = rate),
            BYTES_PER_SECOND => OrNone(BYTES)
                .read(&raw)
                .map(|rate| quota.publish_bytes_per_second = rate),
            _ => return Err(RoleQuotasError::UnknownKey { name, key: key.clone() }),
        };
        read.map_err(|why| RoleQuotasError::Limit {
            name: name.clone(),
            key: key.clone(),
            why: Box::new(why),
        })?;
    }
    Ok((name, quota))
}
