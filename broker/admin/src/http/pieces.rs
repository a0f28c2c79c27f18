//! An answer of bytes of any length, piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use inbox_bridge::BackupError;
use tokio::sync::mpsc;

/// The pieces of a backup as they are read. An error ends the connection without the end of the answer, so that nobody takes it for whole.
#[derive(Debug)]
pub struct Pieces {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Result<Bytes, BackupError>>,
}

impl Pieces {
    /// What comes from `rest`.
    pub fn of(rest: mpsc::Receiver<Result<Bytes, BackupError>>) -> Self {
        Pieces { first: None, rest }
    }

    /// The same, when there is a first piece, or the error in its place.
    pub(crate) async fn begun(mut self) -> Result<Self, BackupError> {
        self.first = self.rest.recv().await.transpose()?;
        Ok(self)
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = BackupError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BackupError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => self
                .rest
                .poll_recv(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }
}

impl IntoResponse for Pieces {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, "application/octet-stream"),
            (CONTENT_DISPOSITION, "attachment; filename=\"inboxd.backup\""),
        ];
        (headers, Body::new(self)).into_response()
    }
}
