//! What operators ask, and the answers: commands with parameters and results in JSON, the same over MQTT and HTTP.
//!
//! **Promise:** a request costs a bounded amount of work and memory, however many inboxes there are; whoever wants more asks again from where the
//! answer ended (`next`). Answers that say that something is gone are given when that is durable.

mod backups;
mod clients;
mod inboxes;
mod message;
mod over_http;
mod sessions;

use std::sync::Arc;

use access::AUDIT_TARGET;
use inbox_bridge::{ClientId, Hub, Store};
use mqtt_session::{SessionTable, Shared};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::board::Figures;
use crate::error::OperatorError;
use crate::trace::{Trace, Traces};
pub use message::{exported, properties};
pub use sessions::{session, subscription};

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct Operator(Arc<Parts>);

/// What an operator reaches.
struct Parts {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    table: Arc<SessionTable>,
    figures: Arc<Figures>,
    traces: Arc<Traces>,
    /// Backups that may begin.
    backups: Arc<Semaphore>,
    /// Places at the store for who looks, and for who changes something, which can wait for the disk.
    looking: Semaphore,
    changing: Semaphore,
}

/// Who looks into the store at a time, and who changes something there, over MQTT and HTTP together: they must not keep mail waiting.
const LOOKING: usize = 2;
const CHANGING: usize = 2;

/// Parameters that name a trace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTrace {
    trace: u64,
}

/// Parameters that name a client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfClient {
    client: String,
}

/// Parameters of a request that needs none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Every command, in the order of the documentation.
const COMMANDS: [&str; 16] = [
    "inbox/list",
    "inbox/show",
    "inbox/peek",
    "inbox/purge",
    "inbox/export",
    "client/list",
    "client/show",
    "client/disconnect",
    "client/erase",
    "session/list",
    "session/show",
    "session/end",
    "trace/start",
    "trace/stop",
    "overview",
    "top",
];

impl Operator {
    /// Whoever asks through it reaches these.
    pub fn new(
        hub: Arc<Hub>,
        store: Arc<dyn Store>,
        shared: Arc<Shared>,
        table: Arc<SessionTable>,
        figures: Arc<Figures>,
    ) -> Self {
        Operator(Arc::new(Parts {
            hub,
            store,
            shared,
            table,
            figures,
            traces: Arc::default(),
            looking: Semaphore::new(LOOKING),
            changing: Semaphore::new(CHANGING),
            backups: Arc::new(Semaphore::new(1)),
        }))
    }

    /// Every command that it knows.
    pub fn commands() -> &'static [&'static str] {
        &COMMANDS
    }

    /// Does what is asked for, by somebody who may: `by`, as the audit log names it.
    ///
    /// # Errors
    /// See [`OperatorError`].
    pub async fn answer(&self, by: &str, command: &str, parameters: Value) -> Result<Value, OperatorError> {
        let parts = &self.0;
        let who = by.to_owned();
        match command {
            "inbox/list" => self.blocking(parameters, inboxes::list).await,
            "inbox/show" => self.blocking(parameters, inboxes::show).await,
            "inbox/peek" => {
                let peek = move |parts: &Parts, wanted| inboxes::peek(parts, &who, &wanted);
                self.blocking(parameters, peek).await
            }
            "inbox/export" => {
                let export = move |parts: &Parts, wanted| inboxes::export(parts, &who, &wanted);
                self.blocking(parameters, export).await
            }
            "inbox/purge" => {
                let purge = move |parts: &Parts, wanted| inboxes::purge(parts, &who, wanted);
                self.run(&parts.changing, read(parameters)?, purge).await
            }
            "client/list" => clients::list(parts, &read(parameters)?),
            "client/show" => clients::show(parts, &read(parameters)?),
            "client/disconnect" => clients::disconnect(parts, by, &read(parameters)?),
            "client/erase" => {
                let wanted: OfClient = read(parameters)?;
                let session = clients::end_session(parts, &wanted).await?;
                let erase = move |parts: &Parts, wanted: OfClient| clients::erase(parts, &who, &wanted, session);
                self.run(&parts.changing, wanted, erase).await
            }
            "session/list" => sessions::list(parts, read(parameters)?).await,
            "session/show" => sessions::show(parts, read(parameters)?).await,
            "session/end" => sessions::end(parts, by, read(parameters)?).await,
            // What it tells has to go somewhere: whoever can send more than one answer begins it.
            "trace/start" => Err(OperatorError::NoStream),
            "trace/stop" => {
                let stopped = parts.traces.stop(read::<OfTrace>(parameters)?.trace);
                Ok(json!({"stopped": stopped}))
            }
            "overview" => read::<Nothing>(parameters).map(|_| parts.figures.overview()),
            "top" => read::<Nothing>(parameters).map(|_| parts.figures.top()),
            unknown => Err(OperatorError::Unknown {
                command: unknown.chars().take(100).collect(),
                known: COMMANDS.join(", "),
            }),
        }
    }

    /// Begins to follow messages, as `trace/start` asks for.
    ///
    /// # Errors
    /// See [`OperatorError`].
    pub async fn trace(&self, by: &str, parameters: Value) -> Result<Trace, OperatorError> {
        let traced = read(parameters)?;
        let parts = self.0.clone();
        tracing::info!(by, "an operator begins to follow messages");
        let begun = tokio::task::spawn_blocking(move || parts.traces.start(&parts.shared.node, &*parts.store, traced));
        begun.await.unwrap_or(Err(OperatorError::Broken))
    }

    async fn blocking<P: DeserializeOwned + Send + 'static>(
        &self,
        parameters: Value,
        act: impl FnOnce(&Parts, P) -> Result<Value, OperatorError> + Send + 'static,
    ) -> Result<Value, OperatorError> {
        self.run(&self.0.looking, read(parameters)?, act).await
    }

    /// Does what may wait for the disk.
    async fn run<P: Send + 'static>(
        &self,
        places: &Semaphore,
        wanted: P,
        act: impl FnOnce(&Parts, P) -> Result<Value, OperatorError> + Send + 'static,
    ) -> Result<Value, OperatorError> {
        // The places are never closed.
        let _place = places.acquire().await.map_err(|_| OperatorError::Broken)?;
        let parts = self.0.clone();
        tokio::task::spawn_blocking(move || act(&parts, wanted))
            .await
            .unwrap_or(Err(OperatorError::Broken))
    }
}

fn read<P: DeserializeOwned>(parameters: Value) -> Result<P, OperatorError> {
    match parameters {
        Value::Object(_) => serde_json::from_value(parameters).map_err(OperatorError::Parameters),
        _ => Err(OperatorError::NoObject),
    }
}

/// A page of what was found, and where the next one begins.
fn page_of(name: &str, found: Vec<Value>, next: Option<Value>) -> Value {
    let mut answer = Map::new();
    answer.insert(name.to_owned(), Value::Array(found));
    answer.extend(next.map(|next| ("next".to_owned(), next)));
    Value::Object(answer)
}

/// Notes for the audit log what an operator changed.
fn audit(by: &str, what: &'static str, client: &ClientId, left: Option<(u64, bool)>) {
    let (messages, complete) = left.unzip();
    tracing::warn!(target: AUDIT_TARGET, event = "operate", what, %client, messages, complete, by, "an operator changed something");
}

/// Notes for the audit log that an operator looked at mail.
fn audit_look(by: &str, client: &ClientId, messages: usize) {
    tracing::info!(target: AUDIT_TARGET, event = "look", %client, messages, by, "an operator looked at mail");
}
