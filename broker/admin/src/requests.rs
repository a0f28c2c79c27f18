//! Operators' requests over MQTT: each publish to `$SYS/inboxd/api/COMMAND` is answered at its Response Topic.

use std::sync::Arc;
use std::time::Duration;

use access::Identity;
use inbox_bridge::Qos;
use mqtt_session::OperatorsRequest;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::answer::{failed, succeeded};
use crate::error::OperatorError;
use crate::operator::Operator;
use crate::speaking::Speaker;

/// Requests that are under way at a time; fewer of them are at the store.
const AT_A_TIME: usize = 16;
/// Traces are under way for minutes, and are counted apart.
const TRACE: &str = "trace/start";
/// How often it is looked whether the client that began a trace is there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    let (who, reply, qos) = (&request.who, &request.reply, request.qos.min(Qos::AtLeastOnce));
    let say = async |said: Value, qos: Qos| {
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
                let connected = speaker.connected_since(who);
                let mut looks = tokio::time::interval(LOOK_EVERY);
                let mut is_heard = say(said(Ok(json!({"trace": trace.number()}))), qos).await;
                while is_heard {
                    tokio::select! {
                        told = trace.next() => match told {
                            // Whatever the request had: what is kept of a trace would be followed by it, and told in its turn.
                            Some(told) => is_heard = say(told, Qos::AtMostOnce).await,
                            None => break,
                        },
                        // It is for the connection that asked, and ends with it.
                        _ = looks.tick() => is_heard = speaker.connected_since(who) == connected,
                    }
                }
            }
            Err(error) => _ = say(said(Err(error)), qos).await,
        },
        (command, Ok(parameters)) => {
            let answer = operator.answer(&by, command, parameters).await;
            say(said(answer), qos).await;
        }
        (_, Err(error)) => _ = say(said(Err(error)), qos).await,
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
fn said(answer: Result<Value, OperatorError>) -> Value {
    match answer {
        Ok(result) => succeeded(result),
        Err(error) => failed(error.code(), error),
    }
}
