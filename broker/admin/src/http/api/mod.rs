//! The API: requests of operators over HTTP, under the names and with the JSON that they have over MQTT.
//!
//! Who carries them out is not known here: see [`Operations`].

mod answer;
mod guard;
mod lines;
mod openapi;
mod parameters;
mod table;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, RawPathParams, Request as HttpRequest, State};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, on};
use serde_json::Value;

use super::operations::{ApiError, Performed, Request};
use super::peer::Peer;
use super::pieces::Pieces;
use super::site::Site;
use crate::error::Code;
pub(super) use answer::in_its_form;
use answer::{failed, succeeded};
use guard::{NotAllowed, allow};
use table::{Answered, ROUTES, Route};

/// What all paths of the API begin with.
pub(super) const ROOT: &str = "/api/";
/// Where the document of the API is.
const DOCUMENT: &str = "/api/v1/openapi.json";

/// The paths of the API.
pub(super) fn router() -> Router<Arc<Site>> {
    let mut router = Router::new().route(DOCUMENT, get(document));
    for route in &ROUTES {
        let handler = move |State(site): State<Arc<Site>>,
                            peer: Extension<Peer>,
                            path: RawPathParams,
                            request: HttpRequest| async move {
            let Extension(Peer(peer)) = peer;
            let path: Vec<_> = path
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            operate(&site, route, peer, path, request).await
        };
        router = router.route(&route.path_of_axum(), on(route.filter(), handler));
    }
    router.route("/api/*rest", axum::routing::any(nothing))
}

async fn nothing() -> Response {
    failed(&ApiError::new(
        Code::NotFound,
        format_args!("there is nothing at this path; {DOCUMENT} has what there is"),
    ))
}

/// The document of the API. It tells nothing of this broker, so everybody may have it.
async fn document(State(site): State<Arc<Site>>) -> Response {
    match openapi::document(site.settings.version).to_json() {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Carries one request out, if whoever asks may.
async fn operate(
    site: &Site,
    route: &'static Route,
    peer: SocketAddr,
    path: Vec<(String, String)>,
    request: HttpRequest,
) -> Response {
    let who = match allow(site, peer, request.headers()).await {
        Ok(who) => who,
        Err(why) => return not_allowed(site, peer, why),
    };
    let parameters = match parameters::read(route, path, request).await {
        Ok(parameters) => parameters,
        Err(error) => return failed(&error),
    };
    let Some(live) = site.live() else {
        return failed(&not_yet());
    };
    let Some(operations) = &live.operations else {
        return failed(&not_yet());
    };
    let request = Request {
        command: route.command,
        parameters: Value::Object(parameters),
        who: format!("{who} at {peer} over HTTP"),
    };
    let asked = request.parameters.clone();
    let done = match route.answered {
        Answered::Once => operations.answer(request).await.map(succeeded),
        Answered::ByMessage => lines::pages(operations.clone(), request).await,
        Answered::ByEvent => operations.stream(request).await.map(lines::stream),
        Answered::ByBytes => operations.backup(request).await.map(Pieces::into_response),
    };
    // What was done is in the audit log already, with what it came to.
    if let Some(error) = done.as_ref().err().filter(|_| route.changes) {
        let who = &who.to_string();
        (live.audit)(&Performed {
            command: route.command,
            parameters: &asked,
            who,
            peer,
            error,
        });
    }
    done.unwrap_or_else(|error| failed(&error))
}

fn not_yet() -> ApiError {
    ApiError::new(
        Code::Busy,
        "the broker does not take requests yet; try again in a moment",
    )
}

/// Tells whoever asked, and now and then the operator.
fn not_allowed(site: &Site, peer: SocketAddr, why: NotAllowed) -> Response {
    site.denied.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let told = site
        .denials
        .lock()
        .admits(why.name(), &peer.ip().to_string(), site.uptime());
    if let Some(left_out) = told {
        let left_out = (left_out > 0).then_some(left_out);
        tracing::info!(peer = %peer.ip(), cause = why.name(), left_out, "a request to the API was not allowed: {why}");
    }
    let error = ApiError::new(Code::NotAllowed, why);
    let mut response = failed(&error);
    if why.is_about_credentials() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        // Not Basic: browsers would keep a password, and send it from pages of others.
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"inboxd\""));
    }
    response
}
