//! Answers of any length: one JSON value a line.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::operations::{ApiError, Operations, Request};
use super::answer::of_error;
use crate::bounds::PEEKED;

/// Lines that wait for whoever asked.
const LINES_MAX: usize = 16;
/// Messages that one question is for.
const PAGE_MESSAGES: u64 = PEEKED as u64;
const TYPE: &str = "application/x-ndjson";

/// A body whose lines come one by one.
struct Lines(mpsc::Receiver<Value>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = |value: Value| Ok(Frame::data(Bytes::from(format!("{value}\n"))));
        self.0.poll_recv(cx).map(|value| value.map(line))
    }
}

/// What `results` gives, while it lasts.
pub(super) fn stream(results: mpsc::Receiver<Value>) -> Response {
    ([(CONTENT_TYPE, TYPE)], Body::new(Lines(results))).into_response()
}

/// Every message of an inbox: the request is made again for the next page until there is none. What goes wrong later than at the first one is
/// told by the last line.
pub(super) async fn pages(operations: Arc<dyn Operations>, mut request: Request) -> Result<Response, ApiError> {
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
            left = left.saturating_sub(messages.len() as u64);
            for message in messages {
                if lines.send(message).await.is_err() {
                    return;
                }
            }
            let next = page.get("next").filter(|next| !next.is_null()).cloned();
            let Some(next) = next.filter(|_| left > 0) else { return };
            set(&mut request, "after", next);
            set(&mut request, "limit", left.min(PAGE_MESSAGES).into());
            page = match operations.answer(request.clone()).await {
                Ok(page) => page,
                Err(error) => {
                    let _gone = lines.send(of_error(&error)).await;
                    return;
                }
            };
        }
    });
    Ok(stream(taken))
}

fn set(request: &mut Request, name: &str, value: Value) {
    if let Some(parameters) = request.parameters.as_object_mut() {
        parameters.insert(name.to_owned(), value);
    }
}
