//! Answers of any length: one JSON value a line.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::operations::{ApiError, Request};
use super::super::site::Live;
use super::answer::of_error;
use crate::error::Code;

/// Lines that wait for whoever asked.
const LINES_MAX: usize = 16;
/// Messages that one question is for.
const PAGE_MESSAGES: u64 = 20;
const TYPE: &str = "application/x-ndjson";

/// A body whose lines come one by one.
struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

fn answer(lines: mpsc::Receiver<Bytes>) -> Response {
    ([(CONTENT_TYPE, TYPE)], Body::new(Lines(lines))).into_response()
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

/// What `results` gives, while it lasts.
pub(super) fn stream(mut results: mpsc::Receiver<Value>) -> Response {
    let (lines, taken) = mpsc::channel(LINES_MAX);
    tokio::spawn(async move {
        loop {
            let result = tokio::select! {
                result = results.recv() => result,
                () = lines.closed() => return,
            };
            let Some(result) = result else { return };
            if lines.send(line(&result)).await.is_err() {
                return;
            }
        }
    });
    answer(taken)
}

/// Every message of an inbox: the request is made again for the next page until there is none. What goes wrong later than at the first one is
/// told by the last line.
pub(super) async fn pages(live: &Live, mut request: Request) -> Result<Response, ApiError> {
    let operations = live.operations.clone();
    let operations = operations.ok_or_else(|| ApiError::new(Code::Busy, "the broker does not take requests yet"))?;
    let mut left = request
        .parameters
        .get("limit")
        .and_then(Value::as_u64)
        .unwrap_or(u64::MAX);
    set(&mut request, "limit", left.min(PAGE_MESSAGES).into());
    let mut page = operations.answer(request.clone()).await?;
    let (lines, taken) = mpsc::channel(LINES_MAX);
    tokio::spawn(async move {
        loop {
            let messages = page
                .get_mut("messages")
                .and_then(Value::as_array_mut)
                .map(std::mem::take)
                .unwrap_or_default();
            for message in &messages {
                if lines.send(line(message)).await.is_err() {
                    return;
                }
            }
            left = left.saturating_sub(messages.len() as u64);
            let next = page.get("next").filter(|next| !next.is_null()).cloned();
            let Some(next) = next.filter(|_| left > 0) else { return };
            set(&mut request, "after", next);
            set(&mut request, "limit", left.min(PAGE_MESSAGES).into());
            page = match operations.answer(request.clone()).await {
                Ok(page) => page,
                Err(error) => {
                    let _gone = lines.send(line(&of_error(&error))).await;
                    return;
                }
            };
        }
    });
    Ok(answer(taken))
}

fn set(request: &mut Request, name: &str, value: Value) {
    if let Some(parameters) = request.parameters.as_object_mut() {
        parameters.insert(name.to_owned(), value);
    }
}
