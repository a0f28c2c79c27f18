//! Environment variables that Kubernetes makes, and that begin as ours do.
//!
//! For every Service of a namespace, each of its pods gets variables that are named after the Service (and, as Docker links did before,
//! after its ports). A Service called `inboxd`, or `inboxd-tls`, so puts variables with our prefix into the broker's own environment.

use std::ffi::OsString;

/// Ways to write what a variable of a port holds.
const SCHEMES: [&str; 3] = ["tcp://", "udp://", "sctp://"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// The names in `environment` that are a Service's, and no settings.
pub fn ignored_variables(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, value)| is_service_variable(name, value))
        .map(|(name, _)| name)
        .collect()
}

/// Whether `name` with `value` is one of those. The value is looked at, too: INBOXD_MQTT_PORT=1884 is a slip of the pen that is to be
/// told.
pub(super) fn is_service_variable(name: &str, value: &str) -> bool {
    // No setting of one level, and two underscores separate levels.
    let Some(rest) = name.strip_prefix("INBOXD").filter(|_| !name.contains("__")) else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_url = SCHEMES.iter().any(|scheme| value.starts_with(scheme));
    if rest.ends_with("_SERVICE_HOST") {
        return !value.is_empty();
    }
    if rest.ends_with("_SERVICE_PORT") || rest.contains("_SERVICE_PORT_") {
        return is_number(value);
    }
    if rest.ends_with("_PORT") && is_url {
        return true;
    }
    // INBOXD_PORT_1883_TCP, and the same with _PROTO, _PORT or _ADDR behind it.
    let Some((_, port)) = rest.rsplit_once("_PORT_").or_else(|| {
        let (before, _last) = rest.rsplit_once('_')?;
        before.rsplit_once("_PORT_")
    }) else {
        return false;
    };
    let mut parts = port.split('_');
    parts.next().is_some_and(is_number)
        && parts.next().is_some_and(|protocol| PROTOCOLS.contains(&protocol))
        && match parts.next() {
            None => is_url,
            Some(part) => matches!(part, "PROTO" | "PORT" | "ADDR") && parts.next().is_none(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_service_are_known_by_name_and_value() {
        // Goal: all that Kubernetes makes for Services called inboxd and inboxd-tls, with named ports.
        for (name, value) in [
            ("INBOXD_SERVICE_HOST", "10.96.0.7"),
            ("INBOXD_SERVICE_PORT", "1883"),
            ("INBOXD_SERVICE_PORT_MQTT", "1883"),
            ("INBOXD_SERVICE_PORT_MQTT_WS", "8083"),
            ("INBOXD_PORT", "tcp://10.96.0.7:1883"),
            ("INBOXD_PORT_1883_TCP", "tcp://10.96.0.7:1883"),
            ("INBOXD_PORT_1883_TCP_PROTO", "tcp"),
            ("INBOXD_PORT_1883_TCP_PORT", "1883"),
            ("INBOXD_PORT_1883_TCP_ADDR", "10.96.0.7"),
            ("INBOXD_TLS_SERVICE_HOST", "fd00::7"),
            ("INBOXD_TLS_PORT_8883_TCP_ADDR", "fd00::7"),
            ("INBOXD_TLS_PORT", "tcp://[fd00::7]:8883"),
        ] {
            assert!(is_service_variable(name, value), "{name}={value}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_none_of_them() {
        // Goal: what an operator meant as a setting is still refused with a hint.
        for (name, value) in [
            ("INBOXD_MQTT_PORT", "1884"),
            ("INBOXD_PORT", "1884"),
            ("INBOXD_DATA_DIR", "/x"),
            ("INBOXD_MQTT__LISTEN", "127.0.0.1:1"),
            ("INBOXD_PORT_X_TCP", "tcp://10.0.0.1:1"),
            ("INBOXD_PORT_1883_TCP_SIZE", "3"),
            ("INBOXD_SERVICE_PORT", "tcp"),
            ("OTHER_SERVICE_HOST", "10.0.0.1"),
        ] {
            assert!(!is_service_variable(name, value), "{name}={value}");
        }
    }
}
