//! The answer to a request as programs are told, the same over MQTT and HTTP.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::error::Code;

/// It was carried out, and this is what it gave.
pub(crate) fn succeeded(result: Value) -> Value {
    json!({"ok": true, "result": result})
}

/// It was not, for this reason.
pub(crate) fn failed(code: Code, why: impl Display) -> Value {
    json!({"ok": false, "error": {"code": code.as_str(), "message": why.to_string()}})
}
