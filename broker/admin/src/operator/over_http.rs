//! Requests that come over HTTP.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Operator;
use crate::http::{ApiError, Operations, Pieces, Request, Wanted};

/// What a trace tells and whoever asked has not taken.
const LINES_MAX: usize = 64;

impl Operations for Operator {
    fn answer(&self, request: Request) -> Wanted<'_, Value> {
        Box::pin(async move {
            let Request {
                command,
                parameters,
                who,
            } = request;
            Ok(Operator::answer(self, &who, command, parameters).await?)
        })
    }

    fn stream(&self, request: Request) -> Wanted<'_, mpsc::Receiver<Value>> {
        Box::pin(async move {
            let mut trace = self
                .trace(&request.who, request.parameters)
                .await
                .map_err(ApiError::from)?;
            let (lines, taken) = mpsc::channel(LINES_MAX);
            tokio::spawn(async move {
                let begun = json!({"trace": trace.number()});
                if lines.send(begun).await.is_err() {
                    return;
                }
                loop {
                    let told = tokio::select! {
                        told = trace.next() => told,
                        () = lines.closed() => return,
                    };
                    let Some(told) = told else { return };
                    if lines.send(told).await.is_err() {
                        return;
                    }
                }
            });
            Ok(taken)
        })
    }

    fn backup(&self, request: Request) -> Wanted<'_, Pieces> {
        Box::pin(async move { Ok(Operator::backup(self, &request.who).await?) })
    }
}
