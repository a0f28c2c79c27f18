//! Answers of the API.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::super::operations::ApiError;
use crate::answer;
use crate::error::Code;

pub(super) fn succeeded(result: Value) -> Response {
    Json(answer::succeeded(result)).into_response()
}

pub(super) fn failed(error: &ApiError) -> Response {
    (status(error.code), Json(of_error(error))).into_response()
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::NotAllowed => StatusCode::FORBIDDEN,
        Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Code::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error as programs are told.
pub(super) fn of_error(error: &ApiError) -> Value {
    answer::failed(error.code, error)
}

/// What was answered before a handler of the API was asked, in the form that the API has.
pub(in crate::http) fn in_its_form(response: Response) -> Response {
    let (code, message) = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => (
            Code::BadRequest,
            "this path has other methods; the header Allow says which",
        ),
        StatusCode::SERVICE_UNAVAILABLE if !is_json(&response) => (Code::Busy, "the answer took too long"),
        StatusCode::BAD_REQUEST if !is_json(&response) => (Code::BadRequest, "the path of this request cannot be read"),
        _ => return response,
    };
    let (parts, _text) = response.into_parts();
    let mut told = failed(&ApiError::new(code, message));
    *told.status_mut() = parts.status;
    for (name, value) in &parts.headers {
        if name != CONTENT_TYPE && name != axum::http::header::CONTENT_LENGTH {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.contains("json"))
}
