//! From a request to the parameters of a command.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::time::timeout;

use super::super::operations::ApiError;
use super::table::{Kind, Method, Parameter, Route};
use crate::error::Code;

/// The parameters of a request.
pub(super) type Parameters = serde_json::Map<String, Value>;

/// A body is at most so long.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long it may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the parameters of `route` from the path, the query, and the body of a POST.
pub(super) async fn read(route: &Route, path: Vec<(String, String)>, request: Request) -> Result<Parameters, ApiError> {
    let mut parameters = Parameters::new();
    let query = request.uri().query().unwrap_or_default().as_bytes().to_vec();
    let of_query = form_urlencoded::parse(&query).map(|(name, value)| (name.into_owned(), value.into_owned()));
    for (name, value) in path.into_iter().chain(of_query) {
        add(route, &mut parameters, name, Value::String(value))?;
    }
    if route.method == Method::Post {
        for (name, value) in body(request).await? {
            add(route, &mut parameters, name, value)?;
        }
    }
    Ok(parameters)
}

fn add(route: &Route, parameters: &mut Parameters, name: String, value: Value) -> Result<(), ApiError> {
    let Some(known) = route.parameters.iter().find(|known| known.name == name) else {
        let known: Vec<&str> = route.parameters.iter().map(|known| known.name).collect();
        let known = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", known.join(", "))
        };
        return Err(bad(format_args!(
            "{} has no parameter of this name; {known}",
            route.command
        )));
    };
    let value = understood(known, value)?;
    match parameters.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(bad(format_args!("the parameter {} is there twice", known.name))),
    }
}

fn understood(parameter: &Parameter, value: Value) -> Result<Value, ApiError> {
    let number = || value.as_u64().or_else(|| value.as_str()?.parse().ok());
    match (parameter.kind, parameter.name, &value) {
        (Kind::Path | Kind::Text, _, Value::String(_)) => Ok(value),
        (Kind::Path | Kind::Text, name, _) => Err(bad(format_args!("{name} is text"))),
        (Kind::Number(least, most), name, _) => match number() {
            Some(number) if (least..=most).contains(&number) => Ok(number.into()),
            _ => Err(bad(format_args!("{name} is a whole number from {least} to {most}"))),
        },
    }
}

/// The JSON object in the body; nothing is one without keys.
async fn body(request: Request) -> Result<Parameters, ApiError> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("application/json"));
    let bytes = timeout(BODY_TIMEOUT, to_bytes(request.into_body(), BODY_BYTES_MAX)).await;
    let bytes = bytes.map_err(|_elapsed| bad("the body of the request took too long"))?;
    let bytes = bytes.map_err(|_| {
        bad(format_args!(
            "the body of the request is longer than {BODY_BYTES_MAX} bytes, or broke off"
        ))
    })?;
    if bytes.is_empty() {
        return Ok(Parameters::new());
    }
    // Pages of others can send any other type without asking.
    if !is_json {
        return Err(bad("the body of the request must be of the type application/json"));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| bad(format_args!("the body of the request is not a JSON object: {error}")))
}

fn bad(why: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::BadRequest, why)
}
