//! Operators' requests over MQTT: each publish to `$SYS/inboxd/api/COMMAND` is answered at its Response Topic.

use std::sync::Arc;

use inbox_bridge::Qos;
use mqtt_session::OperatorsRequest;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::operator::{Operator, OperatorError};
use crate::speaking::Speaker;

/// Requests that are answered at a time: they read the store, and must not keep mail waiting.
const AT_A_TIME: usize = 4;

/// Answers requests as they come, for ever.
pub async fn answer_requests(requests: flume::Receiver<OperatorsRequest>, operator: Operator, speaker: Speaker) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    while let Ok(request) = requests.recv_async().await {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let (operator, speaker) = (operator.clone(), speaker.clone());
        tokio::spawn(async move {
            answer(&request, &operator, &speaker).await;
            drop(place);
        });
    }
}

async fn answer(request: &OperatorsRequest, operator: &Operator, speaker: &Speaker) {
    let answer = match parameters(&request.parameters) {
        Ok(parameters) => operator.answer(&request.who, &request.command, parameters).await,
        Err(error) => Err(error),
    };
    let Some(reply) = &request.reply else {
        return tracing::debug!(who = %request.who.client_id(), command = %request.command, "a request named no Response Topic");
    };
    // A request with QoS 2 is answered once, too, but nobody needs a second handshake for that.
    let qos = request.qos.min(Qos::AtLeastOnce);
    if let Err(error) = speaker.answer(&request.who, reply, qos, said(answer).to_string()).await {
        let who = request.who.client_id();
        tracing::info!(%who, topic = %reply.topic, %error, "an answer to an operator was not published");
    }
}

/// No payload is a request without parameters.
fn parameters(payload: &[u8]) -> Result<Value, OperatorError> {
    match payload {
        [] => Ok(json!({})),
        payload => serde_json::from_slice(payload).map_err(OperatorError::NoJson),
    }
}

/// An answer as it is sent.
pub(crate) fn said(answer: Result<Value, OperatorError>) -> Value {
    match answer {
        Ok(result) => json!({"ok": true, "result": result}),
        Err(error) => {
            json!({"ok": false, "error": {"code": error.code(), "message": error.to_string()}})
        }
    }
}
