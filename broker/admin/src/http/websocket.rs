//! `/mqtt`: from an HTTP request to an MQTT connection.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{Response as Answer, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use transport::{Admitted, UpgradeError, UpgradeRequest};

use super::patient::Patient;
use super::peer::Peer;
use super::site::Site;

type Io = TokioIo<Patient<TcpStream>>;

/// Answers a request for `/mqtt`.
pub(super) async fn upgrade(
    State(site): State<Arc<Site>>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
) -> Response {
    let Some(door) = site.live().and_then(|live| live.door.as_ref()) else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the broker is not ready for clients yet; try again\n",
        )
            .into_response();
    };
    let headers = request.headers().iter();
    let asked = UpgradeRequest {
        method: request.method().as_str(),
        target: request.uri().path_and_query().map_or("", |target| target.as_str()),
        headers: headers.map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
    };
    let admitted = match door.ask(&asked, peer) {
        Ok(admitted) => admitted,
        Err(error) => return refused(error.status(), &error.to_string()),
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return refused(
            UpgradeError::NotAnUpgrade.status(),
            &UpgradeError::NotAnUpgrade.to_string(),
        );
    };
    let accept = admitted.accept.clone();
    tokio::spawn(serve(upgrade, admitted));
    let answer = Answer::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .header(SEC_WEBSOCKET_PROTOCOL, "mqtt");
    answer.body(Body::empty()).unwrap_or_default()
}

fn refused(status: u16, why: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let text = format!("{why}\n");
    match status {
        StatusCode::UPGRADE_REQUIRED => {
            let headers = [
                (CONNECTION, "Upgrade"),
                (UPGRADE, "websocket"),
                (SEC_WEBSOCKET_VERSION, "13"),
            ];
            (status, headers, text).into_response()
        }
        _ => (status, text).into_response(),
    }
}

/// Speaks MQTT once the answer is written.
async fn serve(upgrade: OnUpgrade, admitted: Admitted) {
    // Otherwise the client has gone.
    let Ok(upgraded) = upgrade.await else { return };
    match upgraded.downcast::<Io>() {
        // What came behind the request is an error of the client's, which cannot have spoken before it was answered.
        Ok(Parts { io, read_buf, .. }) if read_buf.is_empty() => admitted.serve(io.into_inner().into_inner()).await,
        Ok(_) => tracing::debug!("bytes came behind a request for a WebSocket before it was answered"),
        Err(other) => admitted.serve(TokioIo::<Upgraded>::new(other)).await,
    }
}
