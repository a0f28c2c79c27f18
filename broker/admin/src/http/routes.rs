//! Which path leads where.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::health::told;
use super::site::Site;
use super::{api, assets, page, websocket};

/// How metrics are written (OpenMetrics).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a port can have, beside the health of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The dashboard, or the page in its place.
    Dashboard,
    /// The API.
    Api,
    /// Metrics for Prometheus.
    Metrics,
    /// MQTT over WebSocket.
    WebSocket,
}

/// The paths of a port with these parts.
pub(super) fn router(site: &Arc<Site>, parts: &[Part]) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(|| async { Json(json!({"alive": true})) }))
        .route("/readyz", get(ready));
    for part in parts {
        router = match part {
            Part::Dashboard => router
                .route("/", get(index))
                .route(page::PATH, get(figures))
                .route(page::STYLE_PATH, get(page::style))
                .route("/dashboard.json", get(dashboard))
                .fallback(assets::serve),
            Part::Api => router.merge(api::router()),
            Part::Metrics => router.route("/metrics", get(metrics)),
            Part::WebSocket => router.route("/mqtt", get(websocket::upgrade)),
        };
    }
    if !parts.contains(&Part::Dashboard) {
        router = router.fallback(assets::nothing);
    }
    router.with_state(site.clone())
}

async fn ready(State(site): State<Arc<Site>>) -> Response {
    let not_ready = site.not_ready();
    let status = match not_ready {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(told(not_ready))).into_response()
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], site.metrics()).into_response()
}

async fn index(State(site): State<Arc<Site>>, request: Request) -> Response {
    assets::index(request.headers()).unwrap_or_else(|| page::index(&site))
}

/// The page without JavaScript, whether or not there is a dashboard.
async fn figures(State(site): State<Arc<Site>>) -> Response {
    page::index(&site)
}

/// What the dashboard has to know before it connects.
async fn dashboard(State(site): State<Arc<Site>>) -> Json<Value> {
    let settings = &site.settings;
    let mut told = json!({
        "inbox_prefix": settings.inbox_prefix,
        "mqtt_path": settings.websocket.map(|_| "/mqtt"),
        "anonymous": settings.anonymous,
        "version": settings.version,
    });
    if let (Some(Some(port)), Some(told)) = (settings.websocket, told.as_object_mut()) {
        told.insert("mqtt_port".to_owned(), port.into());
    }
    Json(told)
}
