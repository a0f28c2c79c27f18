//! The built dashboard, as it was embedded when this program was compiled.
//!
//! Paths are looked up in a list, and never in a file system.

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

/// A file of the dashboard.
struct Asset {
    /// With its slash.
    path: &'static str,
    tag: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const INDEX: &str = "/index.html";
/// What the dashboard's build gives a new name for each new content.
const HASHED: &str = "/assets/";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// Whether there is a dashboard.
pub(super) fn are_any() -> bool {
    !ASSETS.is_empty()
}

/// The dashboard's own page, if there is a dashboard.
pub(super) fn index(headers: &HeaderMap) -> Option<Response> {
    find(INDEX).map(|asset| asset.answer(headers))
}

/// A file of the dashboard. Its views are behind `#`, so no other path leads to its page: whoever mistypes that of a probe is told.
pub(super) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_found();
    }
    if let Some(asset) = find(path) {
        return asset.answer(request.headers());
    }
    not_found()
}

/// What every path leads to that leads nowhere else.
pub(super) async fn nothing() -> Response {
    not_found()
}

fn not_found() -> Response {
    (
        StatusCode::NOT_FOUND,
        "there is nothing at this path; /healthz, /readyz, /metrics and /api/v1/openapi.json may be meant\n",
    )
        .into_response()
}

fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Asset {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let caching = if self.path.starts_with(HASHED) {
            FOR_EVER
        } else {
            ASK_AGAIN
        };
        let common = [(ETAG, self.tag), (CACHE_CONTROL, caching)];
        let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
        if known.is_some_and(|known| {
            known
                .split(',')
                .any(|tag| tag.trim().trim_start_matches("W/") == self.tag)
        }) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(CONTENT_TYPE, content_type(self.path))], self.bytes).into_response()
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_type_and_asked_for_once() {
        // Goal: scripts and styles have the types without which browsers refuse them under nosniff; a known file is not sent again; hashed names
        // are kept for ever, and others are asked for again.
        let asset = |path| Asset {
            path,
            tag: "\"1\"",
            bytes: b"x",
        };
        let of = |path, headers: &HeaderMap| asset(path).answer(headers);
        let mut headers = HeaderMap::new();
        let fresh = of("/assets/a-1.js", &headers);
        assert_eq!(fresh.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(
            (fresh.status(), &fresh.headers()[CACHE_CONTROL]),
            (StatusCode::OK, &FOR_EVER.parse().unwrap())
        );
        assert_eq!(of("/a.css", &headers).headers()[CACHE_CONTROL], ASK_AGAIN);
        headers.insert(IF_NONE_MATCH, "\"0\", W/\"1\"".parse().unwrap());
        assert_eq!(of("/a.css", &headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(IF_NONE_MATCH, "\"2\"".parse().unwrap());
        assert_eq!(of("/a.css", &headers).status(), StatusCode::OK);
    }
}
