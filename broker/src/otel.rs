//! OpenTelemetry: a span for each message that is sampled, from its acceptance to its end, in builds that have it (feature `otel`).
//!
//! It is set up by OpenTelemetry's own environment variables. **Promise:** where they name no endpoint, nothing is listened to. Nobody waits
//! for a span: what cannot be kept up with is missed, and the log says so.

#[cfg(feature = "otel")]
mod client;
#[cfg(feature = "otel")]
mod exporting;
#[cfg(feature = "otel")]
mod spans;

use std::env;

use inbox_bridge::Node;

/// Any of these asks for spans (OpenTelemetry, "OTLP Exporter Configuration").
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// What sends spans, if anything does.
pub(crate) struct Otel {
    #[cfg(feature = "otel")]
    exporting: Option<exporting::Exporting>,
}

/// Whether the environment asks for spans.
fn is_wanted() -> bool {
    let is_off = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    let mut endpoints = ENDPOINTS.iter().filter_map(env::var_os);
    !is_off && endpoints.any(|value| !value.is_empty())
}

#[cfg(feature = "otel")]
impl Otel {
    /// Sends spans from now on, if the environment asks for them. Without them mail is served all the same.
    pub(crate) fn start(node: &Node) -> Self {
        let started = is_wanted().then(|| exporting::Exporting::start(node, None));
        let exporting = match started.transpose() {
            Ok(exporting) => exporting,
            Err(error) => {
                tracing::error!(%error, "no spans are sent: OpenTelemetry cannot be set up by its variables (OTEL_EXPORTER_OTLP_...)");
                None
            }
        };
        Otel { exporting }
    }

    /// Sends what there is, for a moment, and ends.
    pub(crate) async fn stop(self) {
        if let Some(exporting) = self.exporting {
            exporting.stop().await;
        }
    }
}

#[cfg(not(feature = "otel"))]
impl Otel {
    /// Says that this build has it not, if the environment asks for it.
    pub(crate) fn start(_node: &Node) -> Self {
        if is_wanted() {
            tracing::warn!("no spans are sent: this build has no OpenTelemetry; build it with --features otel");
        }
        Otel {}
    }

    /// Nothing is to be done.
    #[expect(clippy::unused_async, reason = "as in builds that have it")]
    pub(crate) async fn stop(self) {}
}
