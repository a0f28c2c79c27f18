//! Operators' requests over MQTT: each publish to `$SYS/inboxd/api/COMMAND` is answered at its Response Topic.

use std::sync::Arc;

use access::Identity;
use inbox_bridge::Qos;
use mqtt_session::OperatorsRequest;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::OperatorError;
use crate::operator::Operator;
use crate::speaking::Speaker;

/// Requests that are answered at a time: they read the store, and must not keep mail waiting.
const AT_A_TIME: usize = 4;
/// Traces are under way for minutes, and are counted apart.
const TRACE: &str = "trace/start";

/// Answers requests as they come, for ever.
pub async fn answer_requests(requests: flume::Receiver<OperatorsRequest>, operator: Operator, speaker: Speaker) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    while let Ok(request) = requests.recv_async().await {
        let place = match &*request.command {
            TRACE => None,
            _ => places.clone().acquire_owned().await.ok(),
        };
        let (operator, speaker) = (operator.clone(), speaker.clone());
        tokio::spawn(async move {
            answer(&request, &operator, &speaker).await;
            drop(place);
        });
    }
}

async fn answer(request: &OperatorsRequest, operator: &Operator, speaker: &Speaker) {
    let Some(reply) = &request.reply else {
        let (who, command) = (request.who.client_id(), &request.command);
        return tracing::info!(%who, %command, "a request of an operator named no Response Topic: it is not answered, and nothing was done");
    };
    let (who, qos) = (&request.who, request.qos.min(Qos::AtLeastOnce));
    let say = async |said: Value| {
        let said = speaker.answer(who, reply, qos, said.to_string()).await;
        if let Err(error) = &said {
            let (who, topic) = (who.client_id(), &reply.topic);
            tracing::info!(%who, %topic, %error, "an answer to an operator was not published");
        }
        said.is_ok()
    };
    let by = named(who);
    let parameters = parameters(&request.parameters);
    match (&*request.command, parameters) {
        (TRACE, Ok(parameters)) => match operator.trace(&by, parameters).await {
            Ok(mut trace) => {
                if say(said(Ok(json!({"trace": trace.number()})))).await {
                    while let Some(told) = trace.next().await {
                        if !say(told).await {
                            break;
                        }
                    }
                }
            }
            Err(error) => _ = say(said(Err(error))).await,
        },
        (command, Ok(parameters)) => {
            let answer = operator.answer(&by, command, parameters).await;
            say(said(answer)).await;
        }
        (_, Err(error)) => _ = say(said(Err(error))).await,
    }
}

/// Who asks, as the audit log names it.
fn named(who: &Identity) -> String {
    match who.user() {
        Some(user) => format!("client {} of user {user}", who.client_id()),
        None => format!("client {}", who.client_id()),
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
            json!({"ok": false, "error": {"code": error.code().as_str(), "message": error.to_string()}})
        }
    }
}
