//! One session, or one of its subscriptions, as one line: for people, or as JSON.

use serde_json::{Map, Value, json};

use crate::inbox_command::{name, rfc3339};
use crate::logging::json_in_one_line;

pub(super) fn list_header() -> String {
    format!(
        "{:>10} {:>14} {:>13} {:<27} CLIENT",
        "MESSAGES", "BYTES", "SUBSCRIPTIONS", "EXPIRES"
    )
}

/// A session of the API in a list; `None` where it is none.
pub(super) fn listed(session: &Value, json: bool) -> Option<String> {
    if json {
        return as_json(session);
    }
    let [messages, bytes, subscriptions] = ["messages", "bytes", "subscriptions"].map(|what| number(session, what));
    let expires = match is_connected(session)? {
        true => "connected".to_owned(),
        false => expires(session),
    };
    let client = name(session.get("client")?.as_str()?);
    Some(format!(
        "{messages:>10} {bytes:>14} {subscriptions:>13} {expires:<27} {client}"
    ))
}

/// The same by itself.
pub(super) fn shown(session: &Value, json: bool) -> Option<String> {
    if json {
        return as_json(session);
    }
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" };
    let is_connected = is_connected(session)?;
    let mut line = format!(
        "client={} connected={}",
        name(session.get("client")?.as_str()?),
        yes_or_no(is_connected)
    );
    if let Some(protocol) = session.get("protocol").and_then(Value::as_str) {
        line += &format!(" protocol={protocol}");
    }
    if let Some(durable) = session.get("durable").and_then(Value::as_bool) {
        line += &format!(" durable={}", yes_or_no(durable));
    }
    if !is_connected {
        line += &format!(" expires={}", expires(session));
    }
    for what in ["subscriptions", "messages", "bytes"] {
        line += &format!(" {what}={}", number(session, what));
    }
    Some(line)
}

/// A subscription of the API.
pub(super) fn subscription(subscription: &Value, json: bool) -> Option<String> {
    if json {
        return Some(json_in_one_line(&subscription.to_string()));
    }
    let filter = subscription.get("filter")?.as_str()?;
    Some(format!("qos={} filter={}", number(subscription, "qos"), name(filter)))
}

fn is_connected(session: &Value) -> Option<bool> {
    session.get("connected").and_then(Value::as_bool)
}

/// A dash where the connection did not say.
fn number(of: &Value, what: &str) -> String {
    let number = of.get(what).and_then(Value::as_u64);
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// When a session ends whose client is away.
fn expires(session: &Value) -> String {
    let number = |what: &str| session.get(what).and_then(Value::as_u64);
    match (number("expires_at"), number("expiry")) {
        (Some(at), _) => rfc3339(at),
        // It had a connection when its broker crashed.
        (None, Some(seconds)) => format!("{seconds}s-after-the-next-start"),
        (None, None) => "never".to_owned(),
    }
}

/// As the API has it, but for the time, and without its subscriptions.
fn as_json(session: &Value) -> Option<String> {
    let mut fields: Map<String, Value> = session.as_object()?.clone();
    fields.remove("filters");
    fields.remove("next");
    if let Some(at) = fields.remove("expires_at").and_then(|at| at.as_u64()) {
        fields.insert("expires".to_owned(), json!(rfc3339(at)));
    }
    Some(json_in_one_line(&Value::Object(fields).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_one_line_whatever_is_known_of_it() {
        // Goal: of who is there and who is away, with an end or without, of a connection that does not say, and of client IDs that could steer a terminal.
        let away = json!({"client": "a b", "connected": false, "durable": true, "expiry": 60, "expires_at": 0, "subscriptions": 2, "messages": 3, "bytes": 40});
        let mut crashed = away.clone();
        crashed.as_object_mut().unwrap().remove("expires_at");
        let mut forever = crashed.clone();
        forever.as_object_mut().unwrap().remove("expiry");
        let silent = json!({"client": "\u{1b}[2J", "connected": true});
        let listed = |session: &Value| listed(session, false).unwrap();
        let cells = |session: &Value| {
            listed(session)
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            cells(&away),
            ["3", "40", "2", "1970-01-01T00:00:00.000000Z", "\"a", "b\""]
        );
        assert_eq!(cells(&crashed)[3], "60s-after-the-next-start");
        assert_eq!(cells(&forever)[3], "never");
        assert_eq!(cells(&silent), ["-", "-", "-", "connected", "\"\\u{1b}[2J\""]);
        assert_eq!(
            shown(&away, false).unwrap(),
            "client=\"a b\" connected=no durable=yes expires=1970-01-01T00:00:00.000000Z subscriptions=2 messages=3 bytes=40"
        );
        assert_eq!(
            shown(&silent, false).unwrap(),
            "client=\"\\u{1b}[2J\" connected=yes subscriptions=- messages=- bytes=-"
        );
        let json: Value = serde_json::from_str(&shown(&away, true).unwrap()).unwrap();
        assert_eq!(
            (&json["expires"], json.get("expires_at")),
            (&json!("1970-01-01T00:00:00.000000Z"), None)
        );
        let filter = json!({"filter": "a/ #", "qos": 1});
        assert_eq!(subscription(&filter, false).unwrap(), "qos=1 filter=\"a/ #\"");
    }
}
